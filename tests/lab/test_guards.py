"""Pods never reach the real metadata service, whatever is done to the rules that keep them away."""

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncGenerator

import pytest

from lab.guarded import (
    ADDRESSES,
    CAP,
    ENDPOINT,
    FAMILIES,
    METADATA,
    PATIENCE,
    PORT,
    SHORT,
    TAMPERINGS,
    Guarded,
    rolecall,
    rules_stand,
    served,
    until_served,
)
from rolecall_cli.lab import Kind
from rolecall_cli.lab.addresses import OUTSIDE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_pod_is_led_to_the_endpoint_with_its_own_address(
    node: Guarded, family: int
) -> None:
    """What SDKs ask arrives at the agent, from the address that says which pod it is."""
    for pod, addresses in ADDRESSES.items():
        assert await node[pod].ask(METADATA[family]) == f"agent {addresses[family]}"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strict", ["0", "1"])
async def test_the_node_itself_reaches_the_real_service(
    node: Guarded, family: int, strict: str
) -> None:
    """Kubelet, CNI and the node's own tools go on, also where the kernel checks sources."""
    strictly = "for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {} >$each; done"
    await node.run("sh", "-c", strictly.format(strict))

    for port in (80, 8080):
        answer = await node["node"].ask(METADATA[family], port=port)
        assert answer.startswith("real ")
    await node.run("sh", "-c", strictly.format("0"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("kind", "port"), [("tcp", 8080), ("udp", 80), ("udp", 8080)])
async def test_no_other_port_or_protocol_gets_out(
    node: Guarded, family: int, kind: str, port: int
) -> None:
    """Whatever listens at the metadata address is not for pods."""
    answer = await node["first"].ask(METADATA[family], port=port, kind=kind, wait=SHORT)

    assert not answer.startswith(("real", "agent"))


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_pod_that_tries_is_counted(node: Guarded, family: int) -> None:
    """What SDKs ask is not; other ports and protocols are, where docs/warden.md says."""

    async def counted() -> int:
        name = f"dropped_other_ports{family}"
        listing = await node.run("nft", "list", "counter", "inet", "rolecall", name)
        return int(re.findall(r"packets (\d+) bytes", listing)[0])

    before = await counted()
    assert await served(node, family)
    after_sdk = await counted()
    await node["first"].ask(METADATA[family], port=8080, wait=SHORT)
    after_port = await counted()
    await node["first"].ask(METADATA[family], kind="udp", wait=SHORT)

    assert after_sdk == before
    assert before < after_port < await counted()


@pytest.mark.parametrize("family", FAMILIES)
async def test_nobody_reaches_the_endpoint_directly(node: Guarded, family: int) -> None:
    """Neither a pod nor the network outside: connections time out, as if nobody were there."""
    via = {4: "10.78.0.1", 6: "fd78::1"}[family]
    await node.run("ip", "route", "replace", ENDPOINT[family], "via", via, pod=OUTSIDE)

    for name in ("first", OUTSIDE):
        for port in (PORT, 80, 22):
            assert await node[name].ask(ENDPOINT[family], port=port, wait=0.4) == "TimeoutError"
    assert node.served() == []
    assert await node["node"].ask(ENDPOINT[family], port=PORT) == f"agent {ENDPOINT[family]}"


@pytest.mark.parametrize("family", FAMILIES)
async def test_while_the_agent_is_away_nothing_gets_out(node: Guarded, family: int) -> None:
    """Killed, pods are refused; started again, they are served."""
    await node.kill_endpoint()
    refused = [await node["first"].ask(METADATA[family]) for _ in range(3)]
    await node.restart_endpoint()

    assert refused == ["ConnectionRefusedError"] * 3
    assert await served(node, family)


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_what_is_done_to_the_rules_lets_nothing_out_and_is_repaired(
    node: Guarded, tampering: str
) -> None:
    """Pods ask all the time; no request gets out, and before a period is over they are served."""
    asking = True

    async def ask_on(pod: str, family: int) -> None:
        while asking:
            await node[pod].ask(METADATA[family], wait=0.2)

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(PATIENCE):
        tasks.create_task(ask_on("first", 4), name="first asks on")
        tasks.create_task(ask_on("second", 6), name="second asks on")
        before = node.wardens[-1].repairs()
        await node.run("sh", "-c", TAMPERINGS[tampering])
        for family in FAMILIES:
            await until_served(node, family)
        asking = False

    assert await rules_stand(node)
    if not tampering.startswith("iptables"):
        await node.wardens[-1].until_repaired(before)
    assert "unresolved" not in await node.run("ip", "rule")


@pytest.mark.parametrize("family", FAMILIES)
async def test_either_guard_is_enough(node: Guarded, family: int) -> None:
    """With nobody to repair them, one guard after the other is taken away alone."""
    await node.wardens[-1].end(signal.SIGKILL)
    await node.run("nft", "flush", "ruleset")
    by_routing = await node["first"].ask(METADATA[family], wait=SHORT)
    await node.run(*rolecall("--once"))
    await node.run("sh", "-c", "ip rule del pref 6; ip -6 rule del pref 6")
    await node.run("nft", "flush", "chain", "inet", "rolecall", "to_endpoint")
    by_packets = await node["first"].ask(METADATA[family], wait=SHORT)

    assert not by_routing.startswith(("real", "agent"))
    assert by_packets == "TimeoutError"
    assert node.leaked() == []


async def test_without_both_guards_the_real_service_is_reached(bare: Guarded) -> None:
    """What the other tests rest on: this node would let a pod out, and it would be seen."""
    said = await bare.uninstall()
    answers = [await bare["first"].ask(METADATA[family]) for family in FAMILIES]

    assert answers == [f"real {ADDRESSES['first'][family]}" for family in FAMILIES]
    assert len(bare.leaked()) == 4
    assert "they can take the node's own role" in said


async def test_an_old_connection_is_cut_by_the_rules(bare: Guarded) -> None:
    """What was open before the warden came goes nowhere after it, and new ones are led."""
    await bare.uninstall()
    for family in FAMILIES:
        assert await bare["first"].hold(METADATA[family], 1) == 1
    before = await bare["first"].use()
    bare.leaked()
    await bare.warden()
    after = await bare["first"].use(wait=SHORT)
    await bare["first"].drop()

    assert before == [f"real {ADDRESSES['first'][family]}" for family in FAMILIES]
    assert not [each for each in after if each.startswith("real")]
    assert bare.leaked() == []
    assert await served(bare)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_service_that_leads_to_the_real_address_is_closed(
    node: Guarded, family: int
) -> None:
    """An EndpointSlice may name it, and kube-proxy leads there before anybody is asked.

    The node's own way there stands for IPVS, which sends what pods ask as if the node did.
    """
    ip, cluster = {4: ("ip", "10.96.0.9"), 6: ("ip6", "fd96::9")}[family]
    target = {4: METADATA[4], 6: f"[{METADATA[6]}]"}[family]
    rule = f"{ip} daddr {cluster} tcp dport 80 dnat {ip} to {target}:80"
    chain = "chain {0} {{ type nat hook {0} priority -100; {1}; }};"
    chains = " ".join(chain.format(hook, rule) for hook in ("prerouting", "output"))
    await node.run("nft", f"table inet proxy {{ {chains} }}")
    answers = [await node[name].ask(cluster, wait=SHORT) for name in ("first", "node")]
    await node.run("nft", "delete", "table", "inet", "proxy")

    assert not [each for each in answers if each.startswith(("real", "agent"))]


@contextlib.asynccontextmanager
async def disguised(node: Guarded, pod: str, family: int) -> AsyncGenerator[str]:
    """Give *pod* the other one's address as well, as any process with NET_ADMIN there can."""
    other = next(each for each in ADDRESSES if each != pod)
    address = ADDRESSES[other][family]
    length = {4: 32, 6: 128}[family]
    extra = [] if family == 4 else ["nodad"]
    await node.run("ip", "addr", "add", f"{address}/{length}", "dev", "eth0", *extra, pod=pod)
    try:
        yield address
    finally:
        await node.run("ip", "addr", "del", f"{address}/{length}", "dev", "eth0", pod=pod)
        await node.run("ip", "neigh", "flush", "dev", "eth0", pod=pod)
        await node.tried("ip", "neigh", "flush", "all")


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_forged_source_is_dropped_where_pods_are_routed(node: Guarded, family: int) -> None:
    """Its packets come from a link that its address is not routed to, and end there.

    On a bridge they do not: the bridge is the right link for both pods, so that these rules alone
    cannot tell. docs/warden.md says so; the agent looks at the bridge's ports.
    """
    assert await served(node, family, "second")
    node.served()
    async with disguised(node, "first", family) as address:
        await node.run("ip", "neigh", "flush", "dev", "eth0", pod="first")
        wait = SHORT if node.kind is Kind.ROUTED else 5
        answer = await node["first"].ask(METADATA[family], source=address, wait=wait)
    seen = node.served()

    if node.kind is Kind.ROUTED:
        assert (answer, seen) == ("TimeoutError", [])
        assert await served(node, family, "second")
    else:
        assert (answer, seen[:1]) == (f"agent {address}", [["tcp", address]])


@pytest.mark.parametrize("family", FAMILIES)
async def test_one_address_has_so_many_connections_and_no_more(node: Guarded, family: int) -> None:
    """What is over the limit is dropped; other pods are served; what is closed counts no more."""
    held = await node["first"].hold(METADATA[family], CAP)
    more = await node["first"].hold(METADATA[family], 3, wait=SHORT)
    others = await served(node, family, "second")
    await node["first"].drop()

    assert (held, more) == (CAP, 0)
    assert others
    await until_served(node, family)
