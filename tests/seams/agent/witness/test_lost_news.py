"""What the witness does when the kernel cannot be heard or asked, whichever call fails."""

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address

import pytest

from fakes.netlink import PlayedKernel
from rolecall_agent.witness import rereads
from rolecall_agent.witness.bindings import Bindings
from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.kernel import Kernel
from rolecall_agent.witness.observation import Doubt
from rolecall_agent.witness.prompting import Prompter
from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.service import Witness
from rolecall_agent.witness.state_file import Scope, StateFile
from rolecall_common.clock import SystemClock
from rolecall_proto.values import PodUid

HERE, THERE = ip_address("10.0.0.1"), ip_address("10.0.0.2")
OLD, CALM = PodUid("old"), PodUid("calm")
ERRORS = (errno.ENOBUFS, errno.ENOMEM, errno.EIO)
_MOST_CALLS = 100


@contextmanager
def witnessed(played: PlayedKernel) -> Iterator[Witness]:
    """Watch two pods, each of which is served."""
    played.add(7, HERE)
    played.add(8, THERE)
    clock = SystemClock()
    with Kernel(clock, played.open) as kernel, Prompter() as prompter:
        bindings = Bindings({}, settling=timedelta(0))
        state = StateFile(None, Scope.here())
        witness = Witness(kernel, bindings, state, clock, prompter)
        with witness.listening():
            started_at = clock.now()
            witness.claim({HERE: {OLD: started_at}, THERE: {CALM: started_at}})
            assert dict(witness.holders) == {HERE: OLD, THERE: CALM}
            yield witness


def replaced(played: PlayedKernel) -> None:
    """Give the address to another pod, whose link has the number of the last one."""
    played.remove(7)
    played.add(7, HERE)


@pytest.mark.parametrize("error", ERRORS)
async def test_an_address_that_moves_while_any_call_fails_is_not_served_to_the_next(
    error: int,
) -> None:
    """Each call in its turn: neither the pod that had the address is vouched for nor another."""
    failed = 0
    for call in range(1, _MOST_CALLS):
        played = PlayedKernel()
        with witnessed(played) as witness:
            replaced(played)
            first, played.error = played.calls, error
            played.fails_at = lambda count, at=first + call: count == at
            witness.poll()

            assert witness.holders[HERE] is Doubt.SUSPENDED, call
            if played.calls < first + call:
                break
            failed += 1
    assert failed > 3


async def test_nobody_is_vouched_for_while_nothing_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And everybody again once it can: it is tried on."""
    monkeypatch.setattr(rereads, "PAUSES", dict.fromkeys(rereads.PAUSES, 0.0))
    played = PlayedKernel()
    with witnessed(played) as witness:
        replaced(played)
        played.fails_at = lambda _: True
        for _ in range(3):
            witness.poll()
            assert set(witness.holders.values()) == {Doubt.SUSPENDED}
            assert witness.query([HERE, THERE]).uids == ()
        played.fails_at = lambda _: False
        witness.poll()

        assert witness.report().losses[Extent.EVERYTHING] >= 3
        assert set(witness.query([HERE, THERE]).uids) == {OLD, CALM}
        assert witness.holders[HERE] is Doubt.SUSPENDED


async def test_a_question_that_fails_while_a_request_waits_is_followed_by_a_new_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By itself: nobody else may ask, and nothing is heard."""
    monkeypatch.setattr(rereads, "PAUSES", dict.fromkeys(rereads.PAUSES, 0.0))
    played = PlayedKernel()
    with witnessed(played) as witness:
        replaced(played)
        witness.poll()
        read = witness.report().rereads[Extent.EVERYTHING]
        failing = played.calls + 1
        played.fails_at = lambda count: count == failing
        assert witness.query([HERE]).uids == ()
        assert witness.holders[THERE] is Doubt.SUSPENDED

        async with asyncio.timeout(30):
            while witness.report().rereads[Extent.EVERYTHING] == read:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)


async def test_what_overruns_again_and_again_is_read_anew_once_a_second() -> None:
    """Until then nobody is vouched for, and nothing is read."""
    played = PlayedKernel()
    with witnessed(played) as witness:
        attempts = witness.report().rereads[Extent.EVERYTHING]
        for _ in range(10):
            replaced(played)
            calls = played.calls
            played.fails_at = lambda count, at=calls + 1: count == at
            witness.poll()
            assert witness.holders[THERE] is Doubt.SUSPENDED

        assert witness.report().rereads[Extent.EVERYTHING] - attempts <= 1
        assert played.sockets == [each for each in played.sockets if not each.groups]


async def test_a_bug_while_news_are_taken_in_leaves_nobody_vouched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends the process, and until then nothing is answered by what may be half known."""
    played = PlayedKernel()
    with witnessed(played) as witness:
        replaced(played)
        monkeypatch.setattr(Kernel, "observe", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            witness.poll()

        assert set(witness.holders.values()) == {Doubt.SUSPENDED}


async def test_more_news_than_one_turn_takes_leave_nobody_vouched_for_until_all_are_read() -> None:
    """They are read on in the next turn, and nothing is lost by it."""
    played = PlayedKernel()
    with witnessed(played) as witness:
        for each in range(400):
            played.add(1000 + each, ip_address("10.1.0.0") + each)
        replaced(played)
        witness.poll()
        assert set(witness.holders.values()) == {Doubt.SUSPENDED}
        while witness._kernel.has_changes:  # noqa: SLF001 - as its loop does
            witness.poll()

        assert witness.holders[THERE] == CALM
        assert witness.holders[HERE] is Doubt.SUSPENDED
        assert not witness.report().losses


async def test_neighbours_are_heard_of_while_a_bridge_has_ports_and_not_else() -> None:
    """Any pod can have the kernel say much of them; by such a socket nothing else is lost."""
    played = PlayedKernel()
    with witnessed(played) as witness:
        heard = []
        for change in (
            lambda: played.add_link(20, kind=b"bridge"),
            lambda: played.add_link(21, master=20),
            lambda: played.remove(21),
        ):
            change()
            while witness._kernel.has_changes:  # noqa: SLF001 - as its loop does
                witness.poll()
            heard.append(any(each.groups == layout.NEIGHBOURS for each in played.sockets))

        assert heard == [False, True, False]
        assert not any(
            each.groups & layout.NEIGHBOURS and each.groups & layout.ROUTING
            for each in played.sockets
        )
        assert witness.holders[THERE] == CALM
