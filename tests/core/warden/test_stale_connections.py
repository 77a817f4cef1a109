"""What is read of conntrack's list, and of others' redirects."""

import struct
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from rolecall_warden import incumbents, stale_connections

# As conntrack 1.4.7 lists them: to the real service; to the endpoint; of the host; UDP; over IPv6.
DIRECT = (
    "tcp      6 431999 ESTABLISHED src=10.0.0.7 dst=169.254.169.254 sport=40000 dport=80 "
    "src=169.254.169.254 dst=10.0.0.1 sport=80 dport=40000 [ASSURED] mark=0 use=1"
)
AT_THE_ENDPOINT = DIRECT.replace("src=169.254.169.254", "src=169.254.170.169")
AT_KIAM = DIRECT.replace("src=169.254.169.254", "src=10.0.0.1").replace("40000", "40001")
OF_THE_HOST = DIRECT.replace("src=10.0.0.7", "src=10.0.0.1")
UDP = (
    "udp      17 29 src=10.0.0.7 dst=169.254.169.254 sport=5 dport=80 [UNREPLIED] "
    "src=169.254.169.254 dst=10.0.0.7 sport=80 dport=5 mark=0 use=1"
)
ICMP = (
    "icmp     1 29 src=10.0.0.7 dst=169.254.169.254 type=8 code=0 id=1 "
    "src=169.254.169.254 dst=10.0.0.7 type=0 code=0 id=1 mark=0 use=1"
)
OVER_IPV6 = (
    "ipv6     10 tcp      6 100 ESTABLISHED src=fd00::7 dst=fd00:ec2::254 sport=1 dport=80 "
    "src=fd00:ec2::254 dst=fd00::7 sport=80 dport=1 mark=0 use=1"
)
ELSEWHERE = DIRECT.replace("dst=169.254.169.254", "dst=10.9.9.9")
ENDPOINTS = {ip_address("169.254.170.169")}
HOSTS = {ip_address("10.0.0.1")}


def test_stale_connections_are_those_that_no_endpoint_answers() -> None:
    """Not the host's own, not those to the agent, not those to somewhere else."""
    listed = [DIRECT, AT_THE_ENDPOINT, AT_KIAM, OF_THE_HOST, UDP, ICMP, OVER_IPV6, ELSEWHERE]
    text = "".join(f"{line}\n" for line in listed)
    stale = [
        " ".join(connection.words) for connection in stale_connections.stale(text, ENDPOINTS, HOSTS)
    ]

    ports = "--orig-port-src {} --orig-port-dst 80"
    assert stale == [
        "-p tcp -s 10.0.0.7 -d 169.254.169.254 " + ports.format(40000),
        "-p tcp -s 10.0.0.7 -d 169.254.169.254 " + ports.format(40001),
        "-p udp -s 10.0.0.7 -d 169.254.169.254 " + ports.format(5),
        "-p icmp -s 10.0.0.7 -d 169.254.169.254",
        "-p tcp -s fd00::7 -d fd00:ec2::254 " + ports.format(1),
    ]


@given(st.text(alphabet="tcp 617src=dstport.:0123456789af\n", max_size=200))
def test_any_text_is_read_as_connections(text: str) -> None:
    """A line that is none is passed over."""
    assert isinstance(list(stale_connections.stale(text, ENDPOINTS, HOSTS)), list)


def test_redirects_are_found_where_iptables_writes_to_nf_tables() -> None:
    """Named as nft lists them, and nothing else of the chain."""
    listing = """table ip nat {
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "cali*" ip daddr 169.254.169.254 tcp dport 80 counter dnat to 10.0.0.1:8181
		ip daddr 169.254.169.254 counter return
		ip daddr 10.96.0.1 tcp dport 443 counter jump KUBE-SVC-1
	}
}"""

    (found,) = incumbents.in_nftables(listing)
    assert found.startswith('iptables-nft, nat PREROUTING: iifname "cali*" ip daddr 169.254')
    assert found.endswith("counter dnat to 10.0.0.1:8181")


def entry(destination: str, link: bytes, target: bytes, *, inverted: int = 0) -> bytes:
    """Return one rule as the kernel keeps it, without matches."""
    names = [link.rstrip(b"+"), b"", b"\xff" * len(link.rstrip(b"+")), b""]
    if not link.endswith(b"+") and link:
        names[2] += b"\xff"
    padded = [each.ljust(16, b"\0") for each in names]
    end = struct.pack("=H29sB", 32, target, 0)
    return (
        struct.pack(
            "=4s4s4s4s16s16s16s16sHBBIHHIQQ",
            *(b"\0" * 4, ip_address(destination).packed, b"\0" * 4, b"\xff" * 4),
            *padded,
            *(6, 0, inverted, 0, 112, 112 + len(end), 0, 0, 0),
        )
        + end
    )


def test_redirects_are_found_in_the_older_backend() -> None:
    """Named as somebody would type them to iptables."""
    table = (
        entry("10.0.0.1", b"", b"DNAT")
        + entry("169.254.169.254", b"cali+", b"DNAT")
        + entry("169.254.169.254", b"eth0", b"DNAT", inverted=1)
        + entry("169.254.169.254", b"", b"ACCEPT")
        + entry("169.254.169.254", b"", b"REDIRECT")
    )

    assert list(incumbents.in_legacy(table)) == [
        "iptables-legacy, nat: -d 169.254.169.254/32 -i cali+ -p tcp -j DNAT",
        "iptables-legacy, nat: -d 169.254.169.254/32 ! -i eth0 -p tcp -j DNAT",
        "iptables-legacy, nat: -d 169.254.169.254/32 -p tcp -j REDIRECT",
    ]


@given(
    st.binary(max_size=400) | st.integers(0, 290).map(lambda n: entry("10.0.0.1", b"", b"D")[:n])
)
def test_any_bytes_are_read_as_a_table(entries: bytes) -> None:
    """What is cut off or contradicts itself ends the reading, and raises nothing."""
    assert isinstance(list(incumbents.in_legacy(entries)), list)
