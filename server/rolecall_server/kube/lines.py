"""Cuts what a watch sends into lines, however it arrives."""

# An object has at most 1.5 MB in etcd unless told otherwise, and its JSON a small multiple of that.
LONGEST = 32 * 1024 * 1024  # bytes


class LineTooLongError(Exception):
    """No object is that long."""


class Lines:
    """Takes chunks in, gives whole lines out. A long line costs its length once, not squared."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that *chunk* ends, without empty ones. Raises LineTooLongError."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        if not others:
            return []
        lines = [b"".join(self._parts), *others[:-1]]
        self._parts, self._size = [], 0
        self._keep(others[-1])
        return [line for line in lines if line]

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._longest:
            raise LineTooLongError(f"a line of more than {self._longest} bytes")
        if part:
            self._parts.append(part)
