"""Ten thousand operations without a broken promise, and proof that a broken one would be seen."""

import random
from datetime import datetime

import pytest

from rolecall_proto.values import Address, NodeName, Resolution, SessionId
from rolecall_server.engine.broker import Broker
from rolecall_server.model import renewal_window
from rolecall_server.model.identity import Identity
from rolecall_server.model.source import Change, PodGone
from simulation.operations import draw
from simulation.search import search
from simulation.server import sound_broker
from simulation.shrinking import shortest
from simulation.violations import (
    NEVER_ANOTHERS,
    NEVER_LATE,
    NEVER_LEFT_WAITING,
    NEVER_RAISES,
    NEVER_WRONGLY_REFUSED,
    ONE_CALL,
)

OPERATIONS, SEED = 10_000, 1


def test_no_promise_is_broken() -> None:
    """Servers, streams, watches and STS fail at random; pods come, go and change all the while."""
    summary = search(OPERATIONS, SEED)

    assert summary.finding is None, str(summary.finding)
    assert summary.operations == OPERATIONS
    # Not in vain: each kind of answer has been there to be judged.
    assert summary.answers["granted, all being well"] > 250
    assert summary.answers["refused"] > 200
    assert summary.answers["held in vain"] > 50
    assert summary.answers["another's, before the news"] < summary.answers["granted"] / 20


def test_a_seed_is_enough_to_see_it_again() -> None:
    """The same seed does the same, call by call."""
    assert search(2000, 7) == search(2000, 7)


class DeafToDeaths(Broker):
    """Misses that pods are gone."""

    def apply(self, change: Change, now: datetime) -> None:
        if not isinstance(change, PodGone):
            super().apply(change, now)


class Sleeper(Broker):
    """Never says when it wants to be asked next."""

    def next_moment(self, now: datetime) -> datetime | None:  # noqa: ARG002 (as it is called)
        return None


class Stutterer(Broker):
    """Has everything issued twice at once."""

    def due(self, now: datetime) -> list[Identity]:
        return super().due(now) * 2


class Crasher(Broker):
    """Raises where it should not."""

    def resolve(self, node: NodeName, address: Address, now: datetime) -> Resolution:
        raise ZeroDivisionError(f"{node} {address} {now}")


@pytest.mark.parametrize(
    ("kind", "promises"),
    [
        (DeafToDeaths, {NEVER_ANOTHERS, NEVER_WRONGLY_REFUSED}),
        (Sleeper, {NEVER_LEFT_WAITING, NEVER_LATE}),
        (Stutterer, {ONE_CALL}),
        (Crasher, {NEVER_RAISES}),
    ],
)
def test_a_broker_with_a_bug_is_found_out(kind: type[Broker], promises: set[str]) -> None:
    """And the way to the broken promise is short enough to be read."""

    def brokers(dice: random.Random) -> Broker:
        broker = sound_broker(dice)
        broker.__class__ = kind  # The bug is all that is different.
        return broker

    finding = search(OPERATIONS, SEED, brokers).finding

    assert finding is not None
    assert finding.promise in promises, str(finding)
    assert len(finding.trace) < 60
    assert f"seed {finding.seed}" in str(finding)


def test_late_renewal_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that are renewed in their last minutes."""
    monkeypatch.setattr(renewal_window, "EARLIEST", 0.9)
    monkeypatch.setattr(renewal_window, "LATEST", 0.95)
    finding = search(OPERATIONS, SEED).finding

    assert finding is not None
    assert finding.promise == NEVER_LATE


def test_early_renewal_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that asks STS more often than it may."""
    monkeypatch.setattr(renewal_window, "EARLIEST", 0.1)
    finding = search(OPERATIONS, SEED).finding

    assert finding is not None
    assert finding.promise == ONE_CALL


def test_mixed_up_identities_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest that leaves out the role."""
    careless = property(lambda identity: SessionId(identity.session_name))
    monkeypatch.setattr(Identity, "session_id", careless)
    finding = search(OPERATIONS, SEED).finding

    assert finding is not None
    assert finding.promise == NEVER_ANOTHERS


def test_a_trace_shrinks_to_what_matters() -> None:
    """Two operations of a hundred are enough, and exactly they are left."""
    trace = draw(SEED, 100)
    needed = {trace[17], trace[71]}

    assert list(shortest(trace, lambda some: needed <= set(some))) == [trace[17], trace[71]]
