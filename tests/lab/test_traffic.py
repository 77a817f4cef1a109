"""Whatever keeps pods from the endpoint is seen and said, and nobody opens connections too fast."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lab.guarded import FAMILIES, METADATA, PATIENCE, SHORT, Guarded, Warden, served, until_served

pytestmark = pytest.mark.asyncio(loop_scope="module")

# As hosts are found: what a firewall says to whoever is not in its list, and chains that drop.
FIREWALLS = {
    "firewalld's reject": (
        "table inet firewalld { chain filter_INPUT { type filter hook input priority filter + 10; "
        'iif "lo" accept; ct state established,related accept; '
        "reject with icmpx admin-prohibited; }; }"
    ),
    "a chain that drops by default": (
        "table inet hardened { chain input { type filter hook input priority filter; policy drop; "
        'iif "lo" accept; ct state established,related accept; meta l4proto ipv6-icmp accept; }; }'
    ),
    "before the routing decision": (
        "table inet early { chain early { type filter hook prerouting priority mangle; "
        "tcp dport 80 drop; }; }"
    ),
    "on the way out": (
        "table inet out { chain output { type filter hook output priority filter; "
        'oif "lo" accept; tcp flags & (syn | ack) == syn | ack drop; }; }'
    ),
}

# What docs/warden.md has a host allow, in the chain that drops.
ALLOWED = (
    "ip daddr 169.254.170.169 tcp dport 9803-9810 accept",
    "ip6 daddr fd72:6f6c:6563:616c::1 tcp dport 9803-9810 accept",
)


@pytest_asyncio.fixture(loop_scope="module")
async def quick(bare: Guarded) -> AsyncIterator[Warden]:
    """Give the node a warden that looks once a second."""
    for each in bare.wardens:
        await each.end()
    warden = await bare.warden("--check-period=1s")
    yield warden
    await warden.end()
    bare.leaked()


@pytest.mark.parametrize("firewall", FIREWALLS)
async def test_rules_of_others_that_keep_pods_out_are_said(
    bare: Guarded, quick: Warden, firewall: str
) -> None:
    """The warden is not well, says why, and is well again as soon as pods have come in."""
    for family in FAMILIES:
        assert await served(bare, family)
    table = FIREWALLS[firewall].split()[2]
    await bare.run("nft", FIREWALLS[firewall])
    reason = ""
    async with asyncio.timeout(PATIENCE):
        while not ("IPv4" in reason and "IPv6" in reason):
            for family in FAMILIES:
                answer = await bare["first"].ask(METADATA[family], wait=SHORT)
                assert not answer.startswith(("agent", "real"))
            reason = quick.read_health().reason
    await bare.run("nft", "delete", "table", "inet", table)
    for family in FAMILIES:
        await until_served(bare, family)
    await quick.until(ok=True)

    half = "out" if firewall == "on the way out" else "in"
    assert "keep pods from the metadata endpoint: by IPv4" in reason
    assert reason.count(f"dropped on the way {half}") == len(FAMILIES)
    await quick.until_logged("pods are kept from an endpoint")
    await quick.until_logged("pods are kept from no endpoint any more")


async def test_what_the_page_has_a_host_allow_lets_pods_in(bare: Guarded, quick: Warden) -> None:
    """A firewall that drops by default is left as it is, but for two rules."""
    await bare.run("nft", FIREWALLS["a chain that drops by default"])
    for rule in ALLOWED:
        await bare.run("nft", "insert", "rule", "inet", "hardened", "input", *rule.split())
    for family in FAMILIES:
        assert await served(bare, family)
    for _ in range(3):
        await quick.until_checked()
    health = quick.read_health()
    await bare.run("nft", "delete", "table", "inet", "hardened")

    assert health.ok


async def test_pods_that_come_and_go_are_no_alarm(bare: Guarded, quick: Warden) -> None:
    """While the endpoint is away they are refused, which is the agent's and no firewall's."""
    await bare.kill_endpoint()
    for _ in range(5):
        assert await bare["first"].ask(METADATA[4]) == "ConnectionRefusedError"
    await bare["first"].ask(METADATA[4], port=8080, wait=SHORT)
    before = quick.read_health().heartbeat
    assert before is not None
    # Two more looks at the counters: then what is missing would count as lost.
    for _ in range(3):
        await quick.until_checked()
    await bare.restart_endpoint()

    assert quick.read_health().ok
    heartbeat = quick.read_health().heartbeat
    assert heartbeat is not None
    assert set(heartbeat.lost.values()) == {0}
    assert heartbeat.dropped["other_ports"] > 0


@pytest.mark.parametrize("family", FAMILIES)
async def test_one_address_opens_so_many_connections_in_a_second(
    bare: Guarded, quick: Warden, family: int
) -> None:
    """The burst comes in, what is over the rate is dropped and counted; other pods are served."""
    await quick.end()
    warden = await bare.warden("--check-period=1s", "--connection-rate-per-source=1")
    opened = 0
    for _ in range(8):
        opened += await bare["first"].hold(METADATA[family], 1, wait=0.2)
        await bare["first"].drop()
    others = await served(bare, family, "second")
    for _ in range(2):
        await warden.until_checked()
    heartbeat = warden.read_health().heartbeat
    await warden.end()

    assert heartbeat is not None
    assert 3 <= opened < 8
    assert heartbeat.dropped["rate"] == 8 - opened
    assert others
