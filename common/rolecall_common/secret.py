"""A string that can be used but not printed, and values that are not written anywhere."""

from typing import NoReturn


class NotPickled:
    """For values that hold a secret: nothing of them lands in a file or another process.

    A field that is a secret and no `Secret`, because it is bytes, says `repr=False` besides.
    """

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a secret and is not pickled")


class Secret(NotPickled):
    """Wraps a string so that no log line, traceback or format string shows it.

    `reveal()` is the only way to the text; a reader can search for it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)
