"""The sets, counters and chains of the table, in both IP families: what its rules are, and why.

Each chain stands where it does in a packet's way for a reason that its docstring gives.
"""

from collections.abc import Iterator

from rolecall_common.guards import Endpoint, Guard
from rolecall_warden import counters
from rolecall_warden.counters import Stage
from rolecall_warden.nft_family import NftFamily, families_of
from rolecall_warden.settings import METADATA_PORT, RedirectSettings

# As many as pods have addresses on any node, and some to spare. A full set caps nobody else.
_SOURCES = 65_535
# So many seconds' connections may come at once. Whoever was quiet for longer than it takes to earn
# them again is forgotten, so that the set holds who asks now, and loses nothing.
_BURST, _FORGOTTEN_AFTER = 3, 10
_OPENS = "tcp flags & (fin | syn | rst | ack) == syn"
_ANSWERS = "tcp flags & (fin | syn | rst | ack) == (syn | ack)"
# Before and after all the priorities that the kernel and other programs are known to use.
_FIRST, _LAST = -500, 500
_HOOKS = {
    Stage.ARRIVED: f"input priority {_LAST}",
    Stage.ANSWERED: f"output priority {_FIRST}",
    Stage.LEFT: f"postrouting priority {_LAST}",
}


def render(led: RedirectSettings, *, redirect: bool) -> Iterator[str]:
    """Yield all that the table holds; the guards alone without *redirect*."""
    families = families_of(led)
    for name in counters.names():
        yield f"\tcounter {name} {{\n\t}}\n"
    for each in families:
        yield from _sets(each)
    yield from _origin(families)
    for each in families:
        yield from _opened(each, led.connection_rate_per_source)
    if redirect:
        yield from _redirect(families, led.endpoint_port)
    yield from _passing(families)
    yield from _leaving(families)
    yield from _arriving(families)
    for each in families:
        yield from _endpoint(each)
        yield from _admitted(each, led.connections_per_source)
    yield from _watched(families)


def chain(name: str, *lines: str) -> str:
    return f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _sets(family: NftFamily) -> Iterator[str]:
    begin = f"\t\ttype {family.address_type}\n\t\tsize {_SOURCES}\n"
    yield f"\tset sources{family.suffix} {{\n{begin}\t\tflags dynamic\n\t}}\n"
    forgets = f"\t\tflags dynamic,timeout\n\t\ttimeout {_FORGOTTEN_AFTER}s\n"
    yield f"\tset rates{family.suffix} {{\n{begin}{forgets}\t}}\n"


def _origin(families: tuple[NftFamily, ...]) -> Iterator[str]:
    """Drop what is forged: a source must be routed back to where its packet came from.

    What is not led to the agent is counted here: routing rules end it before the guards see it.
    A source at the container endpoint that is not routed back is that endpoint's to judge, by the
    token; it has no rate, since whoever forges sources would fill the set at others' expense.
    """
    lines = []
    for each in families:
        metadata = f"{each.ip} daddr {each.metadata}"
        lines.append(f"{metadata} fib saddr . iif oif missing {each.dropped(Guard.FORGED)} drop")
        if each.redirected:
            lines.append(f"{metadata} tcp dport {METADATA_PORT} jump metadata{each.suffix}")
        lines.append(f"{metadata} {each.dropped(Guard.OTHER_PORTS)}")
        if each.containers:
            lines.append(
                f"{each.to_containers} fib saddr . iif oif exists jump container{each.suffix}"
            )
    yield chain(
        "origin",
        # After conntrack and before any redirect, which takes the metadata address away.
        "type filter hook prerouting priority mangle - 5; policy accept;",
        *lines,
    )


def _opened(family: NftFamily, rate: int) -> Iterator[str]:
    """Drop connections that one address opens faster than *rate*, before any state is kept of them.

    Where the set is full, its rule drops nothing: a rate is no guard, and others are let in.
    """
    limit = f"limit rate over {rate}/second burst {rate * _BURST} packets"
    for endpoint in Endpoint:
        yield chain(
            f"{endpoint}{family.suffix}",
            f"ct state new update @rates{family.suffix} {{ {family.ip} saddr {limit} }} "
            f"{family.dropped(Guard.RATE)} drop",
            f"{_opening(family)} {family.passed(endpoint, Stage.ASKED)}",
            "accept",
        )


