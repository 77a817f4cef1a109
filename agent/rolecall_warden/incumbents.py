"""Redirects of kiam and kube2iam that are still on a node, in either backend of iptables.

Both put one rule into the chain PREROUTING of the table nat. Where iptables writes to nf_tables,
nft lists it; the older backend is asked for its table as the kernel keeps it, for which the
capability NET_ADMIN is enough and the command iptables would not be.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

from rolecall_warden.settings import METADATA_IPV4

_REDIRECTS = ("dnat", "redirect")

# `struct ipt_entry` of linux/netfilter_ipv4/ip_tables.h, its counters included.
_ENTRY = struct.Struct("=4s4s4s4s16s16s16s16sHBBIHHIQQ")
# `struct xt_entry_target`: its size, its name, its revision.
_TARGET = struct.Struct("=H29sB")
_NOT_IN = 0x01  # IPT_INV_VIA_IN
_ONE_ADDRESS = b"\xff" * 4
_PROTOCOLS = {6: "tcp", 17: "udp"}


def in_nftables(listing: str) -> Iterator[str]:
    """Yield each rule of nft's *listing* of `ip nat PREROUTING` that redirects the metadata."""
    for line in map(str.strip, listing.splitlines()):
        words = line.lower()
        if str(METADATA_IPV4) in words and any(each in words for each in _REDIRECTS):
            yield f"iptables-nft, nat PREROUTING: {line}"


def in_legacy(entries: bytes) -> Iterator[str]:
    """Yield each rule of the older backend's table nat that redirects the metadata address.

    *entries* is what the kernel hands out. What is cut off or contradicts itself ends the reading.
    """
    offset = 0
    while offset + _ENTRY.size <= len(entries):
        fields = _ENTRY.unpack_from(entries, offset)
        target_offset, next_offset = fields[12], fields[13]
        if not _ENTRY.size <= target_offset < next_offset:
            return
        if offset + target_offset + _TARGET.size > len(entries):
            return
        _, name, _ = _TARGET.unpack_from(entries, offset + target_offset)
        target = name.partition(b"\0")[0].decode("ascii", errors="replace")
        metadata = (fields[1], fields[3]) == (METADATA_IPV4.packed, _ONE_ADDRESS)
        if metadata and target.lower() in _REDIRECTS:
            yield f"iptables-legacy, nat: {_words(fields)} -j {target}"
        offset += next_offset


def _words(fields: tuple[bytes | int, ...]) -> str:
    link, protocol, inverted = fields[4], fields[8], fields[10]
    assert isinstance(link, bytes) and isinstance(inverted, int)  # noqa: S101, PT018 - of the format
    name = link.partition(b"\0")[0].decode("ascii", errors="replace")
    # The kernel keeps `cali+` as a name without its end, and a mask as long as the name.
    mask = fields[6]
    assert isinstance(mask, bytes)  # noqa: S101 - of the format
    open_end = "+" if name and mask.count(b"\xff") == len(name) else ""
    given = f"{'! ' if inverted & _NOT_IN else ''}-i {name}{open_end} " if name else ""
    destination = IPv4Address(fields[1])
    return f"-d {destination}/32 {given}-p {_PROTOCOLS.get(int(protocol), protocol)}"
