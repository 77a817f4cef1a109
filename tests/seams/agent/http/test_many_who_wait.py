"""Hundreds of unknown addresses that wait leave a known pod's answer where it was."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta

import pytest

from fakes.endpoint_rig import OWN, ROLES, Rig, endpoint_rig, known, pod, request
from fakes.transport import FakeTransport
from rolecall_agent.http.connection import Connection
from rolecall_agent.http.hold_timer import SHARE
from rolecall_agent.http.patience import PATIENT_HOLD, STEP
from rolecall_agent.http.server_state import ServerRules

UNKNOWN = 500
HOLD = timedelta(milliseconds=900)


class Later:
    """The loop's clock, which stands still until a test puts it forward: then much is due at once.

    On a slow machine no time goes by that a test does not speak of.
    """

    def __init__(self, now: float) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def put_forward(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
async def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    loop = asyncio.get_running_loop()
    made = Later(loop.time())
    monkeypatch.setattr(loop, "time", made)
    return made


@pytest.fixture
async def rig(later: Later) -> AsyncGenerator[Rig]:  # noqa: ARG001 - its clock is read from the first
    async with endpoint_rig(HOLD, rules=ServerRules(patient=True)) as rig:
        rig.snapshot(*known(pod(OWN)))
        yield rig


def asked(rig: Rig, address: str, path: str = f"{ROLES}/") -> FakeTransport:
    connection = Connection(rig.server.state)
    transport = FakeTransport(connection, address)
    connection.connection_made(transport)
    connection.data_received(request(path))
    return transport


def unknown(rig: Rig) -> list[FakeTransport]:
    addresses = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(UNKNOWN)]
    return [asked(rig, address) for address in addresses]


def paths() -> Iterator[str]:
    """Return what no answer is at hand for, again and again."""
    return (f"{ROLES}/reader?{number}" for number in range(10 * UNKNOWN))


async def told_between_answers(rig: Rig, waiting: list[FakeTransport]) -> list[int]:
    """Have the known pod ask in each turn; return how many others had something in between."""
    sizes = [len(each.written) for each in waiting]
    told, counts = 0, []
    for path in paths():
        if told == len(waiting):
            break
        answer = asked(rig, OWN, path)
        assert answer.written.startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0)
        now = sum(len(each.written) > size for each, size in zip(waiting, sizes, strict=True))
        told, before = now, told
        counts.append(told - before)
    return counts


async def test_bytes_that_are_due_at_once_leave_a_known_pod_its_answer(
    rig: Rig, later: Later
) -> None:
    """Between two of its answers a share of the others has its byte, and no more."""
    waiting = unknown(rig)
    later.put_forward(STEP)
    counts = await told_between_answers(rig, waiting)

    assert {each.written for each in waiting} == {b"H"}
    assert max(counts) <= SHARE


async def test_holds_that_end_at_once_leave_a_known_pod_its_answer(rig: Rig, later: Later) -> None:
    """As many answers are written in a turn, though each of them is dearer than a byte."""
    waiting = unknown(rig)
    later.put_forward(PATIENT_HOLD)
    counts = await told_between_answers(rig, waiting)

    assert all(each.written.startswith(b"HTTP/1.1 503 ") for each in waiting)
    assert rig.endpoint.held_requests == 0
    assert max(counts) <= SHARE


async def test_who_waits_costs_a_known_pod_nothing_until_something_is_due(rig: Rig) -> None:
    """None of them is looked at for what it asks."""
    waiting = unknown(rig)
    for path, _ in zip(paths(), range(10), strict=False):
        assert asked(rig, OWN, path).written.startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0)

    assert not any(each.written for each in waiting)
    assert rig.endpoint.held_requests == UNKNOWN
