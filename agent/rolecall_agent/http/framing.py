"""Cuts what a connection sends into heads. No request has a body, so a head is all of it."""

from rolecall_agent.http.request import HEAD_END, is_hopeless

# Stands in the place of bytes that can never become a head, so that they are refused in their turn.
HOPELESS = b""


class Framing:
    """Keeps what was read and not taken yet: a read's worth, and the part of a head before it."""

    __slots__ = ("_head", "_start", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._start = 0  # What is before it was cut off.
        self._head: bytes | None = None  # What was cut off last, until it is taken.

    @property
    def is_empty(self) -> bool:
        return not self._text and self._head is None

    @property
    def has_whole(self) -> bool:
        """Whether there is a head to take."""
        return self.peek() is not None

    def feed(self, data: bytes) -> None:
        self._text = self._text[self._start :] + data if self._text else data
        self._start = 0

    def peek(self) -> bytes | None:
        """Return the next head; None where more must come first, and HOPELESS where none can."""
        if self._head is None:
            self._head = self._cut()
        return self._head

    def take(self) -> bytes | None:
        """Return what `peek` does, and go on to what follows."""
        head, self._head = self.peek(), None
        return head

    def clear(self) -> None:
        self._text = b""
        self._start = 0
        self._head = None

    def _cut(self) -> bytes | None:
        text, start = self._text, self._start
        end = text.find(HEAD_END, start)
        if end >= 0:
            self._start = end + len(HEAD_END)
            head = text[start : self._start]
        elif text and is_hopeless(text[start:]):
            self._start = len(text)
            head = HOPELESS
        else:
            return None
        if self._start == len(text):
            self._text, self._start = b"", 0
        return head
