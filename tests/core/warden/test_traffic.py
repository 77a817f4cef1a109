"""What the counters say: who drops what, and whether pods come to the endpoints."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.junk import changed, documents
from core.warden.node import counters_as_listed
from rolecall_common.guards import Endpoint, Guard
from rolecall_warden import counters
from rolecall_warden.counters import Stage
from rolecall_warden.traffic import Traffic

HALVES = {"in": (Stage.ASKED, Stage.ARRIVED), "out": (Stage.ANSWERED, Stage.LEFT)}


class Node:
    """The counters of a table, read once in ten seconds."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.now = 0.0
        self._counts = dict.fromkeys(counters.names(), 0)

    def count(self, name: str, packets: int) -> None:
        self._counts[name] += packets

    def connect(
        self, connections: int, endpoint: Endpoint, half: str = "in", lost: int = 0
    ) -> None:
        before, behind = (counters.of_stage(endpoint, stage, "4") for stage in HALVES[half])
        self.count(before, connections)
        self.count(behind, connections - lost)

    def look(self, times: int = 1) -> set[Endpoint]:
        """Read the counters so often; return which endpoints are blocked then."""
        for _ in range(times):
            self.now += 10
            self.traffic.take(dict(self._counts), self.now)
        return set(self.traffic.blocked(self.now))


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("half", HALVES)
def test_an_endpoint_to_which_nothing_passes_is_blocked(endpoint: Endpoint, half: str) -> None:
    """On the way in or out: somebody else's rules drop what ours have let through."""
    node = Node()
    node.connect(3, endpoint, half, lost=3)
    node.look(2)

    assert node.look() == {endpoint}
    assert node.traffic.lost[endpoint] == 3
    (text,) = node.traffic.blocked(node.now).values()
    assert f"the {endpoint} endpoint: by IPv4" in text


def test_the_word_stands_until_something_passes_and_no_longer() -> None:
    """It is a level: nobody asks for a minute, and pods are kept out all the same."""
    node = Node()
    node.connect(3, Endpoint.METADATA, lost=3)
    node.look(2)
    quiet = node.look(6)
    node.connect(1, Endpoint.METADATA)

    assert quiet == {Endpoint.METADATA}
    assert node.look() == set()


def test_a_loss_that_is_long_past_says_nothing_of_now() -> None:
    """Whoever asked is gone: no node stays unready for a pod that is no more."""
    node = Node()
    node.connect(3, Endpoint.METADATA, lost=3)

    assert node.look(30) == {Endpoint.METADATA}
    assert node.look(10) == set()
    assert node.traffic.lost[Endpoint.METADATA] == 3


def test_one_pod_that_is_kept_out_on_purpose_blocks_nobody_else() -> None:
    """A network policy may drop what one pod sends: others come in, and it is counted."""
    node = Node()
    for _ in range(5):
        node.connect(100, Endpoint.METADATA, lost=40)
        assert node.look() == set()
    assert node.look() == set()
    assert node.traffic.lost[Endpoint.METADATA] == 200


def test_what_is_on_its_way_at_a_reading_is_not_lost() -> None:
    """The counters are read one after another, while packets pass."""
    node = Node()
    for _ in range(100):
        node.count("metadata_asked4", 5)
        blocked = node.look()
        node.count("metadata_arrived4", 5)
        assert blocked == set()
    node.look(2)

    assert node.traffic.lost[Endpoint.METADATA] == 0


def test_what_our_own_limit_drops_is_not_lost() -> None:
    """One pod that opens more connections than it may is no firewall."""
    node = Node()
    node.connect(10, Endpoint.METADATA, lost=10)
    node.count(counters.of_guard(Guard.CONNECTIONS, "4"), 10)

    assert node.look(3) == set()
    assert node.traffic.dropped[Guard.CONNECTIONS] == 10


def test_counts_go_on_over_a_table_that_is_replaced() -> None:
    """A repair puts the counters to zero, and what was counted before it is not forgotten."""
    traffic = Traffic()
    name = counters.of_guard(Guard.FORGED, "6")
    zero = dict.fromkeys(counters.names(), 0)
    traffic.take(zero | {name: 5}, 0.0)
    traffic.begin_anew()
    traffic.take(zero | {name: 7}, 1.0)
    traffic.take(zero | {name: 3}, 2.0)  # Replaced by somebody who has not said so.

    assert traffic.dropped[Guard.FORGED] == 15


COUNTS = st.dictionaries(st.sampled_from(list(counters.names())), st.integers(0, 2**64 - 1))


@given(st.lists(COUNTS, max_size=8))
def test_whatever_is_counted_totals_only_rise(readings: list[Mapping[str, int]]) -> None:
    """Prometheus takes a count that falls for a new beginning."""
    traffic = Traffic()
    before = [0]
    for moment, counts in enumerate(readings):
        read = counters.parse(counters_as_listed(counts))
        assert read is not None
        traffic.take(read, float(moment))
        after = [*traffic.dropped.values(), *traffic.lost.values()]
        assert all(each >= 0 for each in after)
        assert sum(after) >= sum(before)
        before = after


GOOD = counters_as_listed({"metadata_asked4": 3}).encode()


@given(documents(["nftables", "counter", "name", "packets"]) | changed(GOOD))
def test_whatever_nft_answers_is_counts_or_nothing(text: bytes) -> None:
    """No answer of a tool makes the warden fail in an unforeseen way."""
    read = counters.parse(text.decode(errors="replace"))

    assert read is None or set(read) == set(counters.names())
