"""What happens to addresses on a node; each story raises where it goes wrong."""

# ruff: noqa: D401 - stories are told, not commanded

import asyncio
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

from lab.watched import (
    NO_ANSWER,
    PATIENT,
    QUICK,
    ROLES,
    Answer,
    agent,
    announce,
    aside,
    ask,
    ask_as,
    client,
    connect,
    hardware_of,
    key_of,
    named,
    next_second,
    request,
    six,
    start_again,
    take_address,
    take_hardware,
)
from lab.witness_ground import HELD, Ground, begun, story
from rolecall_agent.decision import Outcome
from rolecall_agent.witness.extent import Extent
from rolecall_cli.lab.addresses import NODE_ADDRESS, Kind


@story()
async def a_pod_is_served(ground: Ground) -> None:
    """Once its link and its name are there."""
    async with agent(ground.network) as at:
        await begun(at, ground, "plain")
        assert await key_of("plain", "plain") == "KEYplain"


@story()
async def an_address_is_used_again_and_the_watch_is_late(ground: Ground) -> None:
    """Whoever has it now asks at once, while the server knows only who had it."""
    async with agent(ground.network) as at:
        address = await begun(at, ground, "late1")
        at.ends("late1")
        await ground.replace("late1", "late2", address)
        answers = await asyncio.gather(*(ask("late2") for _ in range(5)))
        document = await ask("late2", ROLES + "late1")
        assert {*answers, document} <= {HELD, NO_ANSWER}

        at.lives("late2", address)
        at.name("late2", address)
        assert await ask("late2") == Answer(200, "late2")
        assert (await ask("late2", ROLES + "late1")).status == 404


@story()
async def messages_about_the_last_pod_are_doubled(ground: Ground) -> None:
    """Named, removed and named again, by a new snapshot too: it does not come back."""
    async with agent(ground.network) as at:
        address = await begun(at, ground, "twice1")
        at.ends("twice1")
        await ground.replace("twice1", "twice2", address)
        for repeat in range(3):
            at.forget("twice1")
            at.name("twice1", address)
            assert await ask("twice2") in {HELD, NO_ANSWER}, repeat
        await asyncio.sleep(2 * QUICK.total_seconds())
        assert await ask("twice2") in {HELD, NO_ANSWER}


@story()
async def the_end_of_the_last_pod_is_lost(ground: Ground) -> None:
    """The server goes on naming it, and names the next one as well: the link decides."""
    async with agent(ground.network) as at:
        address = await begun(at, ground, "lost1")
        at.ends("lost1")
        await ground.replace("lost1", "lost2", address)
        at.lives("lost2", address)
        at.name("lost2", address)
        assert await ask("lost2") == Answer(200, "lost2")


@story()
async def the_same_pod_has_a_new_link(ground: Ground) -> None:
    """Its sandbox was made anew: it waits until a live read says that it has started since."""
    async with agent(ground.network) as at:
        address = await begun(at, ground, "anew")
        await ground.remove("anew")
        await ground.pod("anew", address)
        assert await ask("anew") in {HELD, NO_ANSWER}
        await start_again("anew")
        at.lives("anew", address)
        assert await ask("anew") == Answer(200, "anew")
        assert at.witness.report().bindings.suspensions >= 1


@story()
async def two_claim_one_address(ground: Ground) -> None:
    """Who has the link has the address."""
    async with agent(ground.network) as at:
        address = await begun(at, ground, "owner")
        await start_again("other")
        at.lives("other", address)
        at.name("other", address)
        assert await ask("owner") == Answer(200, "owner")


@story()
async def a_restarted_agent_trusts_its_state_file(ground: Ground) -> None:
    """Who kept its link is served at once; who came meanwhile is not taken for its predecessor."""
    state_file = ground.root / "state"
    async with agent(ground.network, state_file=state_file) as at:
        kept = await begun(at, ground, "kept")
        gone = await begun(at, ground, "gone")
        await asyncio.sleep(0.2)  # The state file is written a moment after each change.
    await ground.replace("gone", "heir", gone)
    known = [*named("kept", kept), *named("gone", gone)]
    async with agent(
        ground.network, *known, state_file=state_file, settling=PATIENT, settled=False
    ) as at:
        assert await ask("kept") == Answer(200, "kept")
        assert await ask("heir") in {HELD, NO_ANSWER}


