"""What the stories of the witness are told on: one node, and pods that come and go on it."""

import asyncio
import itertools
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2.netlink.exceptions import (  # type: ignore[import-untyped]  # it has no types
    NetlinkError,
)

from lab.watched import Agent, Answer, aside, ask
from rolecall_cli.lab.addresses import POD_NETWORK, Kind
from rolecall_cli.lab.network import Network

HELD = Answer(503)
STORIES: dict[str, tuple[frozenset[Kind], "Story"]] = {}
BOTH = frozenset(Kind)


@dataclass
class Ground:
    """One node, on which every story has addresses and files of its own."""

    network: Network
    kind: Kind
    root: Path
    _addresses: Iterator[IPv4Address]

    async def pod(self, name: str, address: IPv4Address | None = None) -> IPv4Address:
        """Make a pod; with *address* in the place of whoever had it."""
        address = address or next(self._addresses)
        await aside(self.network.add_pod, name, address)
        return address

    async def remove(self, name: str) -> None:
        await aside(self.network.remove_pod, name)

    async def replace(self, old: str, new: str, address: IPv4Address) -> None:
        """Give the address away, as fast as it goes."""
        await self.remove(old)
        await self.pod(new, address)


Story = Callable[[Ground], Awaitable[None]]


def story(*kinds: Kind) -> Callable[[Story], Story]:
    def note(told: Story) -> Story:
        STORIES[told.__name__] = (frozenset(kinds) or BOTH, told)
        return told

    return note


async def begun(at: Agent, ground: Ground, name: str) -> IPv4Address:
    """Make a pod, have it named, and see it served."""
    address = await ground.pod(name)
    at.lives(name, address)
    at.name(name, address)
    assert await ask(name) == Answer(200, name)
    return address


async def tell(kind: Kind, root: Path) -> dict[str, str]:
    ground = Ground(
        await aside(Network, kind), kind, root, (POD_NETWORK[0x200 + n] for n in itertools.count())
    )
    wrong = {}
    for name, (kinds, told) in STORIES.items():
        if kind not in kinds:
            continue
        try:
            async with asyncio.timeout(30):
                await told(ground)
        except (AssertionError, TimeoutError, OSError, LookupError, NetlinkError):
            wrong[name] = traceback.format_exc()
        else:
            wrong[name] = ""
    return wrong


def names(kind: Kind) -> list[str]:
    return [name for name, (kinds, _) in STORIES.items() if kind in kinds]
