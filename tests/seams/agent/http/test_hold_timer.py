"""Held requests share one timer, and leave the loop to others."""

import asyncio
from ipaddress import ip_address

from fakes.endpoint_rig import LIMIT, request
from rolecall_agent.decision import TIMED_OUT, Missing, Route, Target
from rolecall_agent.http.client import Client
from rolecall_agent.http.hold_timer import SHARE, HoldTimer
from rolecall_agent.http.patience import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest, parse


class Noting(Client):
    """A client that only notes when it is called on."""

    def __init__(self) -> None:
        self.calls: list[ParkedRequest] = []

    def wait_on(self, parked: ParkedRequest, now: float) -> None:  # noqa: ARG002 - the protocol's
        self.calls.append(parked)


def parked(until: float) -> ParkedRequest:
    head, peer = request(), "10.0.0.1"
    parsed = parse(head)
    assert parsed is not None
    received = ReceivedRequest(parsed, Target(Route.ROLE_LIST), head, ip_address(peer), peer, 0.0)
    return ParkedRequest(received, Missing.POD, TIMED_OUT, until, patient=False)


async def test_many_that_are_due_at_once_are_taken_in_shares() -> None:
    """Between two shares the loop turns, so that whoever is known is answered meanwhile."""
    loop, client = asyncio.get_running_loop(), Noting()
    timer = HoldTimer(loop)
    now = loop.time()
    many = [parked(now - 1 + index / 1000) for index in range(5 * SHARE)]
    for each in many:
        timer.add(client, each)
    shares = []
    async with asyncio.timeout(LIMIT):
        while len(client.calls) < len(many):
            before = len(client.calls)
            await asyncio.sleep(0)
            shares.append(len(client.calls) - before)

    assert client.calls == many
    assert max(shares) <= SHARE


async def test_the_nearest_moment_is_waited_for() -> None:
    """Whoever came first: the one timer is set anew for who is due before."""
    loop, client = asyncio.get_running_loop(), Noting()
    timer = HoldTimer(loop)
    later, sooner = parked(loop.time() + LIMIT), parked(loop.time() + 0.01)
    timer.add(client, later)
    timer.add(client, sooner)
    async with asyncio.timeout(LIMIT / 2):
        while not client.calls:  # noqa: ASYNC110 - the timer tells nobody
            await asyncio.sleep(0)
    timer.close()

    assert client.calls == [sooner]
