"""What kind of network this node has, by what can be seen of it: for the log and a metric.

Nothing is decided by it. Each address is witnessed, or not, by its own route.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rolecall_agent.witness.rtnetlink.messages import Link, Rule

# The priority of the rules by which VPC CNI sends pods with security groups out by their branch.
_BRANCH_PRIORITY = 10


class Network(enum.StrEnum):
    """The cases of docs/cni.md."""

    VPC = "vpc-cni"
    VPC_STRICT = "vpc-cni-strict"
    CALICO = "calico"
    CALICO_EBPF = "calico-ebpf"
    CILIUM = "cilium"
    OVN = "ovn-kubernetes"
    BRIDGE = "bridge"
    ROUTED = "routed"  # Pods' links have routes of their own, and no name that we know.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Advice:
    """What an operator should know of a node with such a network, in one sentence."""

    sentence: str
    is_warning: bool = False


ADVICE: Mapping[Network, Advice] = MappingProxyType(
    {
        Network.VPC: Advice("each pod has a link and a route of its own"),
        Network.VPC_STRICT: Advice(
            "pods with strict security groups leave by their branch interface, past this node's "
            "endpoint; set POD_SECURITY_GROUP_ENFORCING_MODE=standard, or give them the container "
            "endpoint",
            is_warning=True,
        ),
        Network.CALICO: Advice("each pod has a link and a route of its own"),
        Network.CALICO_EBPF: Advice(
            "each pod has a link and a route of its own; whether packets pass this node's rules "
            "depends on Calico's version and settings",
            is_warning=True,
        ),
        Network.CILIUM: Advice(
            "packets of pods may pass this node's rules by; without a route for each endpoint "
            "there is no witness: use the container endpoint",
            is_warning=True,
        ),
        Network.OVN: Advice(
            "pods cannot reach the metadata address, and have no link of their own here: use the "
            "container endpoint",
            is_warning=True,
        ),
        Network.BRIDGE: Advice(
            "pods share a bridge, whose ports are the witness; pods should not have NET_RAW"
        ),
        Network.ROUTED: Advice("each pod has a link and a route of its own"),
        Network.UNKNOWN: Advice("no pod is seen yet, or none has a link of its own"),
    }
)
# The first that fits is it; those whose links can stand beside other CNIs' come first.
_BY_PREFIX: tuple[tuple[str, Network], ...] = (
    ("cilium_", Network.CILIUM),
    ("ovn-k8s-mp", Network.OVN),
    ("bpfin.cali", Network.CALICO_EBPF),
    ("bpfout.cali", Network.CALICO_EBPF),
    ("cali", Network.CALICO),
)
_VPC_PREFIXES = ("eni", "vlan")
_POD_KINDS = frozenset({"veth", "netkit"})


def network_of(links: Iterable[Link], rules: Iterable[Rule]) -> Network:
    """Return the case that *links* and *rules* look like."""
    known = list(links)
    if any(rule.priority == _BRANCH_PRIORITY and rule.link.startswith("vlan") for rule in rules):
        return Network.VPC_STRICT
    for prefix, network in _BY_PREFIX:
        if any(link.name.startswith(prefix) for link in known):
            return network
    pods = [link for link in known if link.kind in _POD_KINDS]
    if any(link.name.startswith(_VPC_PREFIXES) for link in pods if not link.master):
        return Network.VPC
    bridges = {link.number for link in known if link.kind == "bridge"}
    if any(link.master in bridges for link in pods):
        return Network.BRIDGE
    return Network.ROUTED if pods else Network.UNKNOWN
