"""Cuts what a connection sends into heads. No request has a body, so a head is all of it."""

from rolecall_agent.http.request import HEAD_END, LONGEST_HEAD, is_hopeless

# Stands in the place of bytes that can never become a head, so that they are refused in their turn.
HOPELESS = b""


class Framing:
    """Keeps what was read and not taken yet: a read's worth, and the part of a head before it.

    `take` looks at each byte once, however many reads it takes until its head is whole.
    """

    __slots__ = ("_seen", "_start", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._start = 0  # What is before it was cut off.
        self._seen = 0  # Bytes from there in which no head ends.

    @property
    def is_empty(self) -> bool:
        return not self._text

    @property
    def has_unseen(self) -> bool:
        """Whether `take` has something to look at that it has not seen."""
        return self._start + self._seen < len(self._text)

    def feed(self, data: bytes) -> None:
        self._text = self._text[self._start :] + data if self._text else data
        self._start = 0

    def peek(self) -> bytes:
        """Return the head that `take` would return; b"" where it is not whole, or too long."""
        begin = self._start + max(0, self._seen + 1 - len(HEAD_END))
        end = self._text.find(HEAD_END, begin, self._start + LONGEST_HEAD)
        return self._text[self._start : end + len(HEAD_END)] if end >= 0 else b""

    def take(self) -> bytes | None:
        """Return the next head; None where more must come first, and HOPELESS where none can."""
        text, start = self._text, self._start
        # The end of a head may have begun in what was seen.
        end = text.find(HEAD_END, start + max(0, self._seen + 1 - len(HEAD_END)))
        if end < 0:
            return self._take_none(text[start:])
        self._start, self._seen = end + len(HEAD_END), 0
        if self._start == len(text):
            self.clear()
        return text[start : end + len(HEAD_END)]

    def clear(self) -> None:
        self._text = b""
        self._start = self._seen = 0

    def _take_none(self, partial: bytes) -> bytes | None:
        if partial and is_hopeless(partial, self._seen):
            self.clear()
            return HOPELESS
        self._text, self._start, self._seen = partial, 0, len(partial)
        return None
