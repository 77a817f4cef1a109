"""One connection, played: the transport that the endpoint writes to, and the client behind it."""

import asyncio
from collections import deque
from collections.abc import Callable

# How much a client that does not read leaves unread before the endpoint is told; asyncio's is 64
# KiB.
HIGH_WATER = 300
_SERVER = ("169.254.169.254", 80)


class BrokenRuleError(AssertionError):
    """The endpoint did what no endpoint may do; the text says what."""


class Wire(asyncio.Transport):
    """Does what a socket's transport does, and no more than that is allowed on one."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, host: str, on_write: Callable[[bytes], None]
    ) -> None:
        super().__init__()
        self._loop = loop
        self._host = host
        self._on_write = on_write
        self._protocol: asyncio.Protocol
        self._incoming: deque[bytes] = (
            deque()
        )  # In the kernel: what the endpoint does not read yet.
        self.arrived = bytearray()  # All that the endpoint has read.
        self._unread = 0  # What the client has not read yet.
        self._client_reads = True
        self._client_ended = False
        self._told_end = False
        self._is_reading = True
        self._protocol_paused = False
        self._wrote_eof = False
        self.closing = False
        self.lost = False

    # What the client does.

    def open(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def send(self, data: bytes) -> None:
        """Have *data* arrive in one piece, once the endpoint reads."""
        if not self._client_ended:
            self._incoming.append(data)
            self._deliver()

    def end(self) -> None:
        self._client_ended = True
        self._deliver()

    def reset(self) -> None:
        self._unread = 0
        self._lose()

    def stop_reading(self) -> None:
        self._client_reads = False

    def read(self) -> None:
        self._client_reads = True
        self._unread = 0
        if self._protocol_paused and not self.lost:
            self._protocol_paused = False
            self._protocol.resume_writing()
        if self.closing:
            self._loop.call_soon(self._lose)

    @property
    def has_all(self) -> bool:
        """Whether all that was sent has arrived."""
        return not self._incoming

    # What the endpoint does.

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": (self._host, 40000), "sockname": _SERVER}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closing or self.lost or self._wrote_eof:
            raise BrokenRuleError("an answer after the end")
        self._on_write(bytes(data))
        if not self._client_reads:
            self._unread += len(data)
        if self._unread > HIGH_WATER and not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep to HIGH_WATER whatever the endpoint wants, so that scripts can stay short."""

    def write_eof(self) -> None:
        self._wrote_eof = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return self._is_reading and not self.closing

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self._unread:
                self._loop.call_soon(self._lose)

    def abort(self) -> None:
        self.closing = True
        self._unread = 0
        self._loop.call_soon(self._lose)

    def _deliver(self) -> None:
        while self._incoming and self.is_reading() and not self.lost:
            data = self._incoming.popleft()
            self.arrived += data
            self._protocol.data_received(data)
        can_end = self._client_ended and not self._told_end and not self._incoming
        if can_end and self.is_reading() and not self.lost:
            self._told_end = True
            if not self._protocol.eof_received():
                self.close()

    def _lose(self) -> None:
        if not self.lost:
            self.closing = self.lost = True
            self._protocol.connection_lost(None)
