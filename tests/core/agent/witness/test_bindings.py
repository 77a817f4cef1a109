"""Whom an address stands for: every order of what the server says and what the kernel shows."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address

from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.entries import Bound
from rolecall_agent.witness.observation import NONE, SILENT, Doubt, Holder, LinkId, Sight, Way
from rolecall_proto.values import Address, PodUid

HERE = ip_address("10.0.0.1")
THERE = ip_address("10.0.0.2")
FIRST, SECOND, THIRD = PodUid("first"), PodUid("second"), PodUid("third")
SETTLED = SETTLING + 1


def link(number: int, turn: int = 0) -> LinkId:
    return LinkId(number, 1000 * turn + number, turn)


def route(number: int, turn: int = 0) -> Sight:
    return Sight(Way.ROUTE, link(number, turn))


def port(number: int) -> Sight:
    return Sight(Way.BRIDGE, link(number))


class Node:
    """Bindings, and one time for everything that they are told."""

    def __init__(
        self,
        record: Mapping[Address, Bound] | None = None,
        *,
        accept: bool = False,
        now: float = SETTLED,
    ) -> None:
        self.bindings = Bindings(record or {}, accept_unwitnessed=accept)
        self.bindings.begin(0.0)
        self.know_links(range(1, 100))
        self.bindings.told()
        self.now = now

    def know_links(self, numbers: Iterable[int]) -> None:
        self.bindings.know_links(map(link, numbers))

    def see(self, sight: Sight, address: Address = HERE) -> set[Address]:
        return self.bindings.see(address, sight, self.now)

    def claim(self, *uids: PodUid, address: Address = HERE) -> set[Address]:
        return self.bindings.claim(address, uids, self.now)

    def read(self, answers: Mapping[PodUid, Collection[Address]]) -> set[Address]:
        """Ask for a live read of whatever is in doubt, and answer it so."""
        return self.bindings.answer(self.bindings.query([HERE, THERE]), answers)

    def holder(self, address: Address = HERE) -> Holder | None:
        return self.bindings.holders.get(address)


def bound(uid: PodUid = FIRST, number: int = 1) -> Node:
    node = Node()
    node.see(route(number))
    node.claim(uid)
    assert node.holder() == uid
    return node


def test_a_pod_is_bound_that_is_named_after_its_link_came() -> None:
    """The usual order: the CNI makes the link, the kubelet reports, the watch tells."""
    node = Node()
    node.see(route(1))

    assert node.claim(FIRST) == {HERE}
    assert node.holder() == FIRST


def test_a_pod_that_is_named_before_its_link_waits_for_a_live_read() -> None:
    """A link that comes after the name may be the next pod's."""
    node = Node()
    node.claim(FIRST)
    node.see(route(1))
    assert node.holder() is Doubt.SUSPENDED

    assert node.read({FIRST: [HERE]}) == {HERE}
    assert node.holder() == FIRST


def test_another_link_suspends_a_binding() -> None:
    """Whoever has the address now is not who had it."""
    node = bound()

    assert node.see(route(2)) == {HERE}
    assert node.holder() is Doubt.SUSPENDED
    assert node.bindings.statistics().suspensions == 1


def test_a_link_that_goes_suspends_a_binding() -> None:
    """Also before any other comes: nobody has the address now."""
    node = bound()

    assert node.see(NONE) == {HERE}
    assert node.holder() is Doubt.SUSPENDED


def test_a_link_that_returns_is_the_same() -> None:
    """Nothing is lost by a route that flaps."""
    node = bound()
    node.see(NONE)
    node.see(route(1))

    assert node.holder() == FIRST


def test_a_number_that_is_given_again_is_another_link() -> None:
    """Also where nothing was seen in between: it came, the last one must have gone."""
    node = bound()

    assert node.see(route(1, turn=1)) == {HERE}
    assert node.holder() is Doubt.SUSPENDED


def test_the_next_pod_takes_over_once_it_is_named() -> None:
    """Also while the last one is still listed: the API is behind."""
    node = bound()
    node.see(route(2))
    node.claim(FIRST, SECOND)

    assert node.holder() == SECOND


def test_doubled_and_late_messages_about_the_last_pod_change_nothing() -> None:
    """Named again, removed and named again: it is not the pod behind the new link."""
    node = bound()
    node.see(route(2))
    for claimants in ([FIRST], [], [FIRST], [FIRST]):
        node.claim(*claimants)
        assert node.holder() in (None, Doubt.SUSPENDED)

    node.now += 100 * SETTLING
    node.bindings.tick(node.now)
    assert node.holder() is Doubt.SUSPENDED


def test_the_same_pod_returns_by_a_live_read() -> None:
    """Its sandbox was made anew, and it was given the same address."""
    node = bound()
    node.see(route(2))

    node.read({FIRST: [HERE]})
    assert node.holder() == FIRST


def test_a_live_read_from_before_the_change_is_worth_nothing() -> None:
    """Asked while the first link was being replaced, answered when the third is there."""
    node = bound()
    node.see(route(2))
    query = node.bindings.query([HERE])
    node.see(route(3))

    assert node.bindings.answer(query, {FIRST: [HERE]}) == set()
    assert node.holder() is Doubt.SUSPENDED


