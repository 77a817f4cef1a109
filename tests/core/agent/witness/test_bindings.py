"""Whom an address stands for, as links come and go and the server speaks.

What a start proves of a link is in `test_evidence.py`.
"""

from ipaddress import ip_address

from core.agent.witness.rig import (
    FIRST,
    HERE,
    SECOND,
    THERE,
    Node,
    at,
    bound,
    link,
    route,
)
from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import NONE, Doubt
from rolecall_proto.values import Confirmation


def test_a_pod_is_bound_that_started_after_its_link_came() -> None:
    """The usual order: the CNI makes the link, the kubelet reports, the watch tells."""
    node = Node()
    node.observe(route(1, born=0.0))

    assert node.claim(first=0) == {HERE}
    assert node.holder() == FIRST


def test_a_pod_that_is_named_before_its_link_is_bound_when_it_comes() -> None:
    """In whatever order it is heard: the times say what was first."""
    node = Node(now=1.0)
    node.claim(first=0)
    assert node.observe(route(1, born=0.0)) == {HERE}

    assert node.holder() == FIRST


def test_another_link_suspends_a_binding() -> None:
    """Whoever has the address now is not who had it."""
    node = bound()

    assert node.observe(route(2, born=1.0)) == {HERE}
    assert node.holder() is Doubt.SUSPENDED
    assert node.bindings.statistics().suspensions == 1


def test_a_link_that_goes_suspends_a_binding() -> None:
    """Also before any other comes: nobody has the address now."""
    node = bound()

    assert node.observe(NONE) == {HERE}
    assert node.holder() is Doubt.SUSPENDED


def test_a_link_that_returns_is_the_same() -> None:
    """Nothing is lost by a route that flaps."""
    node = bound()
    node.observe(NONE)
    node.observe(route(1, born=0.0))

    assert node.holder() == FIRST


def test_the_next_pod_takes_over_once_it_has_started() -> None:
    """Also while the last one is still listed: the API is behind."""
    node = bound()
    node.now = 2.0
    node.observe(route(2, born=1.5))
    node.claim(first=0, second=2)

    assert node.holder() == SECOND


def test_doubled_and_late_messages_about_the_last_pod_change_nothing() -> None:
    """Named again, removed and named again: it is not the pod behind the new link."""
    node = bound()
    node.now = 2.0
    node.observe(route(2, born=1.5))
    for starts in ({"first": 0}, {}, {"first": 0}, {"first": 0}):
        node.claim(**starts)
        assert node.holder() in (None, Doubt.SUSPENDED)

    node.settle()
    assert node.holder() is Doubt.SUSPENDED


def test_a_live_read_tells_of_a_later_start() -> None:
    """The watch is behind: the pod's sandbox was made anew, and is ready."""
    node = bound()
    node.now = 1.5
    node.observe(route(2, born=1.5))
    node.now = 3.0

    assert node.read(first=2) == {HERE}
    assert node.holder() == FIRST


def test_a_live_read_that_says_otherwise_changes_nothing() -> None:
    """Gone, or somewhere else, or not to be read."""
    for read in ({FIRST: Confirmation()}, {FIRST: Confirmation((THERE,), None)}, {}):
        node = bound()
        node.now = 3.0
        node.observe(route(2, born=1.5))
        query = node.bindings.query([HERE])

        assert query.uids == (FIRST,)
        assert node.bindings.answer(query, read, at(node.now)) == set()
        assert node.holder() is Doubt.SUSPENDED


def test_of_two_claimants_the_bound_one_has_the_link() -> None:
    """A second pod that says it has the address has not taken the link."""
    node = bound()
    node.claim(first=0, second=1)

    assert node.holder() == FIRST


def test_a_link_does_not_change_hands() -> None:
    """Another pod that is named for it, and not the one that was proved, is not believed."""
    node = bound()
    node.claim(second=1)

    assert node.holder() is Doubt.SUSPENDED


def test_an_address_without_a_link_is_refused_by_default() -> None:
    """Nothing vouches for whoever asks from there."""
    node = Node()
    node.claim(first=0)

    assert node.holder() is Doubt.UNWITNESSED


def test_an_operator_may_have_it_served_all_the_same() -> None:
    """The watch is believed then, as it was before there was a witness."""
    node = Node(accept=True)
    node.claim(first=0)

    assert node.holder() is Doubt.ACCEPTED


def test_what_had_a_link_needs_one() -> None:
    """However the operator has set it: its link is gone, and somebody else may come."""
    node = Node(accept=True)
    node.observe(route(1, born=0.0))
    node.claim(first=0)
    node.observe(NONE)

    assert node.holder() is Doubt.SUSPENDED


def test_a_link_is_the_proof_of_one_pod() -> None:
    """What leads to another pod already proves nothing for this one."""
    node = bound()
    node.observe(route(1, born=0.0), THERE)
    node.claim(THERE, second=1)

    assert node.holder(THERE) is Doubt.SUSPENDED
    assert node.holder() == FIRST


def test_a_pod_has_both_its_addresses_by_one_link() -> None:
    """Dual stack: two routes, one link, one pod."""
    node = Node()
    six = ip_address("fd00::1")
    for address in (HERE, six):
        node.observe(route(1, born=0.0), address)
        node.claim(address, first=0)

    assert (node.holder(), node.holder(six)) == (FIRST, FIRST)


def test_where_nothing_is_and_nobody_is_named_all_is_forgotten() -> None:
    """A minute later, when another address needs a place."""
    node = bound()
    node.observe(NONE)
    node.claim()
    node.now += 59.0
    node.observe(route(2), THERE)
    assert HERE in node.bindings.addresses
    node.now += 1.0
    node.observe(route(3), ip_address("10.0.0.3"))

    assert HERE not in node.bindings.addresses
    assert THERE in node.bindings.addresses


def test_nothing_is_held_of_an_address_that_nobody_has() -> None:
    """The table that is read for each request has living pods only."""
    node = bound()

    assert node.claim() == {HERE}
    assert node.bindings.holders == {}


def test_statistics_count_living_addresses() -> None:
    """Confirmed, suspended, and without a witness."""
    node = bound()
    node.claim(THERE, second=0)
    three = ip_address("10.0.0.3")
    node.claim(three, third=0)
    node.observe(route(3), three)
    statistics = node.bindings.statistics()

    assert (statistics.confirmed, statistics.suspended, statistics.unwitnessed) == (1, 1, 1)


def test_the_state_has_what_a_next_agent_can_use() -> None:
    """Links that exist, and pods that are listed."""
    node = bound()
    assert node.bindings.state() == {HERE: Binding(FIRST, link(1))}

    node.set_links([2])
    node.observe(NONE)
    assert node.bindings.state() == {HERE: Binding(FIRST, link(1))}
    node.claim()
    assert node.bindings.state() == {}
