"""One pod that takes of the endpoint what it can, in a process of its own, until it is ended."""

import argparse
import contextlib
import selectors
import socket
from collections.abc import Iterator

_HOST = "\r\nHost: 169.254.169.254\r\n\r\n"
_PIPELINE = "".join(f"GET /latest/{number} HTTP/1.1{_HOST}" for number in range(4000)).encode()
_ASKED = f"GET /latest/meta-data/iam/security-credentials/ HTTP/1.1{_HOST}".encode() * 4000
_PIECE = 64 * 1024
# What a connection sends, over and over, how much at once, and whether it reads.
KINDS = {
    "idle": (b"", _PIECE, True),
    "pipeline": (_PIPELINE, _PIECE, True),
    "deaf": (_ASKED, _PIECE, False),
    "trickle": (b"GET /" + b"x" * 8_000, 1, True),
}
_AT_ONCE = 50  # connections that are opened before those that are open have their turn


class Flood:
    """So many connections, each opened anew when the endpoint drops it."""

    def __init__(self, kind: str, port: int, source: str, count: int) -> None:
        self._payload, self._piece, self._reads = KINDS[kind]
        self._port, self._source, self._count = port, source, count
        self._selector = selectors.DefaultSelector()
        self._open = 0

    def run(self) -> None:
        while True:
            for _ in range(min(_AT_ONCE, self._count - self._open)):
                self._connect()
            for key, events in self._selector.select(0.1):
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
        sock.bind((self._source, 0))
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", self._port))
        reads = selectors.EVENT_READ if self._reads else 0
        self._selector.register(sock, reads | selectors.EVENT_WRITE, self._pieces())
        self._open += 1

    def _go_on(self, key: selectors.SelectorKey, events: int) -> None:
        sock = key.fileobj
        assert isinstance(sock, socket.socket)
        if events & selectors.EVENT_READ and not sock.recv(_PIECE):
            raise ConnectionResetError
        if events & selectors.EVENT_WRITE:
            if self._payload:
                sock.sendall(next(key.data))
            else:
                self._selector.modify(sock, selectors.EVENT_READ)

    def _pieces(self) -> Iterator[bytes]:
        # What `sendall` could not send whole is lost: half a request is as good here.
        while True:
            for start in range(0, len(self._payload), self._piece):
                yield self._payload[start : start + self._piece]

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
    chosen = parser.parse_args()
    Flood(chosen.kind, chosen.port, chosen.source, chosen.count).run()


if __name__ == "__main__":
    main()
