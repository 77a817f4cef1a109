"""The truth: which pod has which address at this moment, whatever anybody has heard of it."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from rolecall_proto.values import Address, NodeName, PodUid

# So few that addresses are used again all the time, most of them within seconds.
ADDRESSES_PER_NODE = 8


@dataclass
class Kernel:
    """The addresses of all nodes. The last one that was freed is the next one given out."""

    holders: dict[tuple[NodeName, Address], PodUid] = field(default_factory=dict)
    _free: dict[NodeName, list[Address]] = field(default_factory=dict)

    def add_node(self, node: NodeName, number: int) -> None:
        self._free[node] = [ip_address(f"10.0.{number}.{n + 1}") for n in range(ADDRESSES_PER_NODE)]

    def give(self, node: NodeName, uid: PodUid) -> Address | None:
        """Give *uid* an address; None where all are taken."""
        if not self._free[node]:
            return None
        address = self._free[node].pop()
        self.holders[node, address] = uid
        return address

    def take_back(self, node: NodeName, address: Address) -> None:
        del self.holders[node, address]
        self._free[node].append(address)

    def holder(self, node: NodeName, address: Address) -> PodUid | None:
        return self.holders.get((node, address))