@story()
async def a_restarted_agent_without_a_state_file_goes_by_starts(ground: Ground) -> None:
    """The kernel dates what is there: whoever started after its link came is served at once."""
    address = await ground.pod("fresh")
    await next_second()  # The kernel gives a link its address up to a second after it came.
    await next_second()
    await start_again("fresh")
    known = named("fresh", address)
    async with agent(ground.network, *known, settling=PATIENT, settled=False):
        assert await ask("fresh") == Answer(200, "fresh")


@story()
async def a_restarted_agent_is_told_of_the_last_pod(ground: Ground) -> None:
    """It has ended, and nobody has said so: its start is older than the link, for how long ever."""
    address = await ground.pod("stale1")
    await start_again("stale1")
    await next_second()
    await ground.replace("stale1", "stale2", address)
    known = named("stale1", address)
    async with agent(ground.network, *known) as at:
        at.lives("stale1", address)
        assert await ask("stale2") in {HELD, NO_ANSWER}
        await start_again("stale2")
        at.name("stale2", address)
        assert await ask("stale2") == Answer(200, "stale2")


@story()
async def the_kernel_says_more_than_can_be_kept(ground: Ground) -> None:
    """Everything is read anew: who kept its link is served on, who has another one is not."""
    async with agent(ground.network) as at:
        await begun(at, ground, "calm")
        moved = await begun(at, ground, "moved")
        flood = [f"route {each} blackhole 10.99.0.1/32" for each in ("add", "del") * 8000]
        await ground.replace("moved", "moved2", moved)
        at.ends("moved")
        lines = "\n".join(flood)
        subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)  # noqa: ASYNC221, S607
        assert await ask("calm") == Answer(200, "calm")
        assert await ask("moved2") in {HELD, NO_ANSWER}
        assert at.witness.report().losses[Extent.EVERYTHING] >= 1


@story(Kind.ROUTED)
async def a_pod_has_addresses_of_both_kinds(ground: Ground) -> None:
    """Each by its own route."""
    async with agent(ground.network) as at:
        address = await ground.pod("dual")
        at.name("dual", address, six(address))
        assert await ask("dual") == Answer(200, "dual")
        if ground.network.ipv6:
            assert await ask("dual", family=socket.AF_INET6) == Answer(200, "dual")


@story(Kind.ROUTED)
async def an_address_without_a_link_is_refused(ground: Ground) -> None:
    """The node's own cannot be told apart; an operator may have it served."""
    # Outside shares a link with all that is there.
    far = IPv4Address("10.78.0.2")
    async with agent(ground.network, *named("far", far)) as at:
        assert await ask("outside", source=far) == Answer(404)
        assert at.witness.report().bindings.unwitnessed == 1
    async with agent(ground.network, *named("far", far), accept=True):
        assert await ask("outside", source=far) == Answer(200, "far")


@story()
async def the_network_rewrites_addresses(ground: Ground) -> None:
    """A request from the node's own address or its gateway is refused, and does not wait."""
    async with agent(ground.network) as at:
        # Outside is the node's gateway.
        assert await ask("outside", source=IPv4Address("10.78.0.2")) == Answer(404)
        with socket.socket() as own:
            own.setblocking(False)  # noqa: FBT003 - the socket's own signature
            own.bind((str(NODE_ADDRESS), 0))
            assert await connect(own)
            assert await request(own) == Answer(404)
        counted = at.server.counters.requests
        assert sum(n for (*_, how), n in counted.items() if how is Outcome.REWRITTEN) == 2


@story(Kind.ROUTED)
async def a_pod_takes_the_source_of_another(ground: Ground) -> None:
    """The answer to its first packet goes to the other one, and there is no connection."""
    async with agent(ground.network) as at:
        victim = await begun(at, ground, "victim")
        await begun(at, ground, "thief")
        await aside(take_address, "thief", victim)
        assert await ask("thief", source=victim) == NO_ANSWER
        assert await ask("victim") == Answer(200, "victim")


