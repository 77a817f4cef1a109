"""Whom an address stands for: every order of what the server says and what the kernel shows."""

from ipaddress import ip_address

from core.agent.witness.rig import FIRST, HERE, SECOND, THERE, THIRD, Node, bound, route
from rolecall_agent.witness.bindings import SETTLING
from rolecall_agent.witness.observation import NONE, Doubt


def test_a_pod_is_bound_that_is_named_after_its_link_came() -> None:
    """The usual order: the CNI makes the link, the kubelet reports, the watch tells."""
    node = Node()
    node.observe(route(1))

    assert node.claim(FIRST) == {HERE}
    assert node.holder() == FIRST


def test_a_pod_that_is_named_before_its_link_waits_for_a_live_read() -> None:
    """A link that comes after the name may be the next pod's."""
    node = Node()
    node.claim(FIRST)
    node.observe(route(1))
    assert node.holder() is Doubt.SUSPENDED

    assert node.read({FIRST: [HERE]}) == {HERE}
    assert node.holder() == FIRST


def test_another_link_suspends_a_binding() -> None:
    """Whoever has the address now is not who had it."""
    node = bound()

    assert node.observe(route(2)) == {HERE}
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
    node.observe(route(1))

    assert node.holder() == FIRST


def test_a_number_that_is_given_again_is_another_link() -> None:
    """Also where nothing was seen in between: it came, the last one must have gone."""
    node = bound()

    assert node.observe(route(1, turn=1)) == {HERE}
    assert node.holder() is Doubt.SUSPENDED


def test_the_next_pod_takes_over_once_it_is_named() -> None:
    """Also while the last one is still listed: the API is behind."""
    node = bound()
    node.observe(route(2))
    node.claim(FIRST, SECOND)

    assert node.holder() == SECOND


def test_doubled_and_late_messages_about_the_last_pod_change_nothing() -> None:
    """Named again, removed and named again: it is not the pod behind the new link."""
    node = bound()
    node.observe(route(2))
    for claimants in ([FIRST], [], [FIRST], [FIRST]):
        node.claim(*claimants)
        assert node.holder() in (None, Doubt.SUSPENDED)

    node.now += 100 * SETTLING
    node.bindings.tick(node.now)
    assert node.holder() is Doubt.SUSPENDED


def test_the_same_pod_returns_by_a_live_read() -> None:
    """Its sandbox was made anew, and it was given the same address."""
    node = bound()
    node.observe(route(2))

    node.read({FIRST: [HERE]})
    assert node.holder() == FIRST


def test_a_live_read_from_before_the_change_is_worth_nothing() -> None:
    """Asked while the first link was being replaced, answered when the third is there."""
    node = bound()
    node.observe(route(2))
    query = node.bindings.query([HERE])
    node.observe(route(3))

    assert node.bindings.answer(query, {FIRST: [HERE]}) == set()
    assert node.holder() is Doubt.SUSPENDED


def test_a_live_read_that_says_otherwise_changes_nothing() -> None:
    """Gone, or somewhere else, or not to be read."""
    for answers in ({FIRST: []}, {FIRST: [THERE]}, {}):
        node = bound()
        node.observe(route(2))

        assert node.read(answers) == set()


def test_of_two_claimants_the_confirmed_link_wins() -> None:
    """A second pod that says it has the address has not taken the link."""
    node = bound()
    node.claim(FIRST, SECOND)

    assert node.holder() == FIRST


def test_of_two_new_claimants_none_is_believed() -> None:
    """A live read that only one of them has the address decides."""
    node = Node()
    node.observe(route(1))
    node.claim(FIRST, SECOND)
    assert node.holder() is Doubt.SUSPENDED

    node.read({FIRST: [HERE], SECOND: [HERE]})
    assert node.holder() is Doubt.SUSPENDED
    node.read({FIRST: [], SECOND: [HERE]})
    assert node.holder() == SECOND


