"""What a start in a pod proves of a link: every order of the two, and every grain."""

import pytest

from core.agent.witness.rig import FIRST, SECOND, Node, bound, route
from rolecall_agent.witness.observation import NONE, Doubt


@pytest.mark.parametrize(
    ("started", "born", "is_proof"),
    [
        (9, 10.0, False),  # Before the link.
        (9, 9.9, True),  # In its second: nobody else had the address in it.
        (10, 10.0, True),
        (10, 10.9, True),
        (10, 11.0, False),
        (11, 10.9, True),  # After it.
        (500, 10.9, False),  # By a clock that was set back since.
        (None, 10.0, False),  # Of an older server, or a pod that nothing is posted of.
    ],
)
def test_a_start_proves_a_link_that_is_not_younger(
    *, started: float | None, born: float, is_proof: bool
) -> None:
    """Times of kubelets have whole seconds; those of links do not."""
    node = Node(now=20.0)
    node.observe(route(1, born))
    node.claim(first=started)

    assert node.holder() == (FIRST if is_proof else Doubt.SUSPENDED)


@pytest.mark.parametrize("read", [False, True])
def test_an_old_start_proves_nothing_however_freshly_it_is_read(*, read: bool) -> None:
    """The pod has ended; its kubelet has yet to say so. Somebody else has its address."""
    node = bound()
    node.now = 5.0
    node.observe(route(2, born=5.0))
    node.claim(first=0)
    if read:
        node.read(first=0)

    assert node.holder() is Doubt.SUSPENDED
    node.settle()
    assert node.holder() is Doubt.SUSPENDED


def test_of_two_claimants_the_one_that_started_after_the_link_has_it() -> None:
    """A node was replaced under its name: the API still has its last life's pods."""
    node = Node(now=5.0)
    node.observe(route(1, born=5.2))
    node.claim(first=-3000, second=6)

    assert node.holder() == SECOND


def test_of_two_that_started_after_the_link_none_has_it() -> None:
    """One of the two statements cannot be true."""
    node = Node(now=9.0)
    node.observe(route(1, born=5.2))
    node.claim(first=7, second=6)

    assert node.holder() is Doubt.SUSPENDED


@pytest.mark.parametrize("name", ["first", "second"])
def test_in_the_second_of_two_links_only_another_pod_is_believed(name: str) -> None:
    """The last pod's start may be that of its own link; the next one can have had no other."""
    node = bound()
    node.now = 0.8
    node.observe(NONE)
    node.observe(route(2, born=0.9))
    node.claim(**{name: 0})

    assert node.holder() == (SECOND if name == "second" else Doubt.SUSPENDED)


def test_in_the_second_of_a_link_that_nobody_was_named_for_none_is_believed() -> None:
    """It came and went unnamed, so that the late name may be its pod's."""
    node = Node(now=0.2)
    node.observe(route(1, born=0.2))
    node.now = 0.6
    node.observe(route(2, born=0.6))
    node.claim(first=0)
    assert node.holder() is Doubt.SUSPENDED
    node.settle()
    assert node.holder() is Doubt.SUSPENDED

    node.claim(first=1)
    assert node.holder() == FIRST


def test_a_link_that_had_the_address_between_makes_older_starts_worthless() -> None:
    """It is gone again; but the pod may have been behind it, and may be gone with it."""
    node = Node(now=1.0)
    node.observe(route(1, born=0.0))
    node.now = 8.0
    node.observe(route(2, born=3.0))
    node.now = 9.5
    node.observe(route(1, born=0.0))
    node.claim(first=4)
    assert node.holder() is Doubt.SUSPENDED

    node.claim(first=10)
    assert node.holder() == FIRST


def test_links_that_are_not_remembered_one_by_one_are_not_forgotten() -> None:
    """Of many that came and went, it is known until when there was one."""
    node = Node(now=1.0)
    for number in range(2, 40):
        node.observe(route(number, born=0.5))
        node.now += 1.0
    node.observe(route(1, born=0.5))
    node.claim(first=1)

    assert node.holder() is Doubt.SUSPENDED


def test_a_link_that_turns_out_to_be_older_is_proved_by_older_starts() -> None:
    """It was heard of late, by an agent that had no time."""
    node = Node(now=9.0)
    node.observe(route(1, born=9.0))
    node.claim(first=6)
    assert node.holder() is Doubt.SUSPENDED

    assert node.observe(route(1, born=5.5))
    assert node.holder() == FIRST


def test_a_pod_whose_sandbox_is_made_anew_waits_for_its_next_start() -> None:
    """Until then the link may be anybody's."""
    node = bound()
    node.now = 5.0
    node.observe(route(2, born=4.5))
    node.claim(first=0)
    node.now = 6.0
    assert node.holder() is Doubt.SUSPENDED

    assert node.claim(first=5)
    assert node.holder() == FIRST
