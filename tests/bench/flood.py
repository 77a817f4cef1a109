"""One pod that takes of the endpoint what it can, in a process of its own, until it is ended."""

import argparse
import contextlib
import selectors
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

_HOST = "\r\nHost: 169.254.169.254\r\n\r\n"
_PIPELINE = "".join(f"GET /latest/{number} HTTP/1.1{_HOST}" for number in range(4000)).encode()
_LIST = f"GET /latest/meta-data/iam/security-credentials/ HTTP/1.1{_HOST}".encode()
_PIECE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a connection does: it sends *payload* over and over, or once, so much at a time."""

    payload: bytes = b""
    piece: int = _PIECE
    reads: bool = True
    once: bool = False
    resets: bool = False  # At once, before it sends anything.


KINDS = {
    "idle": Kind(once=True),
    "keep": Kind(_LIST, once=True),
    "pipeline": Kind(_PIPELINE),
    "deaf": Kind(_LIST * 4000, reads=False),
    "trickle": Kind(b"GET /" + b"x" * 8_000, piece=1),
    "churn": Kind(resets=True),
}
_AT_ONCE = 50  # connections that are opened before those that are open have their turn


class Flood:
    """So many connections, each opened anew when the endpoint drops it.

    *sources* is how many addresses they are from in turn, from *source* on.
    """

    def __init__(
        self, kind: Kind, where: tuple[str, int], source: str, count: int, sources: int
    ) -> None:
        self._kind, self._where, self._count = kind, where, count
        self._sources = [str(IPv4Address(source) + each) for each in range(sources)]
        self._made = 0
        self._selector = selectors.DefaultSelector()
        self._open = 0

    def run(self) -> None:
        while True:
            for _ in range(min(_AT_ONCE, self._count - self._open)):
                self._connect()
            for key, events in self._selector.select(0 if self._kind.resets else 0.1):
                try:
                    self._go_on(key, events)
                except BlockingIOError:
                    pass
                except OSError:
                    self._close(key)

    def _connect(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((self._sources[self._made % len(self._sources)], 0))
        self._made += 1
        with contextlib.suppress(BlockingIOError):
            sock.connect(self._where)
        reads = selectors.EVENT_READ if self._kind.reads else 0
        self._selector.register(sock, reads | selectors.EVENT_WRITE, self._pieces())
        self._open += 1

    def _go_on(self, key: selectors.SelectorKey, events: int) -> None:
        sock = key.fileobj
        assert isinstance(sock, socket.socket)
        if self._kind.resets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            raise ConnectionResetError
        if events & selectors.EVENT_READ and not sock.recv(_PIECE):
            raise ConnectionResetError
        if events & selectors.EVENT_WRITE:
            piece = next(key.data, None)
            if piece is None:
                self._selector.modify(sock, selectors.EVENT_READ)
            else:
                sock.sendall(piece)

    def _pieces(self) -> Iterator[bytes]:
        # What `sendall` could not send whole is lost: half a request is as good here.
        payload, piece = self._kind.payload, self._kind.piece
        while True:
            for start in range(0, len(payload), piece):
                yield payload[start : start + piece]
            if self._kind.once:
                return

    def _close(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        assert isinstance(key.fileobj, socket.socket)
        key.fileobj.close()
        self._open -= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("port", type=int)
    parser.add_argument("source")
    parser.add_argument("count", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--sources", type=int, default=1)
    chosen = parser.parse_args()
    where = (chosen.host, chosen.port)
    Flood(KINDS[chosen.kind], where, chosen.source, chosen.count, chosen.sources).run()


if __name__ == "__main__":
    main()
