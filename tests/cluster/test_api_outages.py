"""The API server is away: what pods and agents notice of it, and what comes back how."""

import asyncio
import re
from collections.abc import Callable

import pytest

from cluster.serving import Serving
from cluster.test_deployments import NODE, OTHER, bare_pod, pods_of
from fakes.system import LIST

# A session's life, so short that it is renewed twice while the API server is away.
SHORT = 60.0  # seconds


async def measured(at: Serving, name: str) -> dict[str, float]:
    """Return the server's series of the metric *name*, by their labels."""
    _, text = await at.probe("server", "/metrics")
    found = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


async def listings(at: Serving) -> float:
    return sum((await measured(at, "rolecall_watch_listings_total")).values())


async def until_measured(at: Serving, name: str, holds: Callable[[float], bool]) -> None:
    """Return once the server's metric *name*, computed once a second, *holds*."""
    async with asyncio.timeout(60):  # Far more than it takes, also of a busy machine.
        while not holds((await measured(at, name))[""]):  # noqa: ASYNC110 - a scrape is all there is
            await asyncio.sleep(0.05)


async def until_fresh(at: Serving, fresh: float) -> None:
    await until_measured(at, "rolecall_watch_fresh", lambda value: value == fresh)


@pytest.mark.every_kubernetes
async def test_an_agent_that_restarts_meanwhile_is_let_in_by_the_clusters_keys(
    at: Serving, apps: str
) -> None:
    """And is told what its node may hold, for no call of STS; new pods have to wait."""
    await at.start_everything(NODE)
    await at.admin.create(bare_pod(apps, "old"))
    [address] = (await pods_of(at, apps, app="old")).values()
    held = await at.until_given(NODE, address, "reader")
    calls, listed = await at.calls(), await listings(at)
    await at.write_agent_token(NODE)  # One that the server has never seen.

    async with at.cluster.outage():
        await until_fresh(at, 0.0)
        status, lines = await at.probe("server", "/readyz")
        assert (status, "degraded: the watch is stale" in lines) == (200, True)
        assert await at.until_given(NODE, address, "reader") == held
        await at.running(NODE).stop()
        again = await at.run(NODE, "-m", "rolecall_cli", "agent", *at.agent_flags(name=NODE))
        await again.wait_line("following a server")
        assert await at.until_given(NODE, address, "reader") == held
        await until_measured(
            at, "rolecall_tokens_accepted_unreviewed_total", lambda count: count >= 1
        )

    await until_fresh(at, 1.0)
    await at.admin.create(bare_pod(apps, "new", "writer"))
    [late] = (await pods_of(at, apps, app="new")).values()
    await at.until_given(NODE, late, "writer")
    assert await at.calls() == {**calls, "writer": 1}
    # An API server that was started anew has forgotten where watches were, so that pods and
    # namespaces are listed once more each: not again and again.
    assert await listings(at) <= listed + 2


@pytest.mark.timeout(180)
async def test_sessions_are_renewed_for_as_long_as_it_is_away(at: Serving, apps: str) -> None:
    """A minute or so: the session is renewed twice meanwhile, and no pod meets an ended one."""
    await at.start_sts()
    await at.weather(longest=SHORT)
    await at.start_server("--reported-early=0s", "--allow-short-sessions=true")
    await at.start_node_agent(NODE)
    await at.admin.create(bare_pod(apps, "old"))
    [address] = (await pods_of(at, apps, app="old")).values()
    keys = {(await at.until_given(NODE, address, "reader"))["AccessKeyId"]}

    async with at.cluster.outage():
        async with asyncio.timeout(100):
            while len(keys) < 3:
                document = await at.until_given(NODE, address, "reader")
                keys.add(document["AccessKeyId"])
                await asyncio.sleep(1)
    await until_fresh(at, 1.0)

    assert (await at.calls())["reader"] >= len(keys)


async def test_what_happened_meanwhile_is_told_when_it_is_back(at: Serving, apps: str) -> None:
    """A pod that was deleted in the last moment before is gone, with its address."""
    await at.start_everything(NODE, OTHER)
    await at.admin.create(bare_pod(apps, "old"))
    [address] = (await pods_of(at, apps, app="old")).values()
    await at.until_given(NODE, address, "reader")
    await at.running("server").stop()
    await at.admin.delete("Pod", "old", apps, grace=0)

    async with at.cluster.outage():
        # A server that has never seen the cluster lets nobody in; agents go on with what they hold.
        starting = asyncio.ensure_future(at.start_server())
        await at.until_said("server", "the watch was interrupted")
        status, _ = await at.probe("server", "/readyz")
        assert status == 503
        assert (await at.ask(NODE, LIST, address)) == (200, "reader")
    await starting

    await at.until_unknown(NODE, address)


async def test_a_token_that_rotates_is_read_again(at: Serving, apps: str) -> None:
    """The server's own token is a file that the kubelet replaces; old ones end."""
    await at.start_everything(NODE)
    await at.write_api_token()
    async with at.cluster.outage():
        await until_fresh(at, 0.0)
    await until_fresh(at, 1.0)
    await at.admin.create(bare_pod(apps, "new"))
    [address] = (await pods_of(at, apps, app="new")).values()

    await at.until_given(NODE, address, "reader")
