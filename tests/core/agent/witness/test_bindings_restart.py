"""Whom an address stands for after a start, and after messages of the kernel were lost."""

from core.agent.witness.rig import FIRST, HERE, SECOND, SETTLED, THERE, Node, bound, link, route
from rolecall_agent.witness.bindings import SETTLING
from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import NONE, Doubt, LinkId, Observation, Way


def test_what_an_agent_finds_at_its_start_settles_first() -> None:
    """What happened before it looked, it did not see."""
    node = Node(now=0.0)
    node.observe(route(1))
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
    node.observe(route(1))
    node.claim(FIRST)
    node.read({FIRST: [HERE]})

    assert node.holder() == FIRST
    assert node.bindings.next_moment() is None


def test_a_recorded_link_is_trusted_at_once() -> None:
    """The agent before this one saw it come into being."""
    node = Node({HERE: Binding(FIRST, link(1))}, now=0.0)
    node.observe(route(1))
    node.claim(FIRST)

    assert node.holder() == FIRST


def test_a_recorded_pod_with_another_link_is_suspended() -> None:
    """Somebody came while no agent looked; the pod itself has to be read."""
    node = Node({HERE: Binding(FIRST, link(1))}, now=0.0)
    node.observe(route(2))
    node.claim(FIRST)
    node.now = SETTLED
    node.bindings.tick(node.now)

    assert node.holder() is Doubt.SUSPENDED


def test_a_recorded_number_that_was_given_again_is_another_link() -> None:
    """The last pod's link had it, and went while no agent looked."""
    node = Node({HERE: Binding(FIRST, link(1))}, now=0.0)
    node.observe(Observation(Way.ROUTE, LinkId(1, birth=7)))
    node.claim(FIRST)

    assert node.holder() is Doubt.SUSPENDED


def test_a_recorded_link_is_not_another_pods() -> None:
    """The server names one that the state file does not know."""
    node = Node({HERE: Binding(FIRST, link(1))}, now=0.0)
    node.observe(route(1))
    node.claim(SECOND)

    assert node.holder() is Doubt.SUSPENDED


def test_lost_messages_are_a_start_whose_state_is_memory() -> None:
    """What still has its link is served on; what is new settles."""
    node = bound()
    node.bindings.begin(node.now)
    node.observe(route(1))
    node.observe(route(2), THERE)
    node.claim(SECOND, address=THERE)

    assert node.holder() == FIRST
    assert node.holder(THERE) is Doubt.SUSPENDED


def test_the_state_has_what_a_next_agent_can_use() -> None:
    """Links that exist, and pods that are listed."""
    node = bound()
    assert node.bindings.state() == {HERE: Binding(FIRST, link(1))}

    node.set_links([2])
    node.observe(NONE)
    assert node.bindings.state() == {HERE: Binding(FIRST, link(1))}
    node.claim()
    assert node.bindings.state() == {}
