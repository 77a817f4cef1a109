"""Who answers to which hardware address behind a bridge, and which news of that are any.

A pod can have the kernel tell of a hundred thousand neighbours a second. Most of it is about
hardware that nobody is known to have, or says once more what is known: that is seen by a few bytes.
"""

from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from rolecall_agent.witness.rtnetlink import layout
from rolecall_agent.witness.rtnetlink.messages import Message, Neighbour
from rolecall_agent.witness.rtnetlink.parsing import parse
from rolecall_proto.values import Address

_MOST = 8192
_MOST_IN_A_TURN = 128  # Addresses, for each of which the kernel is asked three times.
_NOBODY: frozenset[Address] = frozenset()
# Where the kernel writes what a message is about: its first attribute, as the kernel has it.
_FAMILY = layout.HEADER.size
_FIRST = _FAMILY + layout.NEIGHBOUR.size
_VALUE = _FIRST + layout.ATTRIBUTE.size
_ADDRESSES = MappingProxyType(
    {
        bytes([family]): layout.ATTRIBUTE.pack(layout.ATTRIBUTE.size + size, 1)
        for family, size in ((layout.AF_INET, 4), (layout.AF_INET6, 16))
    }
)
_HARDWARE = layout.ATTRIBUTE.pack(layout.ATTRIBUTE.size + 6, 2)


class Neighbours:
    """The hardware address of each address that was looked at."""

    def __init__(self) -> None:
        self._hardware: dict[Address, bytes] = {}
        self._addresses: dict[bytes, set[Address]] = {}

    def learn(self, address: Address, hardware: bytes) -> None:
        """Note who has *address* now; nobody where *hardware* is empty."""
        before = self._hardware.pop(address, b"")
        if before and before != hardware:
            self._addresses[before].discard(address)
            if not self._addresses[before]:
                del self._addresses[before]
        if hardware:
            self._hardware[address] = hardware
            self._addresses.setdefault(hardware, set()).add(address)

    def forget(self) -> None:
        self._hardware.clear()
        self._addresses.clear()

    def forget_all_but(self, addresses: Collection[Address]) -> None:
        """Keep those of *addresses* alone, once there are many."""
        if len(self._hardware) > _MOST:
            for address in [each for each in self._hardware if each not in addresses]:
                self.learn(address, b"")

    def with_hardware(self, hardware: bytes) -> AbstractSet[Address]:
        """Return who answers to *hardware*."""
        return self._addresses.get(hardware, _NOBODY)

    def news(self, told: Iterable[bytes]) -> Iterator[Message]:
        """Yield what is new in what is *told* in one turn, each address of a link once.

        All of it is not told where it is about very many addresses.
        """
        seen: set[bytes] = set()
        for data in told:
            about = _address_told(data)
            if about in seen or self._is_about_nobody(data):
                continue
            for message in parse(data):
                if isinstance(message, Neighbour) and self._is_known(message):
                    continue
                if about:
                    seen.add(about)
                yield message
            if len(seen) >= _MOST_IN_A_TURN:
                return

    def _is_known(self, told: Neighbour) -> bool:
        return not told.gone and self._hardware.get(told.address, b"") == told.hardware != b""

    def _is_about_nobody(self, data: bytes) -> bool:
        """Tell whether it is one message of hardware that nobody is known to have."""
        return (
            data[_FAMILY : _FAMILY + 1] == b"\7"
            and data[_FIRST:_VALUE] == _HARDWARE
            and data[_VALUE : _VALUE + 6] not in self._addresses
            and layout.NUMBER.unpack_from(data)[0] == len(data)
        )


def _address_told(data: bytes) -> bytes:
    """Return link and address that one message is about, as its bytes; none of any other."""
    head = _ADDRESSES.get(data[_FAMILY : _FAMILY + 1])
    if head is None or data[_FIRST:_VALUE] != head:
        return b""
    if layout.NUMBER.unpack_from(data)[0] != len(data):
        return b""
    return data[_FAMILY : _FAMILY + 8] + data[_VALUE : _FIRST + layout.ATTRIBUTE.unpack(head)[0]]
