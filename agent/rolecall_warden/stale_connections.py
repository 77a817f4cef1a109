"""Connections that are older than the rules: which ones of conntrack's list are to be deleted.

The guard stops them in any case. Deleted, they do not hang until a timeout: their next packet is
redirected, the agent's kernel knows no such connection, and the client begins a new one.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, Address

_PROTOCOL = re.compile(r"\s*(?:ipv[46]\s+\d+\s+)?([a-z0-9]+)\s+(\d{1,3})\s")
_FIELD = re.compile(r"\b(src|dst|sport|dport)=([0-9a-fA-F.:]+)")


@dataclass(frozen=True, slots=True)
class Connection:
    """One line of the list: as its first packet was, and from where it is answered."""

    protocol: str
    source: Address
    destination: Address
    answered_by: Address
    ports: tuple[int, int] | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What names this connection, and no other, to `conntrack`."""
        ports = (
            ("--orig-port-src", str(self.ports[0]), "--orig-port-dst", str(self.ports[1]))
            if self.ports
            else ()
        )
        named = ("-p", self.protocol, "-s", str(self.source), "-d", str(self.destination))
        return (*named, *ports)


def stale(
    text: str, endpoints: Container[Address], hosts: Container[Address]
) -> Iterator[Connection]:
    """Yield connections to a metadata address that no endpoint answers, but for the host's own.

    *text* is what `conntrack -L` says; a line that cannot be read is passed over.
    """
    for connection in filter(None, map(_connection, text.splitlines())):
        metadata = connection.destination in (METADATA_IPV4, METADATA_IPV6)
        if metadata and connection.answered_by not in endpoints and connection.source not in hosts:
            yield connection


def _connection(line: str) -> Connection | None:
    protocol = _PROTOCOL.match(line)
    found: dict[str, list[str]] = {"src": [], "dst": [], "sport": [], "dport": []}
    for name, value in _FIELD.findall(line):
        found[name].append(value)
    if protocol is None or min(len(found["src"]), len(found["dst"])) < 2:  # noqa: PLR2004 - both directions
        return None
    try:
        source, answered_by = map(ip_address, found["src"][:2])
        destination = ip_address(found["dst"][0])
        ports = (
            (int(found["sport"][0]), int(found["dport"][0]))
            if found["sport"] and found["dport"]
            else None
        )
    except ValueError:
        return None
    return Connection(protocol[1], source, destination, answered_by, ports)
