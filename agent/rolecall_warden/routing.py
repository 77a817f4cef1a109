"""The second guard, and the address of the endpoint: what `ip` is told, as values.

Three routing rules for each family. The host's own traffic to a metadata address leaps over the
second one, to the third, which does nothing: what follows is the host's as ever. Everybody else's
is prohibited. They need no packet filter, and no flush of one takes them away.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Any

from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, Address, Settings

# Of the numbers for routing protocols that nobody has registered. It marks a rule as ours.
PROTOCOL = 183
_LOOPBACK = "lo"


class Family(StrEnum):
    IPV4 = "4"
    IPV6 = "6"


class UnreadableError(Exception):
    """A tool's answer is not what it is documented to be."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One routing rule; *rest* is what ours never have."""

    priority: int
    action: str  # As `ip rule add` takes it: `goto 7`, `prohibit`, `nop`.
    to: str = ""
    host_only: bool = False  # Only for what the host itself sends.
    rest: str = ""

    @property
    def words(self) -> str:
        """What follows `ip rule add`."""
        to = f" to {self.to}" if self.to else ""
        host = f" iif {_LOOPBACK}" if self.host_only else ""
        return f"pref {self.priority}{to}{host} {self.action} protocol {PROTOCOL}"


@dataclass(frozen=True, slots=True)
class Found:
    """A rule that the node has, and whether it bears our number."""

    rule: Rule
    ours: bool


def wanted_rules(settings: Settings, family: Family) -> tuple[Rule, ...]:
    """Return the rules of *family* in the order in which they may safely come to be.

    The last one is the guard, so that the host is never without its own way.
    """
    return _rules_from(settings.keeping.routing_priority, family)


def others_rules(settings: Settings, family: Family, found: Iterable[Found]) -> tuple[Rule, ...]:
    """Return the same where another warden has them: at the priorities at which its guard is."""
    for each in found:
        rules = _rules_from(each.rule.priority - 1, family)
        if each.ours and each.rule == rules[-1]:
            return rules
    return wanted_rules(settings, family)


def _rules_from(first: int, family: Family) -> tuple[Rule, ...]:
    metadata = str(METADATA_IPV4 if family is Family.IPV4 else METADATA_IPV6)
    return (
        Rule(first + 2, "nop"),
        Rule(first, f"goto {first + 2}", metadata, host_only=True),
        Rule(first + 1, "prohibit", metadata),
    )


def changes(wanted: Iterable[Rule], found: Iterable[Found]) -> Iterator[str]:
    """Yield the lines for `ip -batch` that make what is wanted of what is found.

    What bears our number and is not wanted goes last; what others have made stays.
    """
    wanted, found = tuple(wanted), tuple(found)
    yield from additions(wanted, found)
    for each in found:
        if each.ours and each.rule not in wanted:
            yield from removal([each])


def additions(wanted: Iterable[Rule], found: Iterable[Found]) -> Iterator[str]:
    """Yield the lines that make what is wanted and not found."""
    there = [each.rule for each in found]
    for rule in wanted:
        if rule not in there:
            yield f"rule add {rule.words}"


def removal(found: Iterable[Found]) -> Iterator[str]:
    """Yield the lines that remove those of *found* that are ours, the guard first."""
    for each in sorted(found, key=lambda each: each.rule.action != "prohibit"):
        if each.ours:
            rule = each.rule
            kind = f" {rule.action}" if not rule.rest else ""
            yield f"rule del pref {rule.priority}{kind} protocol {PROTOCOL}"


def parse_rules(text: str) -> list[Found]:
    """Read `ip -json rule show`. Raises UnreadableError where it is no list of rules."""
    found = []
    for entry in _entries(text):
        ours = str(entry.get("protocol", "")) == str(PROTOCOL)
        found.append(Found(_rule(entry), ours))
    return found


def parse_addresses(text: str) -> frozenset[Address]:
    """Read `ip -json address show`: every address. Raises UnreadableError."""
    addresses = set()
    for entry in _entries(text):
        infos = entry.get("addr_info", [])
        for info in infos if isinstance(infos, list) else []:
            local = info.get("local") if isinstance(info, dict) else None
            try:
                addresses.add(ip_address(str(local)))
            except ValueError:
                continue  # A peer's address, or one of a family that is not IP.
    return frozenset(addresses)


def family_of(address: Address) -> Family:
    return Family(str(address.version))


def address_line(address: Address, verb: str = "add") -> str:
    """Return the line for `ip -batch` that adds the endpoint's *address*, or deletes it (`del`).

    It is never chosen as the source of what the host sends: it is of the host's own scope, and of
    no preferred life.
    """
    if verb == "del":
        return f"address del {address}/{address.max_prefixlen} dev {_LOOPBACK}"
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return f"address add {address}/32 dev {_LOOPBACK} scope host"
    return f"address add {address}/128 dev {_LOOPBACK} nodad preferred_lft 0"


def _entries(text: str) -> list[Mapping[str, Any]]:
    try:
        entries = json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise UnreadableError("ip has not answered with JSON") from error
    if not isinstance(entries, list):
        raise UnreadableError("ip has not answered with a list")
    # iproute2 leaves an empty object in the place of what a filter has left out.
    return [entry for entry in entries if isinstance(entry, dict) and entry]


def _rule(entry: Mapping[str, Any]) -> Rule:
    rest = {key: value for key, value in entry.items() if key not in _KNOWN}
    if entry.get("src", "all") != "all":
        rest["src"] = entry["src"]
    if entry.get("iif", _LOOPBACK) != _LOOPBACK:
        rest["iif"] = entry["iif"]
    priority = entry.get("priority")
    return Rule(
        priority if isinstance(priority, int) else -1,
        _action(entry),
        str(entry.get("dst", "")),
        host_only=entry.get("iif") == _LOOPBACK,
        rest=json.dumps(rest, sort_keys=True) if rest else "",
    )


def _action(entry: Mapping[str, Any]) -> str:
    if "goto" in entry:
        return f"goto {entry['goto']}"
    return "nop" if "nop" in entry else str(entry.get("action", "lookup"))


# `unresolved` says that a goto has no goal: then the goal is missing, and is made.
_KNOWN = frozenset(
    {"priority", "src", "dst", "iif", "goto", "unresolved", "nop", "action", "protocol"}
)
