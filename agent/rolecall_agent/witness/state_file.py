"""What a restarted agent still knows: which pod had which link. Nothing in it is secret.

Links are told apart by number and inode (see `links`), in one boot and one network namespace: the
file names both, and is nothing in any other. A link whose inode is not known is no link later.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import LinkId
from rolecall_proto.values import Address, PodUid, plain

_VERSION = 2
_MOST_BYTES = 4_000_000
_MOST_UID = 128
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = Path("/proc/self/ns/net")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where what tells links apart means something."""

    boot: str
    network: int

    @classmethod
    def here(cls) -> "Scope":
        """Return that of this process. Raises OSError where /proc does not tell."""
        return cls(_BOOT.read_text(encoding="ascii").strip(), _NETWORK.stat().st_ino)


def encode(bindings: Mapping[Address, Binding], here: Scope) -> bytes:
    """Return what the file says of *bindings*."""
    rows = [
        [str(address), bound.uid, bound.link.number, bound.link.inode]
        for address, bound in bindings.items()
    ]
    document = {"version": _VERSION, "boot": here.boot, "network": here.network, "bindings": rows}
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def decode(data: bytes, here: Scope) -> dict[Address, Binding] | None:
    """Read a state file; None where it is none, or of another scope. Raises nothing."""
    if len(data) > _MOST_BYTES:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        return None
    if (document.get("boot"), document.get("network")) != (here.boot, here.network):
        return None
    rows = document.get("bindings")
    if not isinstance(rows, list):
        return None
    read = [_row(row) for row in rows]
    # One row that cannot be read makes the others doubtful.
    return None if None in read else dict(each for each in read if each is not None)


class StateFile:
    """The file on disk; without a path there is none."""

    def __init__(self, path: Path | None, here: Scope) -> None:
        self._path = path
        self._here = here
        self._saved: bytes | None = None

    def load(self) -> dict[Address, Binding] | None:
        """Return what was kept; None where nothing can be used. Raises OSError but for absence."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        return decode(data, self._here)

    def save(self, bindings: Mapping[Address, Binding]) -> None:
        """Write *bindings* in one step, where they have changed. Raises OSError.

        It outlives the process, which is all that it is for: after a power cut it means nothing.
        """
        if self._path is None:
            return
        data = encode(bindings, self._here)
        if data == self._saved:
            return
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            draft.write_bytes(data)
            os.replace(draft, self._path)  # noqa: PTH105 - Path.replace hides what it is
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        self._saved = data


def _row(row: Any) -> tuple[Address, Binding] | None:  # noqa: ANN401 - JSON
    match row:
        case [str(address), str(uid), int(number), int(inode)] if number > 0 and inode >= 0:
            pass
        case _:
            return None
    if not 0 < len(uid) <= _MOST_UID:
        return None
    try:
        return plain(ip_address(address)), Binding(PodUid(uid), LinkId(number, inode))
    except ValueError:
        return None
