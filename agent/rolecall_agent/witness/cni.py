"""Which CNI this node has, by what can be seen of it: for the log and a metric.

Nothing is decided by it. Each address is witnessed, or not, by its own route.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rolecall_agent.witness.rtnetlink.messages import Link, Rule

# The priority of the rules by which VPC CNI sends pods with security groups out by their branch.
_BRANCH_PRIORITY = 10


class Cni(enum.StrEnum):
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


ADVICE: Mapping[Cni, Advice] = MappingProxyType(
    {
        Cni.VPC: Advice("each pod has a link and a route of its own"),
        Cni.VPC_STRICT: Advice(
            "pods with strict security groups leave by their branch interface, past this node's "
            "endpoint; set POD_SECURITY_GROUP_ENFORCING_MODE=standard, or give them the container "
            "endpoint",
            is_warning=True,
        ),
        Cni.CALICO: Advice("each pod has a link and a route of its own"),
        Cni.CALICO_EBPF: Advice(
            "each pod has a link and a route of its own; whether packets pass this node's rules "
            "depends on Calico's version and settings",
            is_warning=True,
        ),
        Cni.CILIUM: Advice(
            "packets of pods may pass this node's rules by; without a route for each endpoint "
            "there is no witness: use the container endpoint",
            is_warning=True,
        ),
        Cni.OVN: Advice(
            "pods cannot reach the metadata address, and have no link of their own here: use the "
            "container endpoint",
            is_warning=True,
        ),
        Cni.BRIDGE: Advice(
            "pods share a bridge, whose ports are the witness; pods should not have NET_RAW"
        ),
        Cni.ROUTED: Advice("each pod has a link and a route of its own"),
        Cni.UNKNOWN: Advice("no pod is seen yet, or none has a link of its own"),
    }
)
# The first that fits is it; those whose links can stand beside other CNIs' come first.
_BY_PREFIX: tuple[tuple[str, Cni], ...] = (
    ("cilium_", Cni.CILIUM),
    ("ovn-k8s-mp", Cni.OVN),
    ("bpfin.cali", Cni.CALICO_EBPF),
    ("bpfout.cali", Cni.CALICO_EBPF),
    ("cali", Cni.CALICO),
)
_VPC_PREFIXES = ("eni", "vlan")
_POD_KINDS = frozenset({"veth", "netkit"})


def detect_cni(links: Iterable[Link], rules: Iterable[Rule]) -> Cni:
    """Return the case that *links* and *rules* look like."""
    known = list(links)
    if any(rule.priority == _BRANCH_PRIORITY and rule.link.startswith("vlan") for rule in rules):
        return Cni.VPC_STRICT
    for prefix, cni in _BY_PREFIX:
        if any(link.name.startswith(prefix) for link in known):
            return cni
    pods = [link for link in known if link.kind in _POD_KINDS]
    if any(link.name.startswith(_VPC_PREFIXES) for link in pods if not link.master):
        return Cni.VPC
    bridges = {link.number for link in known if link.kind == "bridge"}
    if any(link.master in bridges for link in pods):
        return Cni.BRIDGE
    return Cni.ROUTED if pods else Cni.UNKNOWN
