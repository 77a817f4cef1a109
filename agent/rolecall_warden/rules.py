"""The packet rules as text for `nft -f`: a pure function of the settings.

All is in one table of our own, and is replaced as a whole in one transaction, so that no packet
meets half of it. No rule names an interface of a pod: a wrong prefix could open nothing. What the
host itself sends to a metadata address, none of them stops.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from rolecall_warden import table_comments
from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, METADATA_PORT, Settings
from rolecall_warden.table_comments import TableComments

FAMILY, TABLE = "inet", "rolecall"
# As many as pods have addresses on any node, and some to spare. A full set caps nobody else.
_SOURCES = 65_535


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of one warden: their *text* puts them in place of any that were there."""

    comments: TableComments
    text: str


@dataclass(frozen=True, slots=True)
class _Family:
    """One of the two IP families, as nft spells it."""

    suffix: str
    ip: str
    address_type: str
    metadata: str
    endpoint: str
    redirected: bool

    @property
    def target(self) -> str:
        return f"[{self.endpoint}]" if ":" in self.endpoint else self.endpoint


def render(settings: Settings, *, redirect: bool = True, holder: str = "") -> Ruleset:
    """Return the whole ruleset; the guards alone without *redirect*."""
    chains = "\n".join(_chains(settings, redirect=redirect))
    digest = hashlib.sha256(chains.encode()).hexdigest()[:16]
    comments = TableComments(
        settings.keeping.generation, digest, holder, settings.keeping.installation
    )
    about = table_comments.lines(comments, settings.redirecting.addresses)
    return Ruleset(
        comments, f"{removal()}table {FAMILY} {TABLE} {{\n{_chain('about', *about)}\n{chains}}}\n"
    )


def again(comments: TableComments, listing: str) -> Ruleset:
    """Return what puts a table there as it was listed."""
    return Ruleset(comments, removal() + listing)


def removal() -> str:
    """Return what removes the table, whether it is there or not."""
    # Declared first, so that deleting it fails nowhere.
    return f"table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"


def shape(text: str) -> dict[str, int]:
    """Return how many lines each chain of a table's text holds, whoever has written it.

    A listing spells rules as its own version of nft does; their number it does not change.
    """
    counts: dict[str, int] = {}
    chain = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
            counts[chain] = 0
        elif line == "}":
            chain = ""
        elif chain and line:
            counts[chain] += 1
    return counts


def _chains(settings: Settings, *, redirect: bool) -> Iterator[str]:
    endpoint = settings.redirecting
    families = (
        _Family(
            "4", "ip", "ipv4_addr", str(METADATA_IPV4), str(endpoint.endpoint_ipv4), endpoint.ipv4
        ),
        _Family(
            "6", "ip6", "ipv6_addr", str(METADATA_IPV6), str(endpoint.endpoint_ipv6), endpoint.ipv6
        ),
    )
    for each in families:
        yield _set(each)
    yield from _origin(families)
    if redirect:
        yield from _redirect(families, endpoint.endpoint_port)
    yield from _passing(families)
    yield from _leaving(families)
    yield from _arriving(families)
    for each in families:
        yield from _endpoint(each)
        yield from _admitted(each, endpoint.connections_per_source)


def _set(family: _Family) -> str:
    return (
        f"\tset sources{family.suffix} {{\n\t\ttype {family.address_type}\n"
        f"\t\tsize {_SOURCES}\n\t\tflags dynamic\n\t}}\n"
    )


def _chain(name: str, *lines: str) -> str:
    return f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _origin(families: tuple[_Family, ...]) -> Iterator[str]:
    """Drop what is forged: a source must be routed back to where its packet came from.

    What is not led to the agent is counted here: routing rules end it before the guards see it.
    """
    lines = []
    for each in families:
        lines.append(f"{each.ip} daddr {each.metadata} fib saddr . iif oif missing counter drop")
        if each.redirected:
            lines.append(f"{each.ip} daddr {each.metadata} tcp dport {METADATA_PORT} accept")
        lines.append(f"{each.ip} daddr {each.metadata} counter")
    yield _chain(
        "origin",
        # After conntrack and before any redirect, which takes the metadata address away.
        "type filter hook prerouting priority mangle - 5; policy accept;",
        *lines,
    )


def _redirect(families: tuple[_Family, ...], port: int) -> Iterator[str]:
    """Send what SDKs ask to the agent. Only what others send passes here, never the host's own."""
    yield _chain(
        "to_endpoint",
        # Before kube-proxy's, and before what kiam or kube2iam have left.
        "type nat hook prerouting priority dstnat - 5; policy accept;",
        *(
            f"{each.ip} daddr {each.metadata} tcp dport {METADATA_PORT} counter "
            f"dnat {each.ip} to {each.target}:{port}"
            for each in families
            if each.redirected
        ),
    )


def _passing(families: tuple[_Family, ...]) -> Iterator[str]:
    """Yield the first guard: nothing is forwarded to a metadata address, nor was meant for one."""
    lines = []
    for each in families:
        lines += [
            f"{each.ip} daddr {each.metadata} counter drop",
            f"ct original {each.ip} daddr {each.metadata} counter drop",
        ]
    yield _chain(
        "passing",
        # Before any chain that accepts what is established: old connections end here too.
        "type filter hook forward priority filter - 5; policy accept;",
        *lines,
    )


def _leaving(families: tuple[_Family, ...]) -> Iterator[str]:
    """Stop what was sent to some other address and was led to a metadata address on the way.

    IPVS sends such packets as if the host did, past the chain of what is forwarded.
    """
    yield _chain(
        "leaving",
        "type filter hook postrouting priority mangle - 5; policy accept;",
        *(
            f"{each.ip} daddr {each.metadata} ct original {each.ip} daddr != {each.metadata} "
            "counter drop"
            for each in families
        ),
    )


def _arriving(families: tuple[_Family, ...]) -> Iterator[str]:
    """Keep the endpoint for redirected requests, and every other way to the node closed to them."""
    endpoints = [f"{each.ip} daddr {each.endpoint} jump endpoint{each.suffix}" for each in families]
    others = [
        # Somebody else's redirect. Answers to the host's own requests are of the other direction.
        f'iif != "lo" ct direction original ct original {each.ip} daddr {each.metadata} '
        "counter drop"
        for each in families
    ]
    yield _chain(
        "arriving",
        "type filter hook input priority filter - 5; policy accept;",
        *endpoints,
        *others,
    )


def _endpoint(family: _Family) -> Iterator[str]:
    yield _chain(
        f"endpoint{family.suffix}",
        'iif "lo" accept',
        # Whatever the port: connections to an agent that is being replaced may end there.
        f"meta l4proto tcp ct status dnat ct original {family.ip} daddr {family.metadata} "
        f"ct original proto-dst {METADATA_PORT} goto admitted{family.suffix}",
        "counter drop",
    )


def _admitted(family: _Family, most: int) -> Iterator[str]:
    yield _chain(
        f"admitted{family.suffix}",
        f"ct state new add @sources{family.suffix} "
        f"{{ {family.ip} saddr ct count over {most} }} counter drop",
        "accept",
    )
