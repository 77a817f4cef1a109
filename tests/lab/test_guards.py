"""Pods never reach the real metadata service, whatever is done to the rules that keep them away."""

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.guarded import (
    ADDRESSES,
    CAP,
    ENDPOINT,
    METADATA,
    PATIENCE,
    PORT,
    SHORT,
    Guarded,
    guarded,
    rolecall,
)
from rolecall_cli.lab import Kind, LabError
from rolecall_cli.lab.places import OUTSIDE

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAMILIES = (4, 6)
TAMPERINGS = {
    "iptables -F": "iptables -F; iptables -t nat -F; iptables -t raw -F; iptables -t mangle -F",
    "nft flush ruleset": "nft flush ruleset",
    "delete the table": "nft delete table inet rolecall",
    "delete the redirect": "nft flush chain inet rolecall to_endpoint",
    "delete the guard": "nft delete chain inet rolecall passing",
    "flush the input": (
        "nft flush chain inet rolecall endpoint4; nft flush chain inet rolecall endpoint6"
    ),
    "delete the routing rules": "ip rule del pref 6; ip -6 rule del pref 6",
    "delete the goto and its goal": "ip rule del pref 5; ip rule del pref 7",
    "flush all routing rules": (
        "ip rule flush; ip rule add pref 32766 lookup main; "
        "ip -6 rule flush; ip -6 rule add pref 32766 lookup main"
    ),
    "delete the endpoint's addresses": (
        f"ip addr del {ENDPOINT[4]}/32 dev lo; ip addr del {ENDPOINT[6]}/128 dev lo"
    ),
    "put the loopback link down": "ip link set lo down; ip link set lo up",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(Kind))
async def bare(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Guarded]:
    """Open a node of each kind for all tests, without a warden that stays."""
    kind: Kind = request.param
    root: Path = tmp_path_factory.mktemp(f"guards-{kind}")
    try:
        async with guarded(kind, root) as opened:
            yield opened
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest_asyncio.fixture(loop_scope="module")
async def node(bare: Guarded) -> AsyncIterator[Guarded]:
    """Give the node one warden, and forget what was written down. No request may leak."""
    if not bare.wardens or bare.wardens[-1].process.returncode is not None:
        await bare.warden()
    bare.leaked()
    bare.served()
    yield bare
    assert bare.leaked() == []


async def served(node: Guarded, family: int = 4, pod: str = "first", **more: float) -> bool:
    return await node[pod].ask(METADATA[family], **more) == f"agent {ADDRESSES[pod][family]}"


async def until_served(node: Guarded, family: int) -> None:
    """Ask until the endpoint answers; what is done to the rules has no event of its own here."""
    async with asyncio.timeout(PATIENCE):
        while not await served(node, family, wait=SHORT):  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.05)


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
        listing = await node.run("nft", "list", "chain", "inet", "rolecall", "origin")
        (line,) = re.findall(rf"{METADATA[family]} counter packets (\d+) bytes \d+\n", listing)
        return int(line)

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


async def rules_stand(node: Guarded) -> bool:
    """Wait until all three routing rules of both families and the table are as they should be."""
    async with asyncio.timeout(PATIENCE):
        while True:
            both = [await node.run("ip", family, "rule", "show") for family in ("-4", "-6")]
            table = await node.tried("nft", "list", "table", "inet", "rolecall")
            if all(each.count("proto 183") == 3 for each in both) and table[0] == 0:
                return True
            await asyncio.sleep(0.05)


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


async def test_the_container_endpoints_addresses_are_made_where_they_are_missing(
    bare: Guarded,
) -> None:
    """Where somebody has them on a link of their own, as EKS's agent does, they stay theirs."""
    theirs, missing = "169.254.170.23", "fd00:ec2::23"
    link = (await bare.run("ip", "-o", "link", "show", "type", "veth")).split()[1].split("@")[0]
    await bare.run("ip", "address", "add", f"{theirs}/32", "dev", link)
    warden = await bare.warden(f"--more-addresses={theirs},{missing}")
    loopback = await bare.run("ip", "-brief", "address", "show", "dev", "lo")
    assert missing in loopback
    assert theirs not in loopback

    await bare.run("ip", "address", "del", f"{theirs}/32", "dev", link)
    await bare.run("ip", "-6", "address", "del", f"{missing}/128", "dev", "lo")
    before = warden.repairs()
    await warden.until_repaired(before)
    assert missing in await bare.run("ip", "-brief", "address", "show", "dev", "lo")
    said = await bare.uninstall()
    assert "Nothing of Rolecall is left on this node" in said
    loopback = await bare.run("ip", "-brief", "address", "show", "dev", "lo")
    assert not [each for each in (theirs, missing, *ENDPOINT.values()) if each in loopback]


