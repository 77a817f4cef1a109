"""Whom an address stands for after a start, and after messages of the kernel were lost."""

from core.agent.witness.rig import FIRST, HERE, SECOND, THERE, Node, at, bound, link, route
from rolecall_agent.witness.bindings import SETTLING
from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import Doubt


def test_a_pod_that_an_agent_finds_is_bound_by_its_start() -> None:
    """Its link was there long before; so was its start, and that was later."""
    node = Node(begun=0.0)
    node.observe(route(1, born=-500.5))
    node.claim(first=-500 + 1)

    assert node.holder() == FIRST


def test_a_start_in_the_second_of_a_birth_that_nobody_saw_settles() -> None:
    """Somebody else may have gone in that second, and may still be claimed."""
    node = Node(begun=0.0)
    node.observe(route(1, born=-500.5))
    node.claim(first=-501)
    assert node.holder() is Doubt.SUSPENDED
    assert node.bindings.next_moment() == at(0.0) + SETTLING

    assert node.settle() == {HERE}
    assert node.holder() == FIRST
    assert node.bindings.next_moment() is None


def test_of_two_that_started_in_that_second_none_is_believed() -> None:
    """Time tells nothing then."""
    node = Node(begun=0.0)
    node.observe(route(1, born=-500.5))
    node.claim(first=-501, second=-501)
    node.settle()

    assert node.holder() is Doubt.SUSPENDED


def test_a_link_of_which_nothing_is_known_is_nobodys_until_the_next_start() -> None:
    """All that is known is that it was there when it was found."""
    node = Node(begun=0.0)
    node.observe(route(1, born=0.5))
    node.claim(first=-500)
    node.settle()
    assert node.holder() is Doubt.SUSPENDED

    node.claim(first=5)
    assert node.holder() == FIRST


def test_a_recorded_link_is_trusted_at_once() -> None:
    """The agent before this one had proof of it."""
    node = Node({HERE: Binding(FIRST, link(1))}, begun=0.0)
    node.observe(route(1))
    node.claim(first=None)

    assert node.holder() == FIRST


def test_a_recorded_pod_with_another_link_is_suspended() -> None:
    """Somebody came while no agent looked."""
    node = Node({HERE: Binding(FIRST, link(1))}, begun=0.0)
    node.observe(route(2, born=-1.0))
    node.claim(first=-500)
    node.settle()

    assert node.holder() is Doubt.SUSPENDED


def test_a_recorded_link_is_not_another_pods() -> None:
    """The server names one that the state file does not know."""
    node = Node({HERE: Binding(FIRST, link(1))}, begun=0.0)
    node.observe(route(1, born=-5.0))
    node.claim(second=-1)

    assert node.holder() is Doubt.SUSPENDED


def test_lost_messages_are_a_start_whose_state_is_memory() -> None:
    """What still has its link is served on; what is new needs a start after it was found."""
    node = bound()
    node.bindings.begin(at(5.5))
    node.observe(route(1, born=0.0))
    node.observe(route(2, born=5.5), THERE)
    node.claim(THERE, second=4)

    assert node.holder() == FIRST
    assert node.holder(THERE) is Doubt.SUSPENDED
    node.now = 7.0
    node.claim(THERE, second=6)
    assert node.holder(THERE) == SECOND