def test_another_pod_on_the_same_link_waits_for_a_live_read() -> None:
    """Links do not change hands, so that one of the two messages is wrong."""
    node = bound()
    node.claim(SECOND)
    assert node.holder() is Doubt.SUSPENDED

    node.read({SECOND: [HERE]})
    assert node.holder() == SECOND


def test_a_pod_that_lived_between_two_messages_is_not_mistaken() -> None:
    """Its link came and went unnamed, so that the late name may be its."""
    node = bound()
    node.observe(route(2))
    node.observe(route(3))
    node.claim(SECOND)
    assert node.holder() is Doubt.SUSPENDED

    node.now += SETTLING
    assert node.bindings.tick(node.now) == {HERE}
    assert node.holder() == SECOND


def test_a_first_pod_that_was_gone_before_it_was_named_is_not_mistaken() -> None:
    """The same, at an address that nobody had before."""
    node = Node()
    node.observe(route(1))
    node.observe(NONE)
    node.observe(route(2))
    node.claim(FIRST)

    assert node.holder() is Doubt.SUSPENDED


def test_an_address_without_a_link_is_refused_by_default() -> None:
    """Nothing vouches for whoever asks from there."""
    node = Node()
    node.claim(FIRST)

    assert node.holder() is Doubt.UNWITNESSED


def test_an_operator_may_have_it_served_all_the_same() -> None:
    """The watch is believed then, as it was before there was a witness."""
    node = Node(accept=True)
    node.claim(FIRST)

    assert node.holder() is Doubt.ACCEPTED


def test_what_had_a_link_needs_one() -> None:
    """However the operator has set it: its link is gone, and somebody else may come."""
    node = Node(accept=True)
    node.observe(route(1))
    node.claim(FIRST)
    node.observe(NONE)

    assert node.holder() is Doubt.SUSPENDED


def test_a_link_is_the_proof_of_one_pod() -> None:
    """What leads to another pod already proves nothing for this one."""
    node = bound()
    node.observe(route(1), THERE)
    node.claim(SECOND, address=THERE)
    assert node.holder(THERE) is Doubt.SUSPENDED

    node.read({SECOND: [THERE]})
    assert node.holder(THERE) is Doubt.SUSPENDED
    assert node.holder() == FIRST


def test_a_pod_has_both_its_addresses_by_one_link() -> None:
    """Dual stack: two routes, one link, one pod."""
    node = Node()
    six = ip_address("fd00::1")
    for address in (HERE, six):
        node.observe(route(1), address)
        node.claim(FIRST, address=address)

    assert (node.holder(), node.holder(six)) == (FIRST, FIRST)


def test_where_nothing_is_and_nobody_is_named_all_is_forgotten() -> None:
    """Once no name can come any more, and another address needs a place."""
    node = bound()
    node.observe(NONE)
    node.claim()
    node.now += SETTLING - 0.1
    node.observe(route(2), THERE)
    assert HERE in node.bindings.addresses
    node.now += 0.1
    node.observe(route(3), ip_address("10.0.0.3"))

    assert HERE not in node.bindings.addresses
    assert THERE in node.bindings.addresses


def test_a_link_without_a_name_is_not_forgotten() -> None:
    """Its pod is yet to be named, and then that the link came first is the proof."""
    node = Node()
    node.observe(route(1))
    node.now += 100 * SETTLING
    node.observe(route(2), THERE)
    node.claim(FIRST)

    assert node.holder() == FIRST


def test_nothing_is_held_of_an_address_that_nobody_has() -> None:
    """The table that is read for each request has living pods only."""
    node = bound()

    assert node.claim() == {HERE}
    assert node.bindings.holders == {}


def test_statistics_count_living_addresses() -> None:
    """Confirmed, suspended, and without a witness."""
    node = bound()
    node.claim(SECOND, address=THERE)
    three = ip_address("10.0.0.3")
    node.claim(THIRD, address=three)
    node.observe(route(3), three)
    statistics = node.bindings.statistics()

    assert (statistics.confirmed, statistics.suspended, statistics.unwitnessed) == (1, 1, 1)
