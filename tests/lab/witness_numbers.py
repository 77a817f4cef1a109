"""Stories of links whose number the kernel gives twice.

VPC CNI and Calico make a pod's pair of links inside the pod and move one end out. In a namespace
that is just made the number of that end is always the same, and it keeps it where the node has none
with it: one pod after the other has it. Its name is made of the pod's, and its hardware address is
the same for all.
"""

# ruff: noqa: D401 - stories are told, not commanded

import asyncio
import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address

from pyroute2 import IPRoute, NetNS, netns  # type: ignore[import-untyped]  # it has no types

from lab.watched import (
    NO_ANSWER,
    PATIENT,
    Agent,
    Answer,
    agent,
    ask,
    client,
    connect,
    named,
    request,
    start_again,
    started_at,
)
from lab.witness_ground import HELD, Ground, story
from rolecall_agent.witness.extent import Extent
from rolecall_cli.lab.addresses import POD_NETWORK, Kind
from rolecall_cli.lab.network import GATEWAY

_FIRST = 7001  # The node has given no number as high.
_made = itertools.count()
_ASIDE = ThreadPoolExecutor(1, thread_name_prefix="links")


@dataclass(frozen=True)
class Twins:
    """Two pods of one name after each other, as of a StatefulSet: their links are alike in all."""

    old: str
    new: str
    number: int
    address: IPv4Address

    @property
    def link(self) -> str:
        return f"twin{self.number}"

    def make(self, pod: str) -> None:
        """Make the network of *pod* as VPC CNI does."""
        netns.create(pod)
        with contextlib.closing(NetNS(pod)) as inside, contextlib.closing(IPRoute()) as node:
            inside.link("set", index=1, state="up")
            # The far end first: a number is given to it that is free inside.
            inside.link(
                "add",
                ifname=self.link,
                kind="veth",
                index=self.number,
                peer={"ifname": "eth0"},
                address="ee:ee:ee:ee:ee:ee",
            )
            inside.link("set", index=self.number, net_ns_pid=os.getpid())
            far = inside.link_lookup(ifname="eth0")[0]
            inside.link("set", index=far, state="up")
            inside.addr("add", index=far, address=str(self.address), prefixlen=32)
            inside.route("add", dst=f"{GATEWAY}/32", oif=far, scope="link")
            inside.route("add", dst="0.0.0.0/0", gateway=str(GATEWAY), oif=far)
            node.link("set", index=self.number, state="up")
            node.route("add", dst=f"{self.address}/32", oif=self.number, scope="link")

    def remove(self, pod: str) -> None:
        with contextlib.closing(IPRoute()) as node:
            node.link("del", index=self.number)
        netns.remove(pod)

    def replace(self) -> None:
        self.remove(self.old)
        self.make(self.new)


def at_once(act: Callable[..., None], *arguments: object) -> None:
    """Do *act* while the agent hears nothing, for its loop is this one."""
    _ASIDE.submit(act, *arguments).result()


@contextlib.asynccontextmanager
async def serving(ground: Ground, name: str) -> AsyncGenerator[tuple[Agent, Twins]]:
    """Run an agent that serves the first of two pods called *name*."""
    number = next(_made)
    twins = Twins(f"{name}1", f"{name}2", _FIRST + number, POD_NETWORK[0x800 + number])
    async with agent(ground.network, state_file=ground.root / name) as at:
        at_once(twins.make, twins.old)
        at.lives(twins.old, twins.address)
        at.name(twins.old, twins.address)
        assert await ask(twins.old) == Answer(200, twins.old)
        at.ends(twins.old)
        yield at, twins


async def gets_nothing(at: Agent, twins: Twins) -> None:
    """See that the second pod is not taken for the first, and is served once it is named."""
    assert await ask(twins.new) in {HELD, NO_ANSWER}
    at.forget(twins.old)
    at.name(twins.old, twins.address)
    assert await ask(twins.new) in {HELD, NO_ANSWER}
    at.forget(twins.old)
    await start_again(twins.new)
    at.lives(twins.new, twins.address)
    at.name(twins.new, twins.address)
    assert await ask(twins.new) == Answer(200, twins.new)


def make_and_wait(twins: Twins) -> None:
    """Make the first pod, see it start, and let the next second pass.

    The kernel gives a link its address up to a second after it came.
    """
    twins.make(twins.old)
    time.sleep(2.1)
    started_at(twins.old)
    time.sleep(1.1)


@story(Kind.ROUTED)
async def a_link_is_heard_of_late(ground: Ground) -> None:
    """The agent had no time when it came, and takes it for younger than its pod's start."""
    twins = Twins("tardy1", "tardy2", _FIRST + next(_made), POD_NETWORK[0x7F0])
    async with agent(ground.network) as at:
        at_once(make_and_wait, twins)
        at.name(twins.old, twins.address)
        if ground.network.ipv6:  # Else nothing tells how old it is.
            assert await ask(twins.old) == Answer(200, twins.old)


@story(Kind.ROUTED)
async def a_number_is_given_again(ground: Ground) -> None:
    """The agent has heard that the last one to have it went."""
    async with serving(ground, "again") as (at, twins):
        at_once(twins.remove, twins.old)
        at.witness.poll()
        at_once(twins.make, twins.new)
        await gets_nothing(at, twins)


@story(Kind.ROUTED)
async def a_number_is_given_again_before_anybody_looks(ground: Ground) -> None:
    """Both are heard in one: connections are cut all the same."""
    async with serving(ground, "burst") as (at, twins):
        with client(twins.old) as made:
            assert await connect(made)
            assert await request(made) == Answer(200, twins.old)
            at_once(twins.replace)
            async with asyncio.timeout(2):
                while at.server.open_connections:  # noqa: ASYNC110 - others have no event
                    await asyncio.sleep(0.01)
        await gets_nothing(at, twins)


@story(Kind.ROUTED)
async def a_number_is_given_again_while_news_are_lost(ground: Ground) -> None:
    """Everything is read anew, and looks as it did."""
    async with serving(ground, "drowned") as (at, twins):
        at_once(twins.replace)
        flood = "\n".join(f"route {each} blackhole 10.99.0.1/32" for each in ("add", "del") * 8000)
        subprocess.run(["ip", "-batch", "-"], input=flood, text=True, check=True)  # noqa: ASYNC221, S607
        await gets_nothing(at, twins)
        assert at.witness.report().losses[Extent.EVERYTHING] >= 1


@story(Kind.ROUTED)
async def a_number_is_given_again_while_no_agent_runs(ground: Ground) -> None:
    """The state file has the same number, name and address."""
    async with serving(ground, "slept") as (_, twins):
        await asyncio.sleep(0.2)  # The state file is written a moment after each change.
    at_once(twins.replace)
    known, state_file = named(twins.old, twins.address), ground.root / "slept"
    async with agent(
        ground.network, *known, state_file=state_file, settling=PATIENT, settled=False
    ) as at:
        await gets_nothing(at, twins)
