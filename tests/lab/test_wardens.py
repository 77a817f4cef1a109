"""What a warden makes, keeps, takes over, refuses and takes away again, on a real node."""

import signal
from pathlib import Path

import pytest

from lab.guarded import (
    ENDPOINT,
    FAMILIES,
    METADATA,
    PORT,
    SHORT,
    TAMPERINGS,
    Guarded,
    rolecall,
    rules_stand,
    served,
    until_served,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_a_warden_that_has_looked_keeps_little_in_memory(node: Guarded) -> None:
    """One is on every node, beside every agent; 18 MB were measured, and 25 before."""
    warden = await node.warden()
    resident = warden.resident()
    await warden.end()

    assert resident < 20_000_000


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
    adopted = await node.tried(*rolecall("--once", "--incumbent-rules=adopt"))
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
