"""Cuts what a connection sends into heads. No request has a body, so a head is all of it."""

from rolecall_agent.requests import HEAD_END, is_hopeless

# Stands in the place of bytes that can never become a head, so that they are refused in their turn.
HOPELESS = b""


class Framing:
    """Keeps what no whole head has been found in yet."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, data: bytes, most: int) -> list[bytes]:
        """Add *data*; return up to *most* whole heads, in order."""
        text = self._rest + data if self._rest else data
        heads: list[bytes] = []
        start = 0
        while len(heads) < most:
            end = text.find(HEAD_END, start)
            if end < 0:
                start = self._refuse_hopeless(text, start, heads)
                break
            heads.append(text[start : end + len(HEAD_END)])
            start = end + len(HEAD_END)
        self._rest = text[start:]
        return heads

    def clear(self) -> None:
        self._rest = b""

    @property
    def is_empty(self) -> bool:
        return not self._rest

    @property
    def has_whole(self) -> bool:
        """Whether a whole head is there that *most* has left behind."""
        return HEAD_END in self._rest

    @staticmethod
    def _refuse_hopeless(text: bytes, start: int, heads: list[bytes]) -> int:
        if start < len(text) and is_hopeless(text[start:]):
            heads.append(HOPELESS)
            return len(text)
        return start
