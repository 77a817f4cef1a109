"""Which addresses no pod can have: the node's own, and its gateways'.

A request that comes from there was sent by somebody else, or its source was rewritten on the way.
"""

from collections.abc import Iterable

from rolecall_agent.witness.rtnetlink.messages import Route
from rolecall_proto.values import Address


class NodeAddresses:
    """Known by the node's routes: each address of its own has one, and the default leads out.

    Where two routes tell of one address, it is no longer known once one of them has gone; nothing
    is refused then that should be served.
    """

    def __init__(self) -> None:
        self._own: set[Address] = set()
        self._gateways: dict[int, Address] = {}  # By version: of the default route that came last.

    def __contains__(self, address: object) -> bool:
        return address in self._own or address in self._gateways.values()

    def reread(self, routes: Iterable[Route]) -> None:
        """Take in all the routes that there are."""
        self._own.clear()
        self._gateways.clear()
        for route in routes:
            self.learn(route)

    def learn(self, route: Route) -> None:
        """Take in that *route* has come or gone."""
        if route.address is None:
            self._gateways.pop(route.version, None)
            if route.gateway is not None and not route.gone:
                self._gateways[route.version] = route.gateway
        elif route.local and route.is_for_one and not route.address.is_loopback:
            # Nobody rewrites an address to that of a loopback link.
            (self._own.discard if route.gone else self._own.add)(route.address)