def test_a_live_read_that_says_otherwise_changes_nothing() -> None:
    """Gone, or somewhere else, or not to be read."""
    for answers in ({FIRST: []}, {FIRST: [THERE]}, {}):
        node = bound()
        node.see(route(2))

        assert node.read(answers) == set()


def test_of_two_claimants_the_confirmed_link_wins() -> None:
    """A second pod that says it has the address has not taken the link."""
    node = bound()
    node.claim(FIRST, SECOND)

    assert node.holder() == FIRST


def test_of_two_new_claimants_none_is_believed() -> None:
    """A live read that only one of them has the address decides."""
    node = Node()
    node.see(route(1))
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
    node.see(route(2))
    node.see(route(3))
    node.claim(SECOND)
    assert node.holder() is Doubt.SUSPENDED

    node.now += SETTLING
    assert node.bindings.tick(node.now) == {HERE}
    assert node.holder() == SECOND


def test_a_first_pod_that_was_gone_before_it_was_named_is_not_mistaken() -> None:
    """The same, at an address that nobody had before."""
    node = Node()
    node.see(route(1))
    node.see(NONE)
    node.see(route(2))
    node.claim(FIRST)

    assert node.holder() is Doubt.SUSPENDED


def test_what_an_agent_finds_at_its_start_settles_first() -> None:
    """What happened before it looked, it did not see."""
    node = Node(now=0.0)
    node.see(route(1))
    node.claim(FIRST)
    assert node.holder() is Doubt.SUSPENDED
    assert node.bindings.next_moment() == SETTLING

    node.now = SETTLING
    assert node.bindings.tick(node.now) == {HERE}
    assert node.holder() == FIRST
    assert node.bindings.next_moment() is None


def test_a_live_read_need_not_wait_for_the_settling() -> None:
    """It is later than everything that was not seen."""
    node = Node(now=0.0)
    node.see(route(1))
    node.claim(FIRST)
    node.read({FIRST: [HERE]})

    assert node.holder() == FIRST
    assert node.bindings.next_moment() is None


def test_a_recorded_link_is_trusted_at_once() -> None:
    """The agent before this one saw it come into being."""
    node = Node({HERE: Bound(FIRST, link(1))}, now=0.0)
    node.see(route(1))
    node.claim(FIRST)

    assert node.holder() == FIRST


def test_a_recorded_pod_with_another_link_is_suspended() -> None:
    """Somebody came while no agent looked; the pod itself has to be read."""
    node = Node({HERE: Bound(FIRST, link(1))}, now=0.0)
    node.see(route(2))
    node.claim(FIRST)
    node.now = SETTLED
    node.bindings.tick(node.now)

    assert node.holder() is Doubt.SUSPENDED


def test_a_recorded_number_that_was_given_again_is_another_link() -> None:
    """The last pod's link had it, and went while no agent looked."""
    node = Node({HERE: Bound(FIRST, link(1))}, now=0.0)
    node.see(Sight(Way.ROUTE, LinkId(1, birth=7)))
    node.claim(FIRST)

    assert node.holder() is Doubt.SUSPENDED


def test_a_recorded_link_is_not_another_pods() -> None:
    """The server names one that the record does not know."""
    node = Node({HERE: Bound(FIRST, link(1))}, now=0.0)
    node.see(route(1))
    node.claim(SECOND)

    assert node.holder() is Doubt.SUSPENDED


def test_lost_news_are_a_start_whose_record_is_memory() -> None:
    """What still has its link is served on; what is new settles."""
    node = bound()
    node.bindings.begin(node.now)
    node.see(route(1))
    node.see(route(2), THERE)
    node.claim(SECOND, address=THERE)

    assert node.holder() == FIRST
    assert node.holder(THERE) is Doubt.SUSPENDED


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
    node.see(route(1))
    node.claim(FIRST)
    node.see(NONE)

    assert node.holder() is Doubt.SUSPENDED


def test_a_link_is_the_proof_of_one_pod() -> None:
    """What leads to another pod already proves nothing for this one."""
    node = bound()
    node.see(route(1), THERE)
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
        node.see(route(1), address)
        node.claim(FIRST, address=address)

    assert (node.holder(), node.holder(six)) == (FIRST, FIRST)


def test_a_silent_pod_behind_a_bridge_waits() -> None:
    """Nobody can ask from there before the bridge has heard from it."""
    node = Node()
    node.claim(FIRST)
    node.see(SILENT)
    assert node.holder() is Doubt.SUSPENDED

    node.see(port(1))
    node.read({FIRST: [HERE]})
    assert node.holder() == FIRST


def test_a_bridge_that_forgets_a_port_changes_nothing() -> None:
    """Entries age; whoever comes next has to say something first."""
    node = Node()
    node.see(port(1))
    node.claim(FIRST)

    assert node.see(SILENT) == set()
    assert node.holder() == FIRST


