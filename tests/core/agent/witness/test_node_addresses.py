"""Which addresses no pod can have."""

from ipaddress import ip_address

from rolecall_agent.witness.node_addresses import NodeAddresses
from rolecall_agent.witness.rtnetlink.messages import Route

OWN, GATEWAY, POD = ip_address("10.0.0.1"), ip_address("10.0.0.254"), ip_address("10.0.0.7")
LOCAL = Route(OWN, 32, link=2, local=True)
DEFAULT = Route(None, 0, link=2, gateway=GATEWAY)


def known(*routes: Route) -> NodeAddresses:
    made = NodeAddresses()
    made.reread(routes)
    return made


def test_the_node_s_own_addresses_and_its_gateway_are_known_by_its_routes() -> None:
    """And no pod's, whose route is direct."""
    made = known(LOCAL, DEFAULT, Route(POD, 32, link=3, direct=True))

    assert OWN in made
    assert GATEWAY in made
    assert POD not in made


def test_they_go_as_their_routes_do() -> None:
    """By news, or because they were not there when all was read."""
    made = known(LOCAL, DEFAULT)
    made.learn(Route(OWN, 32, link=2, local=True, gone=True))
    made.learn(Route(None, 0, link=2, gateway=GATEWAY, gone=True))
    assert OWN not in made
    assert GATEWAY not in made

    made.reread([LOCAL])
    made.reread([])
    assert OWN not in made


def test_the_gateway_is_that_of_the_default_route_that_came_last() -> None:
    """The kernel does not say that one is replaced."""
    made = known(DEFAULT)
    made.learn(Route(None, 0, link=2, gateway=POD))

    assert GATEWAY not in made
    assert POD in made


def test_loopback_is_nobody_s_but_who_asks_there() -> None:
    """Nothing is rewritten to it; and where there is no cluster, pods of the demo are there."""
    assert ip_address("127.0.0.1") not in known(Route(ip_address("127.0.0.1"), 32, local=True))