def _redirect(families: tuple[NftFamily, ...], port: int) -> Iterator[str]:
    """Send what SDKs ask to the agent. Only what others send passes here, never the host's own."""
    yield chain(
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


def _passing(families: tuple[NftFamily, ...]) -> Iterator[str]:
    """Yield the first guard: nothing is forwarded to a metadata address, nor was meant for one."""
    lines = []
    for each in families:
        drop = f"{each.dropped(Guard.FORWARDED)} drop"
        lines += [
            f"{each.ip} daddr {each.metadata} {drop}",
            f"ct original {each.ip} daddr {each.metadata} {drop}",
        ]
    yield chain(
        "passing",
        # Before any chain that accepts what is established: old connections end here too.
        "type filter hook forward priority filter - 5; policy accept;",
        *lines,
    )


def _leaving(families: tuple[NftFamily, ...]) -> Iterator[str]:
    """Stop what was sent to some other address and was led to a metadata address on the way.

    IPVS sends such packets as if the host did, past the chain of what is forwarded.
    """
    yield chain(
        "leaving",
        "type filter hook postrouting priority mangle - 5; policy accept;",
        *(
            f"{each.ip} daddr {each.metadata} ct original {each.ip} daddr != {each.metadata} "
            f"{each.dropped(Guard.LED_THERE)} drop"
            for each in families
        ),
    )


def _arriving(families: tuple[NftFamily, ...]) -> Iterator[str]:
    """Keep the endpoint for redirected requests, and every other way to the node closed to them."""
    endpoints = [f"{each.ip} daddr {each.endpoint} jump endpoint{each.suffix}" for each in families]
    others = [
        # Somebody else's redirect. Answers to the host's own requests are of the other direction.
        f'iif != "lo" ct direction original ct original {each.ip} daddr {each.metadata} '
        f"{each.dropped(Guard.FOREIGN_REDIRECT)} drop"
        for each in families
    ]
    yield chain(
        "arriving",
        "type filter hook input priority filter - 5; policy accept;",
        *endpoints,
        *others,
    )


def _endpoint(family: NftFamily) -> Iterator[str]:
    yield chain(
        f"endpoint{family.suffix}",
        'iif "lo" accept',
        # Whatever the port: connections to an agent that is being replaced may end there.
        f"meta l4proto tcp ct status dnat ct original {family.ip} daddr {family.metadata} "
        f"ct original proto-dst {METADATA_PORT} goto admitted{family.suffix}",
        f"{family.dropped(Guard.DIRECT)} drop",
    )


def _admitted(family: NftFamily, most: int) -> Iterator[str]:
    yield chain(
        f"admitted{family.suffix}",
        f"ct state new add @sources{family.suffix} "
        f"{{ {family.ip} saddr ct count over {most} }} {family.dropped(Guard.CONNECTIONS)} drop",
        "accept",
    )


def _watched(families: tuple[NftFamily, ...]) -> Iterator[str]:
    """Count what has come through everybody's rules: the last ones to see a packet arrive or leave.

    Fewer than were counted before mean that somebody else's rules keep pods from an endpoint.
    """
    lines: dict[Stage, list[str]] = {stage: [] for stage in Stage}
    for each in families:
        led = f"ct original {each.ip} daddr {each.metadata}"
        replies = f"{led} ct direction reply ct status dnat"
        of_metadata = {
            Stage.ARRIVED: f'iif != "lo" {each.ip} daddr {each.endpoint} {led} {_opening(each)}',
            Stage.ANSWERED: f'oif != "lo" {each.ip} saddr {each.endpoint} {_ANSWERS}',
            Stage.LEFT: f'oif != "lo" {replies} {_ANSWERS}',
        }
        for stage, packets in of_metadata.items():
            lines[stage].append(f"{packets} {each.passed(Endpoint.METADATA, stage)}")
        answers = f'oif != "lo" {each.from_containers} {_ANSWERS}'
        of_container = {
            Stage.ARRIVED: f"{each.to_containers} {_opening(each)}",
            Stage.ANSWERED: answers,
            Stage.LEFT: answers,
        }
        for stage, packets in of_container.items() if each.containers else ():
            lines[stage].append(f"{packets} {each.passed(Endpoint.CONTAINER, stage)}")
    for stage, hook in _HOOKS.items():
        yield chain(stage, f"type filter hook {hook}; policy accept;", *lines[stage])


def _opening(family: NftFamily) -> str:
    return f"ct state new {family.plain} {_OPENS}"
