"""Whom an address stands for behind a bridge, where any pod can say that it is its own."""

from ipaddress import ip_address

from core.agent.witness.rig import FIRST, HERE, SECOND, THERE, Node, bound, port, route
from rolecall_agent.witness.observation import SILENT, Doubt


def test_a_silent_pod_behind_a_bridge_waits() -> None:
    """Nobody can ask from there before the bridge has heard from it."""
    node = Node()
    node.claim(first=0)
    node.observe(SILENT)
    assert node.holder() is Doubt.SUSPENDED

    node.observe(port(1, born=0.0))
    assert node.holder() == FIRST


def test_a_bridge_that_forgets_a_port_changes_nothing() -> None:
    """Entries age; whoever comes next has to say something first."""
    node = Node()
    node.observe(port(1, born=0.0))
    node.claim(first=0)

    assert node.observe(SILENT) == set()
    assert node.holder() == FIRST


def test_a_port_that_is_gone_is_not_merely_silent() -> None:
    """The pod behind it is gone."""
    node = Node()
    node.observe(port(1, born=0.0))
    node.claim(first=0)
    node.set_links([2, 3])

    assert node.observe(SILENT) == {HERE}
    assert node.holder() is Doubt.SUSPENDED


def test_who_takes_an_address_on_a_bridge_gets_nothing_by_it() -> None:
    """The API says, truly, that it is the victim's; the victim's own port is still there."""
    node = Node()
    node.observe(port(1, born=0.0))
    node.claim(first=0)
    node.observe(port(2, born=0.0))
    node.now = 3.0
    node.read(first=2)
    assert node.holder() is Doubt.SUSPENDED

    node.observe(port(1, born=0.0))
    assert node.holder() == FIRST


def test_a_pod_behind_a_bridge_returns_once_its_old_port_is_gone() -> None:
    """Its sandbox was made anew."""
    node = Node()
    node.observe(port(1, born=0.0))
    node.claim(first=0)
    node.set_links([2])
    node.observe(port(2, born=0.0))
    node.now = 3.0
    node.read(first=2)

    assert node.holder() == FIRST


def flooded() -> Node:
    """Return a node behind whose bridge a pod has made up more addresses than are remembered."""
    node = bound()
    for number in range(5000):
        node.observe(port(2, born=0.0), ip_address(0x0B000000 + number))
    return node


def test_who_floods_the_bridge_does_not_make_us_forget_unnoticed() -> None:
    """What is new to us may have been there for long: two names are one too many."""
    node = flooded()
    node.claim(THERE, second=0)
    node.observe(port(3, born=0.5), THERE)
    node.claim(THERE, second=0, third=0)
    node.settle()

    assert node.holder(THERE) is Doubt.SUSPENDED


def test_who_floods_the_bridge_makes_new_pods_settle() -> None:
    """As those that an agent finds at its start, where they start in the second of their link."""
    node = flooded()
    node.claim(THERE, second=0)
    node.observe(port(3, born=0.5), THERE)
    assert node.holder(THERE) is Doubt.SUSPENDED
    node.settle()

    assert node.holder(THERE) == SECOND


def test_who_floods_the_bridge_unsettles_nobody_that_is_known() -> None:
    """A pod that started after the next link is believed, as ever."""
    node = flooded()
    assert node.holder() == FIRST
    node.now = 3.0
    node.observe(route(4, born=1.5))
    node.claim(second=2)

    assert node.holder() == SECOND


def test_who_floods_the_bridge_takes_no_room() -> None:
    """Some hundred addresses without a name are enough; pods that are named come beside them."""
    node = flooded()
    unnamed = len(node.bindings.addresses)
    node.observe(port(3, born=0.0), THERE)
    assert len(node.bindings.addresses) == unnamed < 1500

    for number in range(2000):
        node.claim(ip_address(0x0C000000 + number), second=0)
    assert len(node.bindings.addresses) == unnamed + 2000


def test_a_link_with_a_route_is_remembered_in_a_flood() -> None:
    """Only the node makes routes; the oldest of the others is forgotten for it."""
    node = flooded()
    unnamed = len(node.bindings.addresses)
    node.observe(route(3), THERE)

    assert node.bindings.observation(THERE) == route(3)
    assert len(node.bindings.addresses) == unnamed
