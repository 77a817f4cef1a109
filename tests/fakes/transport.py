"""A transport without a socket: a test says what is read, and when."""

import asyncio


class FakeTransport(asyncio.Transport):
    """Keeps what is written, and knows whether anybody reads."""

    def __init__(self, protocol: asyncio.Protocol, peer: str) -> None:
        super().__init__({"peername": (peer, 40_000), "sockname": ("127.0.0.1", 80)})
        self._protocol = protocol
        self.written = b""
        self.reads = True
        self.ended = False  # Closed or aborted.

    def is_reading(self) -> bool:
        return self.reads

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None: ...

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()
