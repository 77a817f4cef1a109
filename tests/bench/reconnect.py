"""A whole fleet that loses its server at once and goes to another, which has seen none of it."""

import contextlib
import time
from bisect import bisect_left
from dataclasses import dataclass

from bench.fleet import enlist, fleet
from bench.ground import SERVERS, Ground
from testcluster.nodes import node

_FIRST = 1001  # Nodes that no other measurement has.


@dataclass(frozen=True, slots=True)
class Reconnected:
    """What the fleet's way to the other server came to; seconds from the first one's end."""

    agents: int
    all_in: float
    half_in: float
    reviews: int
    most_in_a_second: int
    old_ended: float
    server_cpu: float
    peak: int


def nodes(count: int) -> list[str]:
    return [f"node-{number}" for number in _numbers(count)]


def _numbers(count: int) -> range:
    return range(_FIRST, _FIRST + count)


async def prepare(ground: Ground, agents: int) -> None:
    """Make the nodes and the pods of so many agents."""
    for number in _numbers(agents):
        await ground.at.admin.create(node(number))
    await enlist(ground, nodes(agents))


async def reconnect(ground: Ground, agents: int, run: int) -> Reconnected:
    """Have all agents at one server, start another, and end the first as a roll-out would."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(contextlib.AsyncExitStack())
        await first.enter_async_context(ground.server(run=f"-left-{run}"))
        members = await stack.enter_async_context(fleet(ground, nodes(agents), SERVERS))
        await members.all_in(0)
        other = await stack.enter_async_context(ground.server(SERVERS[1], f"-{run}"))
        before, cpu = len(ground.reviews()), other.process.cpu_seconds()
        began = time.perf_counter()
        await first.aclose()
        ended = time.perf_counter()
        await members.all_in(began)
        reviews = ground.reviews()[before:]
        moments = sorted(each.in_since - began for each in members.members)
        return Reconnected(
            agents=agents,
            all_in=moments[-1],
            half_in=moments[agents // 2],
            reviews=len(reviews),
            most_in_a_second=most_within(reviews, 1.0),
            old_ended=ended - began,
            server_cpu=other.process.cpu_seconds() - cpu,
            peak=other.process.peak_bytes(),
        )


def most_within(moments: list[float], seconds: float) -> int:
    """Return how many of *moments*, which are in order, there are at most within *seconds*."""
    return max(
        (bisect_left(moments, begin + seconds) - at for at, begin in enumerate(moments)), default=0
    )
