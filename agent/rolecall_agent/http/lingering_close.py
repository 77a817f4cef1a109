"""How a connection ends: with nothing left that the kernel would send to somebody else.

The kernel goes on sending what was not acknowledged for most of a minute after a socket is closed,
and whoever has the address by then receives it. So a socket stays ours until its client has
everything, and is reset where that does not come to be.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

# Seconds until the first look, and so many looks, each after twice the time: a client may wait for
# 40 ms until it acknowledges, and for 200 ms at the most. A lost packet is sent again thrice.
FIRST_LOOK = 0.05
LOOKS = 5

_NOTHING_LATER = struct.pack("ii", 1, 0)  # SO_LINGER: a reset, and what was not sent is dropped.
_NOTHING = bytes(4)


class LingeringClose:
    """What is kept of an ended connection: its socket, until *on_end*."""

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]
    ) -> None:
        self._sock = sock
        self._loop = loop
        self._on_end = on_end
        self._looks = 0
        self._wait()

    def reset(self) -> None:
        """Drop what is still on its way."""
        self._timer.cancel()
        reset_at_close(self._sock)
        self._end()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(FIRST_LOOK * 2**self._looks, self._look)
        self._looks += 1

    def _look(self) -> None:
        if _has_all(self._sock):
            self._end()
        elif self._looks < LOOKS:
            self._wait()
        else:
            self.reset()

    def _end(self) -> None:
        self._sock.close()
        self._on_end()


def linger(
    transport: asyncio.BaseTransport,
    loop: asyncio.AbstractEventLoop,
    on_end: Callable[[], None],
    *,
    at_once: bool,
) -> LingeringClose | None:
    """Return what is kept of *transport*, which is about to close; None where nothing need be.

    *at_once*: keep nothing, and reset where something is still on its way.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or _has_all(sock):
        return None
    kept = None if at_once else _half_closed(sock)
    if kept is None:
        reset_at_close(sock)
        return None
    return LingeringClose(kept, loop, on_end)


def _half_closed(sock: socket.socket) -> socket.socket | None:
    """Return a copy of *sock* whose client is told that no more comes."""
    try:
        kept = sock.dup()
    except OSError:  # There is no descriptor left.
        return None
    try:
        kept.shutdown(socket.SHUT_WR)
    except OSError:  # It is no connection any more.
        kept.close()
        return None
    return kept


def _has_all(sock: socket.socket) -> bool:
    """Whether the other side has acknowledged all that was written to *sock*, its end included."""
    # Linux' SIOCOUTQ has TIOCOUTQ's number.
    return fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, _NOTHING) == _NOTHING


def reset_at_close(sock: socket.socket) -> None:
    """Have the kernel drop what is still on its way, and tell the other side, when it closes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOTHING_LATER)
