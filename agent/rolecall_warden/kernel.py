"""What the node has, read through its tools, and how it is changed."""

import ctypes
import errno
import logging
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from rolecall_warden import counters, incumbents, rules, stale_connections
from rolecall_warden.routing import Family, Found, UnreadableError, parse_addresses, parse_rules
from rolecall_warden.rules import Ruleset
from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, Address
from rolecall_warden.tools import AbsentError, RefusedError, Tools

log = logging.getLogger(__name__)


_TABLE = (rules.FAMILY, rules.TABLE)
_LEGACY_TABLES = Path("/proc/net/ip_tables_names")
# From linux/netfilter_ipv4/ip_tables.h; the size of a table is the last number of its information.
_GET_INFO, _GET_ENTRIES = 64, 65
_INFO, _HEAD = 84, 40


class Kernel:
    """One node. Every method raises RefusedError where a tool refuses or cannot be understood."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def require_nftables(self) -> None:
        """Raise RefusedError with the reason where packet rules cannot be had at all."""
        try:
            await self._tools.run("nft", "list", "tables")
        except RefusedError as error:
            raise RefusedError(_why_not(str(error))) from error

    async def table(self) -> str | None:
        """Return the listing of our table, without its counts; None where there is none."""
        try:
            # Stateless and terse: neither counters nor the sources that were seen.
            return await self._tools.run("nft", "-s", "-t", "list", "table", *_TABLE)
        except AbsentError:
            return None

    async def counts(self) -> dict[str, int] | None:
        """Return what the counters of our table say, by name; None where there is no table."""
        try:
            text = await self._tools.run("nft", "-j", "list", "counters", "table", *_TABLE)
        except AbsentError:
            return None
        counts = counters.parse(text)
        if counts is None:
            raise RefusedError("nft has not answered with a list of counters")
        return counts

    async def apply(self, ruleset: Ruleset) -> None:
        """Put *ruleset* in place of whatever our table holds, in one transaction."""
        await self._tools.run("nft", "-f", "-", say=ruleset.text)

    async def remove_table(self) -> None:
        await self._tools.run("nft", "-f", "-", say=rules.removal())

    async def rules(self, family: Family) -> list[Found]:
        """Return every routing rule of *family*."""
        text = await self._tools.run("ip", f"-{family}", "-json", "rule", "show")
        try:
            return parse_rules(text)
        except UnreadableError as error:
            raise RefusedError(str(error)) from error

    async def addresses(self, link: str | None = None) -> frozenset[Address]:
        """Return the addresses of the node, or of one *link* of it."""
        where = ("dev", link) if link else ()
        text = await self._tools.run("ip", "-json", "address", "show", *where)
        try:
            return parse_addresses(text)
        except UnreadableError as error:
            raise RefusedError(str(error)) from error

    async def batch(self, lines: Iterable[str], family: Family = Family.IPV4) -> None:
        """Run *lines* in one `ip`, as far as the first that is refused."""
        text = "".join(f"{line}\n" for line in lines)
        if text:
            await self._tools.run("ip", f"-{family}", "-batch", "-", say=text)

    async def delete_stale_connections(self, endpoints: frozenset[Address]) -> int:
        """Delete connections to a metadata address that no endpoint answers; return how many."""
        hosts = await self.addresses()
        count = 0
        for family, metadata in (("ipv4", METADATA_IPV4), ("ipv6", METADATA_IPV6)):
            listed = await self._tools.run("conntrack", "-L", "-f", family, "-d", str(metadata))
            for connection in stale_connections.stale(listed, endpoints, hosts):
                try:
                    await self._tools.run("conntrack", "-D", "-f", family, *connection.words)
                except RefusedError:
                    continue  # It has ended meanwhile, which conntrack calls a failure.
                count += 1
        return count

    async def incumbents(self) -> tuple[str, ...]:
        """Return the rules of kiam and kube2iam that are found, a line each."""
        try:
            listing = await self._tools.run("nft", "list", "chain", "ip", "nat", "PREROUTING")
        except AbsentError:
            listing = ""
        try:
            entries = _legacy_entries("nat")
        except PermissionError:
            # The kernel shows to the machine's own root only which tables are in use.
            log.warning("whether the older iptables has rules cannot be seen")
            entries = b""
        except OSError as error:
            reason = f"the older iptables' rules cannot be read: {error.strerror}"
            raise RefusedError(reason) from error
        return (*incumbents.in_nftables(listing), *incumbents.in_legacy(entries))


def has_ipv6() -> bool:
    """Tell whether this kernel speaks IPv6, and on its loopback link too."""
    disabled = Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
    try:
        return disabled.read_text().strip() == "0"
    except OSError:
        return False


def _why_not(text: str) -> str:
    words = text.lower()
    if "not permitted" in words or "permission denied" in words:
        return f"packet rules need the capability NET_ADMIN ({text})"
    if "not supported" in words or "cache initialization" in words:
        return f"this kernel has no nf_tables, and there is no other way here ({text})"
    return text


def _legacy_entries(table: str) -> bytes:
    """Return a table of the older iptables as the kernel keeps it; nothing where it is not in use.

    Asking for a table that is not in use would put it into use.
    """
    try:
        if table not in _LEGACY_TABLES.read_text().split():
            return b""
    except FileNotFoundError:
        return b""
    name = table.encode().ljust(32, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        size = struct.unpack_from("=I", _option(asked, _GET_INFO, name.ljust(_INFO, b"\0")), 80)[0]
        head = (name + struct.pack("=I", size)).ljust(_HEAD + size, b"\0")
        return _option(asked, _GET_ENTRIES, head)[_HEAD:]


def _option(asked: socket.socket, option: int, question: bytes) -> bytes:
    # Python's own getsockopt cannot pass on a question.
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(question, len(question))
    length = ctypes.c_uint32(len(question))
    if libc.getsockopt(asked.fileno(), socket.IPPROTO_IP, option, buffer, ctypes.byref(length)):
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number))
    return buffer.raw[: length.value]
