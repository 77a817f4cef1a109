"""Sockets to the kernel's network: one for questions, others on which it says what changes."""

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Callable
from typing import Protocol

ROOM = 1 << 16  # More than the kernel puts into one message of a dump.
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, of asm-generic/socket.h
_QUEUE = 4 << 20  # Bytes; the kernel gives what it allows, some 200 KiB unless told more.


class LostError(OSError):
    """The kernel could not be asked, or was not heard: what was known may be so no more."""


class Netlink(Protocol):
    """What is used of a socket. Each call raises OSError where it fails."""

    def fileno(self) -> int: ...
    def getsockname(self) -> tuple[int, int]:
        """Return its port, by which the kernel tells it from others, and its groups."""
        ...

    def send(self, data: bytes, /) -> int: ...
    def recvfrom(self, room: int, /) -> tuple[bytes, tuple[int, int]]:
        """Return what comes next, and the port of who has sent it; 0 is the kernel's."""
        ...

    def close(self) -> None: ...


# With the groups that it is to hear, and a filter of what they say: see `filters`.
Open = Callable[[int, bytes], Netlink]


def opened(groups: int, program: bytes) -> Netlink:
    """Open a socket that never waits. Raises OSError."""
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no rtnetlink")
    made = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        socket.NETLINK_ROUTE,
    )
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        if program:
            _attach(made, program)
        made.bind((0, groups))
    except OSError:
        made.close()
        raise
    return made


def _attach(made: socket.socket, program: bytes) -> None:
    kept = ctypes.create_string_buffer(program)
    steps = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    with contextlib.suppress(OSError):  # What passes all the same costs time, and nothing else.
        made.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, steps)
