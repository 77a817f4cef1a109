"""Gives pods a node and addresses, the same ones every time the same pods are there."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from rolecall_proto.values import Address, NodeName

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod is; it has no address where its node has none to give."""

    node: NodeName
    addresses: tuple[Address, ...] = ()


class Pools:
    """The networks of each node. The first address of each is the node's own, the others its pods'.

    Which node and address a pod gets is drawn from its name, so that a server that starts anew
    finds each pod where it was; where that address is taken, the next free one is its own.
    """

    def __init__(self, networks: Iterable[tuple[str, Network]]) -> None:
        """Raise ValueError where a network has no room for a pod, or two of them overlap."""
        self._networks: dict[NodeName, list[Network]] = {}
        for node, network in sorted(networks, key=lambda pair: (pair[0], pair[1].version)):
            if _room(network) < 1:
                raise ValueError(f"{node}={network} has no room for a pod")
            if any(_overlap(network, other) for its in self._networks.values() for other in its):
                raise ValueError(f"{node}={network} overlaps with another network")
            self._networks.setdefault(NodeName(node), []).append(network)
        # Counted, because two pods may each be said to have the same address.
        self._taken: Counter[Address] = Counter()

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        return tuple(self._networks)

    def own_addresses(self, node: NodeName) -> tuple[Address, ...]:
        """Return the addresses of *node* itself: those of its pods on the host's network."""
        return tuple(network[1] for network in self._networks.get(node, ()))

    def node_of(self, address: Address) -> NodeName | None:
        """Return the node of whose networks *address* is."""
        for node, networks in self._networks.items():
            if any(address in network for network in networks):
                return node
        return None

    def take(self, addresses: Iterable[Address]) -> None:
        """Give *addresses* to nobody else until they are released."""
        self._taken.update(addresses)

    def release(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            self._taken[address] -= 1
            if self._taken[address] <= 0:
                del self._taken[address]

    def node_for(self, name: str) -> NodeName | None:
        """Draw a node for the pod of that *name*; None where there are no nodes."""
        nodes = self.nodes
        return nodes[_draw(name, b"node") % len(nodes)] if nodes else None

    def place(self, name: str, node: NodeName | None = None) -> Place | None:
        """Find free addresses for the pod of that *name*, on *node* where it is said; take none.

        None where no node has room left.
        """
        if node is not None:
            return Place(node, self._free(name, node) or ())
        drawn = self.node_for(name)
        nodes = self.nodes
        first = nodes.index(drawn) if drawn is not None else 0
        for candidate in nodes[first:] + nodes[:first]:
            if addresses := self._free(name, candidate):
                return Place(candidate, addresses)
        return None

    def _free(self, name: str, node: NodeName) -> tuple[Address, ...] | None:
        """Return a free address of each IP version that *node* has; None where one is used up."""
        found: dict[int, Address | None] = {}
        for network in self._networks.get(node, ()):
            if found.get(network.version) is None:
                found[network.version] = self._free_address(name, network)
        addresses = tuple(address for address in found.values() if address is not None)
        return addresses if len(addresses) == len(found) else None

    def _free_address(self, name: str, network: Network) -> Address | None:
        room = _room(network)
        first = _draw(name, b"address")
        # One step more than addresses are taken finds a free one, or there is none.
        for step in range(min(room, len(self._taken) + 1)):
            address = network[2 + (first + step) % room]
            if address not in self._taken:
                return address
        return None


def _room(network: Network) -> int:
    """How many pods fit: all addresses but the network's, the node's own and the broadcast."""
    reserved = 3 if isinstance(network.network_address, IPv4Address) else 2
    return network.num_addresses - reserved


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def _draw(name: str, what: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=what).digest())
