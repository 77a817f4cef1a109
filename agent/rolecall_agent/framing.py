"""Cuts what a connection sends into heads. No request has a body, so a head is all of it."""

from rolecall_agent.requests import HEAD_END, is_hopeless

# Stands in the place of bytes that can never become a head, so that they are refused in their turn.
HOPELESS = b""


class Framing:
    """Keeps what was read and not taken yet: a read's worth, and the part of a head before it."""

    __slots__ = ("_start", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._start = 0  # What is before it was taken.

    @property
    def is_empty(self) -> bool:
        return not self._text

    @property
    def has_whole(self) -> bool:
        """Whether `take` would return a head."""
        return HEAD_END in self._text[self._start :]

    def feed(self, data: bytes) -> None:
        self._text = self._text[self._start :] + data if self._text else data
        self._start = 0

    def take(self) -> bytes | None:
        """Return the next head; None where more must come first, and HOPELESS where none can."""
        text, start = self._text, self._start
        end = text.find(HEAD_END, start)
        if end < 0:
            if start < len(text) and is_hopeless(text[start:]):
                self.clear()
                return HOPELESS
            return None
        stop = end + len(HEAD_END)
        if stop == len(text):
            self.clear()
        else:
            self._start = stop
        return text[start:stop]

    def clear(self) -> None:
        self._text = b""
        self._start = 0