@story(Kind.ROUTED)
async def a_rule_leads_an_address_elsewhere(ground: Ground) -> None:
    """It is looked at again; rules about what pods send change nothing for what goes to them."""
    async with agent(ground.network) as at:
        address = await begun(at, ground, "ruled")
        _ip("route", "add", "blackhole", "default", "table", "77")
        for about in (("from", f"{address}/32"), ("iif", "eth0"), ("to", f"{address}/32")):
            _ip("rule", "add", "pref", "77", *about, "lookup", "77")
            at.witness.poll()
            led = about[0] == "to"
            assert at.witness.holders[address] == ("suspended" if led else "ruled"), about
            _ip("rule", "del", "pref", "77")
        assert await ask("ruled") == Answer(200, "ruled")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)  # noqa: S603, S607 - the words are ours


@story(Kind.BRIDGED)
async def a_pod_announces_the_address_of_another(ground: Ground) -> None:
    """The bridge believes it, and nobody is served there until the other one's port is back."""
    _believe_at_once()
    async with agent(ground.network) as at:
        victim = await begun(at, ground, "announced")
        await begun(at, ground, "announcer")
        await aside(take_address, "announcer", victim)
        await announce("announcer", victim)
        assert await ask("announcer", source=victim) in {HELD, NO_ANSWER}
        await announce("announced", victim)
        assert await ask("announced") == Answer(200, "announced")


@story(Kind.BRIDGED)
async def a_pod_is_the_first_to_announce_the_address_of_another(ground: Ground) -> None:
    """Neither has said anything yet; but the port of the one who lies is known to be its own."""
    async with agent(ground.network) as at:
        own = await ground.pod("early")
        at.name("early", own)
        async with asyncio.timeout(10):
            while at.witness.holders[own] != "early":  # noqa: ASYNC110 - others have no event
                await asyncio.sleep(0.01)
        victim = await ground.pod("robbed")
        await aside(take_address, "early", victim)
        await ask_as("early", victim)
        at.name("robbed", victim)
        assert await ask("early", source=victim) in {HELD, NO_ANSWER}
        assert await ask("robbed") in {Answer(200, "robbed"), HELD}
        assert await ask("early", source=victim) in {HELD, NO_ANSWER}


@story(Kind.BRIDGED)
async def a_pod_takes_the_hardware_of_another(ground: Ground) -> None:
    """Its frames lead the bridge astray, one by one: the witness looks before each request."""
    async with agent(ground.network) as at:
        victim = await begun(at, ground, "cloned")
        await begun(at, ground, "clone")
        await aside(take_hardware, "clone", await aside(hardware_of, "cloned"))
        await aside(take_address, "clone", victim)
        connected = 0
        for _ in range(20):
            with client("clone", source=victim) as made:
                if await connect(made, 0.3):
                    connected += 1
                    await announce("cloned", victim)
                    assert await request(made, patience=0.5) in {HELD, NO_ANSWER}
        assert connected  # Else nothing was tried.
        await ground.remove("clone")
        async with asyncio.timeout(30):
            while await ask("cloned") != Answer(200, "cloned"):
                await announce("cloned", victim)


def _believe_at_once() -> None:
    """Have the node take what is announced just after something else was."""
    Path("/proc/sys/net/ipv4/neigh/cni0/locktime").write_text("0")


CONFINED = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from rolecall_agent.witness.service import witnessing
from rolecall_common.clock import SystemClock
status = Path("/proc/self/status").read_text().splitlines()
capabilities = [line for line in status if line.startswith("Cap")]
assert all(int(line.split()[1], 16) == 0 for line in capabilities), capabilities
async def main():
    address = ip_address(sys.argv[1])
    with witnessing(None, SystemClock(), accept=False, settling=timedelta()) as witness:
        witness.claim({address: {"first": datetime.now(UTC)}})
        print(witness.holders[address], flush=True)
        moved = asyncio.Event()
        witness.moved = lambda addresses: moved.set()
        async with asyncio.timeout(30):
            await moved.wait()
        print(witness.holders[address], flush=True)
asyncio.run(main())
"""


@story(Kind.ROUTED)
async def a_witness_needs_no_capability(ground: Ground) -> None:
    """It asks, and hears, as anybody may."""
    address = await ground.pod("bare")
    without = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")
    process = await asyncio.create_subprocess_exec(
        *without, sys.executable, "-c", CONFINED, str(address), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert (await process.stdout.readline()).strip() == b"first"
        await ground.remove("bare")
        assert (await process.stdout.readline()).strip() == b"suspended"
        assert await process.wait() == 0
