"""Stories of more news than can be kept, and of pods that see to it that there are."""

# ruff: noqa: D401 - stories are told, not commanded

import asyncio
import contextlib
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from ipaddress import IPv4Address
from pathlib import Path

from lab import arp_flood
from lab.watched import NO_ANSWER, Agent, Answer, agent, ask, client, connect, request
from lab.witness_ground import HELD, Ground, begun, story
from rolecall_agent.witness.extent import Extent
from rolecall_cli.lab.addresses import NODE_ADDRESS, Kind
from rolecall_cli.lab.network import GATEWAY
from rolecall_proto.values import PodUid

_PROGRAM = Path(arp_flood.__file__)
_ALL, _BRIDGES = Extent.EVERYTHING, Extent.BRIDGES


def overrun() -> None:
    """Have the kernel say more than a socket keeps, while the agent's loop, this one, stands."""
    flood = "\n".join(f"route {each} blackhole 10.99.0.1/32" for each in ("add", "del") * 8000)
    subprocess.run(["ip", "-batch", "-"], input=flood, text=True, check=True)  # noqa: S607 - ip is


async def heard(at: Agent, extent: Extent, losses: int) -> None:
    """Wait until the agent's loop has found out that news were lost, and nobody has asked."""
    async with asyncio.timeout(20):
        while at.witness.report().losses.get(extent, 0) < losses:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


@story()
async def a_connection_is_cut_after_an_overrun_as_before_it(ground: Ground) -> None:
    """Twice: what has overrun is looked at again by the loop itself, though nobody asks."""
    names = ("overrun1", "overrun2")
    async with agent(ground.network) as at:
        for name in names:
            await begun(at, ground, name)
        for turn, name in enumerate(names, start=1):
            with client(name) as made:
                assert await connect(made)
                assert await request(made) == Answer(200, name)
                overrun()
                await heard(at, _ALL, turn)
                assert at.server.open_connections
                await ground.remove(name)
                async with asyncio.timeout(20):
                    while at.server.open_connections:  # noqa: ASYNC110 - others have no event
                        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def flooding(pod: str, target: IPv4Address, sender: IPv4Address) -> AsyncGenerator[None]:
    """Have *pod* send as many ARP requests as it can, while the block runs."""
    inside = ("nsenter", f"--net=/run/netns/{pod}", "--")
    program = (sys.executable, str(_PROGRAM), str(target), str(sender))
    process = await asyncio.create_subprocess_exec(*inside, *program, stdin=DEVNULL, stdout=PIPE)
    assert process.stdout is not None
    try:
        for _ in range(2):  # It has begun, and goes on for a second.
            assert await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.wait()


@story(Kind.ROUTED)
async def a_pod_floods_its_link_and_the_agent_hears_nothing(ground: Ground) -> None:
    """Where there is no bridge, nobody listens to what neighbours say."""
    async with agent(ground.network) as at:
        flooder, _ = await begun(at, ground, "flooder"), await begun(at, ground, "beside")
        before = at.witness.report()
        async with flooding("flooder", GATEWAY, flooder):
            for _ in range(20):
                assert await ask("beside") == Answer(200, "beside")
        after = at.witness.report()
        assert (dict(after.losses), after.rereads) == (dict(before.losses), before.rereads)


@story(Kind.BRIDGED)
async def a_pod_floods_the_bridge_and_the_others_are_served(ground: Ground) -> None:
    """What is lost of it is read anew for itself: links and routes are known all the while."""
    async with agent(ground.network) as at:
        flooder, _ = await begun(at, ground, "noisy"), await begun(at, ground, "quiet")
        everything = at.witness.report().rereads[_ALL]
        async with flooding("noisy", NODE_ADDRESS, flooder):
            answers = [await ask("quiet") for _ in range(20)]
        assert set(answers) <= {Answer(200, "quiet"), HELD, NO_ANSWER}
        assert answers.count(Answer(200, "quiet")) > len(answers) / 2, answers
        assert at.witness.report().rereads[_ALL] == everything
        at.truth[PodUid("quiet")] = ()
        assert await ask("quiet") == Answer(200, "quiet")