async def test_a_warden_that_ends_leaves_everything(node: Guarded) -> None:
    """Told to stop or killed: the rules stand, and pods are served on."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        warden = await node.warden()
        await warden.end(how)

        assert await served(node)
        assert not warden.read_health().ok
        assert await rules_stand(node)


async def test_a_newer_warden_takes_over_and_old_connections_end_at_the_old_endpoint(
    node: Guarded,
) -> None:
    """In one transaction: no request is refused or gets out, and the older warden keeps off."""
    old = await node.warden("--generation=1")
    for warden in node.wardens[:-1]:
        await warden.end()
    endpoint = await node.restart_endpoint(PORT + 1, "newer")
    assert await node["first"].hold(METADATA[4], 1) == 1
    new = await node.warden("--generation=2", f"--endpoint-port={PORT + 1}")
    answer = await node["first"].ask(METADATA[4])
    over = await old.until(ok=False)
    older = await node["first"].use()
    await node["first"].drop()
    await new.end()
    await node.run("sh", "-c", TAMPERINGS["delete the routing rules"])
    guarded = await rules_stand(node)
    once = await node.tried(*rolecall("--once", "--generation=1"))
    still_over = old.read_health()
    await node.run("nft", "delete", "table", "inet", "rolecall")
    await old.until(ok=True)
    back = await served(node)
    await old.end()
    endpoint.kill()

    assert answer == "newer 10.77.1.2"
    assert older == ["agent 10.77.1.2"]
    assert "rules of generation 2 are in place" in over.reason
    # The second guard is kept by whoever is there.
    assert (guarded, still_over.ok) == (True, False)
    assert once[0] == 2
    assert "rolecall warden: rules of generation 2 are in place" in once[1]
    assert back
    await node.uninstall()
    await node.warden()
    node.leaked()


async def test_rules_of_kiam_and_kube2iam_are_refused_or_adopted(node: Guarded) -> None:
    """Named in either backend of iptables; adopted, they stay, and ours come first."""
    rule = "-t nat {} PREROUTING -p tcp -d 169.254.169.254 --dport 80 -i {} -j DNAT --to 10.0.0.1:1"
    for wardens in node.wardens:
        await wardens.end()
    for backend, link in (("iptables-nft", "eni+"), ("iptables-legacy", "cali+")):
        status, said = await node.tried(backend, *rule.format("-A", link).split())
        if status:
            pytest.skip(f"needs {backend}: {said.strip()}")
    # In namespaces of a user who is not root the kernel does not show which tables are in use.
    seen_by_root, _ = await node.tried("cat", "/proc/net/ip_tables_names")
    status, refusal = await node.tried(*rolecall("--once"))
    adopted = await node.tried(*rolecall("--once", "--foreign-rules=adopt"))
    was_served = await served(node)
    for backend, link in (("iptables-nft", "eni+"), ("iptables-legacy", "cali+")):
        await node.run(backend, *rule.format("-D", link).split())

    assert status == 2
    assert 'iptables-nft, nat PREROUTING: iifname "eni*" ip daddr 169.254.169.254' in refusal
    if seen_by_root == 0:
        assert "iptables-legacy, nat: -d 169.254.169.254/32 -i cali+ -p tcp -j DNAT" in refusal
    assert adopted[0] == 0
    found = adopted[1].count("somebody else's redirect is left behind ours")
    assert found == (2 if seen_by_root == 0 else 1)
    assert was_served


async def test_an_uninstallation_that_fails_leaves_the_guards(
    node: Guarded, tmp_path: Path
) -> None:
    """The redirect goes first: where the next step is refused, pods get nothing at all."""
    for warden in node.wardens:
        await warden.end()
    broken = tmp_path / "ip"
    broken.write_text("#!/bin/sh\necho 'RTNETLINK answers: Operation not permitted' >&2\nexit 2\n")
    broken.chmod(0o755)
    path = f"{tmp_path}:/usr/local/bin:/usr/bin:/bin:/usr/sbin"
    status, said = await node.tried(*rolecall("--uninstall"), PATH=path)
    answers = [await node["first"].ask(METADATA[family], wait=SHORT) for family in FAMILIES]

    assert status == 2
    assert "removed: the redirect" in said
    assert "removed: the guard" not in said
    assert "they can take the node's own role" not in said
    assert not [each for each in answers if each.startswith(("real", "agent"))]


async def test_an_uninstallation_beside_a_warden_says_so(node: Guarded) -> None:
    """What is removed comes back at once, so that nobody believes it gone."""
    status, said = await node.tried(*rolecall("--uninstall"))

    assert status == 2
    assert "a warden still runs on this node, and has put the rules back" in said
    await until_served(node, 4)


async def test_another_installations_rules_are_not_uninstalled(bare: Guarded) -> None:
    """As long as its warden lives; what is left of it is anybody's to remove."""
    await bare.uninstall()
    warden = await bare.warden("--installation=shop/rolecall")
    uninstall = rolecall("--uninstall", "--installation=billing/rolecall")
    status, said = await bare.tried(*uninstall)
    stood = await served(bare)
    await warden.end()
    removed = await bare.run(*uninstall)

    assert status == 2
    assert "the rules are those of the installation shop/rolecall" in said
    assert stood
    assert "Nothing of Rolecall is left on this node" in removed


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "netlink: Error: cache initialization failed: Protocol not supported",
            "this kernel has no nf_tables, and there is no other way here",
        ),
        (
            "Operation not permitted (you must be root)",
            "packet rules need the capability NET_ADMIN",
        ),
    ],
)
async def test_without_nf_tables_it_refuses_with_the_reason(
    bare: Guarded, tmp_path: Path, words: str, reason: str
) -> None:
    """Exit 2, and no other kind of rules in their place."""
    broken = tmp_path / "nft"
    broken.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    broken.chmod(0o755)
    status, said = await bare.tried(*rolecall(), PATH=f"{tmp_path}:/usr/local/bin:/usr/bin:/bin")

    assert status == 2
    assert said.startswith(f"rolecall warden: {reason}")
