"""Which news of the kernel concern the rules; on a busy node most of them are about pods.

With every pod links, addresses and routing rules come and go. A warden that looked at everything
for each of them would look all day. What cannot be read concerns it.
"""

import struct
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass

from rolecall_warden.routing import PROTOCOL
from rolecall_warden.rules import TABLE
from rolecall_warden.settings import Settings

# From linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h and linux/fib_rules.h.
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_LINKS, _ADDRESSES, _RULES = (16, 17), (20, 21), (32, 33)  # The news, and the end, of each.
_LINK, _ADDRESS, _RULE = struct.Struct("=BxHi8x"), struct.Struct("=4xI"), struct.Struct("=12x")
_ADDRESS_NAMES = (1, 2)  # IFA_ADDRESS, IFA_LOCAL
_RULE_PRIORITY, _RULE_PROTOCOL = 6, 21
_LOOPBACK = 1
_NAMED = TABLE.encode() + b"\0"


class UnreadableError(Exception):
    """The message is not what the kernel sends."""


@dataclass(frozen=True, slots=True)
class Concerns:
    """What a warden has made on its node, as the kernel speaks of it."""

    addresses: Container[bytes]
    priorities: Container[int]

    @classmethod
    def of(cls, settings: Settings) -> "Concerns":
        first = settings.keeping.routing_priority
        ours = frozenset(each.packed for each in settings.redirecting.addresses)
        return cls(ours, range(first, first + 3))

    def node(self, message: bytes) -> bool:
        """Tell whether links, addresses or routing rules have changed that are the warden's.

        Its addresses may be on any link, and somebody else's addresses may be lost with a link; of
        links it names the loopback link alone.
        """
        try:
            return any(self._has_ours(kind, body) for kind, body in _messages(message))
        except UnreadableError:
            return True

    def _has_ours(self, kind: int, body: bytes) -> bool:
        if kind in _LINKS:
            return int(_unpack(_LINK, body)[2]) == _LOOPBACK
        if kind in _ADDRESSES:
            on_loopback = _unpack(_ADDRESS, body)[0] == _LOOPBACK
            attributes = _attributes(body[_ADDRESS.size :])
            return on_loopback or any(
                name in _ADDRESS_NAMES and value in self.addresses for name, value in attributes
            )
        if kind in _RULES:
            _unpack(_RULE, body)
            return any(self._is_of_rule(*each) for each in _attributes(body[_RULE.size :]))
        return True

    def _is_of_rule(self, name: int, value: bytes) -> bool:
        number = int.from_bytes(value, sys.byteorder)
        if name == _RULE_PRIORITY:
            return number in self.priorities
        return name == _RULE_PROTOCOL and number == PROTOCOL


def concerns_table(message: bytes) -> bool:
    """Tell whether nf_tables speaks of our table; on many nodes it speaks of others all day."""
    return _NAMED in message


def _messages(message: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(message):
        length, kind, *_ = _unpack(_HEADER, message[offset : offset + _HEADER.size])
        if not _HEADER.size <= length <= len(message) - offset:
            raise UnreadableError
        yield kind, message[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(body):
        length, name = _unpack(_ATTRIBUTE, body[offset : offset + _ATTRIBUTE.size])
        if not _ATTRIBUTE.size <= length <= len(body) - offset:
            raise UnreadableError
        yield name, body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _unpack(form: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < form.size:
        raise UnreadableError
    return form.unpack_from(body)
