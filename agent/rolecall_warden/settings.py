"""What an operator may set of the warden."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path

from rolecall_common.output import LogSettings
from rolecall_common.settings import types
from rolecall_common.settings.declare import Conflict, group, setting

# Where every SDK asks, and where the node's own credentials are. Nobody can move them.
Address = IPv4Address | IPv6Address

METADATA_IPV4 = IPv4Address("169.254.169.254")
METADATA_IPV6 = IPv6Address("fd00:ec2::254")
METADATA_PORT = 80

# Link-local addresses that somebody else listens on: EC2's DNS, time and licence services, the
# containers' credentials of ECS and EKS, the DNS cache of the nodes, and Calico's gateway.
_TAKEN = frozenset(
    IPv4Address(f"169.254.{each}")
    for each in (
        *("169.250", "169.251", "169.252", "169.253", "169.254", "169.123"),
        *("170.2", "170.23", "20.10", "25.10", "1.1"),
    )
)
_EC2_IPV6 = IPv6Network("fd00:ec2::/32")


class Redirected(StrEnum):
    """Which metadata addresses lead to the agent. Guarded are always both."""

    BOTH = "both"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class IncumbentRules(StrEnum):
    REFUSE = "refuse"
    ADOPT = "adopt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectSettings:
    """Where requests of pods go, and how many at once."""

    endpoint_ipv4: IPv4Address = setting(
        types.of_text(IPv4Address, "a link-local IPv4 address that nobody uses", "ADDRESS"),
        "Where the agent listens for pods. The warden makes this address, on the loopback link.",
        default=IPv4Address("169.254.170.169"),
    )
    endpoint_ipv6: IPv6Address = setting(
        types.of_text(IPv6Address, "a unique local IPv6 address that nobody uses", "ADDRESS"),
        "The same in IPv6.",
        default=IPv6Address("fd72:6f6c:6563:616c::1"),
    )
    endpoint_port: int = setting(
        types.whole(1, 65_535), "The TCP port on which the agent listens there.", default=9803
    )
    endpoint_file: Path | None = setting(
        types.optional(types.PATH),
        "Where the agent of the same pod tells its port. The redirect waits for it, is then taken "
        "over from the warden of an older pod, and follows it; the port set above does not count.",
        default=None,
    )
    more_addresses: tuple[Address, ...] = setting(
        types.several(types.of_text(ip_address, "an address of this node's own", "ADDRESS")),
        "Addresses that the warden makes on the loopback link, where the node does not have them: "
        "those of the container endpoint, such as 169.254.170.23 and fd00:ec2::23.",
        default=(),
    )
    redirect: Redirected = setting(
        types.choice(Redirected),
        "Which metadata addresses lead to the agent; pods cannot reach the others at all. In a "
        "cluster of IPv6 pods, ipv6: their IPv4 addresses are in no pod's status.",
        default=Redirected.BOTH,
    )
    connections_per_source: int = setting(
        types.whole(1, 65_535),
        "How many connections one address may have to the agent; more are dropped.",
        default=1024,
    )
    connection_rate_per_source: int = setting(
        types.whole(1, 100_000),
        "How many connections to the agent one address may open in a second, on average; three "
        "seconds' worth may come at once. More are dropped, and tried again by their senders.",
        default=200,
    )

    def conflicts(self) -> Iterator[Conflict]:
        if not self.endpoint_ipv4.is_link_local:
            yield Conflict(
                "endpoint_ipv4", "it is not in 169.254.0.0/16, so that others could reach it"
            )
        if self.endpoint_ipv4 in _TAKEN:
            yield Conflict("endpoint_ipv4", "somebody else listens there on many nodes")
        for each in self.more_addresses:
            if each in {METADATA_IPV4, METADATA_IPV6}:
                yield Conflict("more_addresses", f"{each} is the real metadata service's")
        local = IPv6Network("fd00::/8")
        if self.endpoint_ipv6 not in local or self.endpoint_ipv6 in _EC2_IPV6:
            yield Conflict("endpoint_ipv6", "it is not in fd00::/8, or is one of EC2's own")

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All that the warden makes."""
        return (self.endpoint_ipv4, self.endpoint_ipv6, *self.more_addresses)

    @property
    def ipv4(self) -> bool:
        return self.redirect is not Redirected.IPV6

    @property
    def ipv6(self) -> bool:
        return self.redirect is not Redirected.IPV4


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingSettings:
    """How the rules are kept in place."""

    generation: int = setting(
        types.whole(0, 999_999_999),
        "The number of this installation. Rules of a higher one are left alone, those of a lower "
        "or the same one are taken over. With an endpoint file it is chosen, above any there is, "
        "and kept beside the health file as long as the pod lives.",
        default=0,
    )
    installation: str = setting(
        types.matching(r"[A-Za-z0-9._/-]{0,117}", "a name, or nothing", "NAME"),
        "Whose rules these are, such as namespace/release. Those of another installation are left "
        "alone whatever their generation, as long as its warden lives. Without a name the "
        "generation alone decides.",
        default="",
    )
    routing_priority: int = setting(
        types.whole(1, 32_000),
        "The first of three priorities of routing rules that the second guard takes.",
        # Below 9 and 10, where Cilium and the AWS VPC CNI have rules that decide for themselves.
        default=5,
    )
    check_period: timedelta = setting(
        types.duration(timedelta(seconds=1), timedelta(minutes=5)),
        "How often the rules are looked at, besides whenever the kernel tells of a change.",
        default=timedelta(seconds=10),
    )
    health_file: Path = setting(
        types.PATH,
        "The file whose lock tells the agent that the warden lives; a stamp is kept beside it.",
        default=Path("/run/rolecall/warden"),
    )
    incumbent_rules: IncumbentRules = setting(
        types.choice(IncumbentRules),
        "What happens where rules of kiam or kube2iam are found. adopt leaves them where they are "
        "and comes before them.",
        default=IncumbentRules.REFUSE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `rolecall warden` is told."""

    redirecting: RedirectSettings = group(RedirectSettings, "Redirect")
    keeping: KeepingSettings = group(KeepingSettings, "Keeping")
    output: LogSettings = group(LogSettings, "Log")
