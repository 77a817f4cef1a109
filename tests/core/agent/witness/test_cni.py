"""Which CNI a node has, by what can be seen of it, and how often that is looked at."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fakes.clock import FakeClock
from rolecall_agent.witness import cni
from rolecall_agent.witness.cni import Cni, detect_cni
from rolecall_agent.witness.cni_report import INTERVAL, CniReporter
from rolecall_agent.witness.rtnetlink.messages import Link, Rule

VETH = Link(5, "veth0a1b", "veth")
CNIS = {
    Cni.UNKNOWN: [Link(1, "lo"), Link(2, "ens5")],
    Cni.ROUTED: [Link(2, "ens5"), VETH],
    Cni.VPC: [Link(2, "ens5"), Link(5, "eni0123456789a", "veth")],
    Cni.CALICO: [Link(5, "cali0123456789a", "veth")],
    Cni.CALICO_EBPF: [Link(5, "cali0123456789a", "veth"), Link(6, "bpfin.cali", "veth")],
    Cni.CILIUM: [Link(5, "cilium_host", "veth"), Link(6, "lxc12", "veth")],
    Cni.OVN: [Link(5, "ovn-k8s-mp0", "openvswitch"), VETH],
    Cni.BRIDGE: [Link(3, "cni0", "bridge"), Link(5, "veth0a1b", "veth", master=3)],
}


@pytest.mark.parametrize("expected", CNIS)
def test_a_nodes_cni_is_known_by_its_links(expected: Cni) -> None:
    """By names and kinds, as far as they tell."""
    assert detect_cni(CNIS[expected], [Rule(0), Rule(32766)]) is expected


def test_strict_security_groups_are_known_by_their_rule() -> None:
    """VPC CNI sends such a pod's packets out by its branch, at a priority of its own."""
    links = [Link(5, "vlan0123456789a", "veth"), Link(6, "eni0123456789b", "veth")]

    assert detect_cni(links, [Rule(10, "vlan.eth.1")]) is Cni.VPC_STRICT
    assert detect_cni(links, [Rule(10, "tun0")]) is Cni.VPC


def test_every_cni_has_its_advice() -> None:
    """Which the log gives at start."""
    assert set(cni.ADVICE) == set(Cni)


class FakeKernel:
    """Links and rules, and how often the rules were read."""

    def __init__(self) -> None:
        self.links = SimpleNamespace(known=list[Link]())
        self.reads = 0

    def rules(self) -> list[Rule]:
        self.reads += 1
        return []


async def test_a_nodes_cni_is_not_looked_at_all_the_time() -> None:
    """Pods come and go; what it looks like in the end is noticed all the same."""
    kernel, clock = FakeKernel(), FakeClock()
    as_any: Any = kernel
    reporter = CniReporter(as_any, clock)
    running = asyncio.create_task(reporter.run())
    reporter.changed.set()
    await clock.asleep()
    assert (kernel.reads, reporter.cni) == (2, Cni.UNKNOWN)

    for number in range(100):
        kernel.links.known.append(Link(number, f"eni{number}", "veth"))
        reporter.changed.set()
        await asyncio.sleep(0)
    assert (kernel.reads, reporter.cni) == (2, Cni.UNKNOWN)

    clock.advance(INTERVAL)
    await clock.asleep()
    assert (kernel.reads, reporter.cni) == (3, Cni.VPC)
    running.cancel()