def test_a_port_that_is_gone_is_not_merely_silent() -> None:
    """The pod behind it is gone."""
    node = Node()
    node.see(port(1))
    node.claim(FIRST)
    node.know_links([2, 3])

    assert node.see(SILENT) == {HERE}
    assert node.holder() is Doubt.SUSPENDED


def test_who_takes_an_address_on_a_bridge_gets_nothing_by_it() -> None:
    """The API says, truly, that it is the victim's; the victim's own port is still there."""
    node = Node()
    node.see(port(1))
    node.claim(FIRST)
    node.see(port(2))
    node.read({FIRST: [HERE]})
    assert node.holder() is Doubt.SUSPENDED

    node.see(port(1))
    assert node.holder() == FIRST


def test_a_pod_behind_a_bridge_returns_once_its_old_port_is_gone() -> None:
    """Its sandbox was made anew."""
    node = Node()
    node.see(port(1))
    node.claim(FIRST)
    node.know_links([2])
    node.see(port(2))
    node.read({FIRST: [HERE]})

    assert node.holder() == FIRST


def flooded() -> Node:
    """Return a node behind whose bridge a pod has made up more addresses than are remembered."""
    node = bound()
    for number in range(5000):
        node.see(port(2), ip_address(0x0B000000 + number))
    return node


def test_who_floods_the_bridge_does_not_make_us_forget_unnoticed() -> None:
    """What is new to us may have been there for long: two names are one too many."""
    node = flooded()
    node.claim(SECOND, address=THERE)
    node.see(port(3), THERE)
    node.claim(SECOND, THIRD, address=THERE)
    node.now += SETTLING
    node.bindings.tick(node.now)

    assert node.holder(THERE) is Doubt.SUSPENDED


def test_who_floods_the_bridge_makes_new_pods_settle() -> None:
    """As those that an agent finds at its start; a live read need not wait."""
    node = flooded()
    node.claim(SECOND, address=THERE)
    node.see(port(3), THERE)
    assert node.holder(THERE) is Doubt.SUSPENDED
    node.now += SETTLING
    node.bindings.tick(node.now)

    assert node.holder(THERE) == SECOND


def test_who_floods_the_bridge_unsettles_nobody_that_is_known() -> None:
    """A pod whose link has changed is believed by its next name, as ever."""
    node = flooded()
    assert node.holder() == FIRST
    node.see(route(4))
    node.claim(SECOND)

    assert node.holder() == SECOND


def test_who_floods_the_bridge_takes_no_room() -> None:
    """Some hundred addresses without a name are enough; pods that are named come beside them."""
    node = flooded()
    unnamed = len(node.bindings.addresses)
    node.see(port(3), THERE)
    assert len(node.bindings.addresses) == unnamed < 1500

    for number in range(2000):
        node.claim(SECOND, address=ip_address(0x0C000000 + number))
    assert len(node.bindings.addresses) == unnamed + 2000


def test_a_link_with_a_route_is_remembered_in_a_flood() -> None:
    """Only the node makes routes; the oldest of the others is forgotten for it."""
    node = flooded()
    unnamed = len(node.bindings.addresses)
    node.see(route(3), THERE)

    assert node.bindings.sight(THERE) == route(3)
    assert len(node.bindings.addresses) == unnamed


def test_where_nothing_is_and_nobody_is_named_all_is_forgotten() -> None:
    """Once no name can come any more, and another address needs a place."""
    node = bound()
    node.see(NONE)
    node.claim()
    node.now += SETTLING - 0.1
    node.see(route(2), THERE)
    assert HERE in node.bindings.addresses
    node.now += 0.1
    node.see(route(3), ip_address("10.0.0.3"))

    assert HERE not in node.bindings.addresses
    assert THERE in node.bindings.addresses


def test_a_link_without_a_name_is_not_forgotten() -> None:
    """Its pod is yet to be named, and then that the link came first is the proof."""
    node = Node()
    node.see(route(1))
    node.now += 100 * SETTLING
    node.see(route(2), THERE)
    node.claim(FIRST)

    assert node.holder() == FIRST


def test_nothing_is_held_of_an_address_that_nobody_has() -> None:
    """The table that is read for each request has living pods only."""
    node = bound()

    assert node.claim() == {HERE}
    assert node.bindings.holders == {}


def test_the_record_has_what_a_next_agent_can_use() -> None:
    """Links that exist, and pods that are listed."""
    node = bound()
    assert node.bindings.record() == {HERE: Bound(FIRST, link(1))}

    node.know_links([2])
    node.see(NONE)
    assert node.bindings.record() == {HERE: Bound(FIRST, link(1))}
    node.claim()
    assert node.bindings.record() == {}


def test_statistics_count_living_addresses() -> None:
    """Confirmed, suspended, and without a witness."""
    node = bound()
    node.claim(SECOND, address=THERE)
    three = ip_address("10.0.0.3")
    node.claim(THIRD, address=three)
    node.see(route(3), three)
    statistics = node.bindings.statistics()

    assert (statistics.confirmed, statistics.suspended, statistics.unwitnessed) == (1, 1, 1)
