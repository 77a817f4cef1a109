"""The two IP families, as nft spells what a node has of them."""

from dataclasses import dataclass

from rolecall_common.guards import Endpoint, Guard
from rolecall_warden import counters
from rolecall_warden.counters import Stage
from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, RedirectSettings

# EKS's own agent listens there for containers, at the same address, and is nothing to us.
_OTHERS_PORT = 80


@dataclass(frozen=True, slots=True)
class NftFamily:
    """One of the two IP families, as nft spells it."""

    suffix: str
    ip: str
    address_type: str
    metadata: str
    endpoint: str
    redirected: bool
    containers: tuple[str, ...]
    plain: str  # Nothing between the head of IP and that of TCP, for which others might drop it.

    @property
    def target(self) -> str:
        return f"[{self.endpoint}]" if ":" in self.endpoint else self.endpoint

    @property
    def to_containers(self) -> str:
        """Match what others than the node send to the container endpoint."""
        return f'iif != "lo" {self.ip} daddr {self._addresses} tcp dport != {_OTHERS_PORT}'

    @property
    def from_containers(self) -> str:
        return f"{self.ip} saddr {self._addresses} tcp sport != {_OTHERS_PORT}"

    @property
    def _addresses(self) -> str:
        return f"{{ {', '.join(self.containers)} }}"

    def dropped(self, guard: Guard) -> str:
        return f"counter name {counters.of_guard(guard, self.suffix)}"

    def passed(self, endpoint: Endpoint, stage: Stage) -> str:
        return f"counter name {counters.of_stage(endpoint, stage, self.suffix)}"


def families_of(led: RedirectSettings) -> tuple[NftFamily, NftFamily]:
    more = {
        version: tuple(str(each) for each in led.more_addresses if each.version == version)
        for version in (4, 6)
    }
    ipv4, ipv6 = str(led.endpoint_ipv4), str(led.endpoint_ipv6)
    return (
        NftFamily(
            *("4", "ip", "ipv4_addr", str(METADATA_IPV4), ipv4, led.ipv4, more[4]),
            plain="ip hdrlength 5",
        ),
        NftFamily(
            *("6", "ip6", "ipv6_addr", str(METADATA_IPV6), ipv6, led.ipv6, more[6]),
            plain="ip6 nexthdr tcp",
        ),
    )
