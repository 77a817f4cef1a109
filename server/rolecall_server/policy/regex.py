"""Regular expressions that anyone may write: RE2's, so that none can take long or much."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import re2  # type: ignore[import-untyped]  # google-re2 ships no types.

from rolecall_common.quoting import quoted

# Room for some hundred ARNs side by side. What needs more than either is invalid: an expression is
# kept, and whoever may write on one namespace must not fill the server.
_LONGEST = 16 * 1024
_MEMORY = 1024 * 1024  # An eighth of RE2's own default.


@dataclass(frozen=True, slots=True)
class Invalid:
    """A text that cannot be read as a rule; *why* is one sentence for whoever wrote it."""

    why: str


Matcher = Callable[[str], bool]


class _Compiled(Protocol):
    def fullmatch(self, text: str) -> object: ...

    def search(self, text: str) -> object: ...


def full_match(text: str) -> Matcher | Invalid:
    """Compile *text*, on its own, to a matcher that only a whole subject passes."""
    compiled = _compiled(text)
    if isinstance(compiled, Invalid):
        return compiled
    return lambda subject: compiled.fullmatch(subject) is not None


def search(text: str) -> Matcher | Invalid:
    """Compile *text* to a matcher that a subject passes if any part of it matches."""
    compiled = _compiled(text)
    if isinstance(compiled, Invalid):
        return compiled
    return lambda subject: compiled.search(subject) is not None


def literal(text: str) -> str:
    """Return an expression that matches *text* and nothing else."""
    escaped: str = re2.escape(text)
    return escaped


def _compiled(text: str) -> _Compiled | Invalid:
    if len(text) > _LONGEST:
        return Invalid(f"the expression {quoted(text)} is longer than {_LONGEST} characters")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        compiled: _Compiled = re2.compile(text, options=options)
    except re2.error as error:
        return Invalid(f"the expression {quoted(text)} is invalid: {_explained(error)}")
    except UnicodeError:
        return Invalid(f"the expression {quoted(text)} is not Unicode")
    return compiled


def _explained(error: re2.error) -> str:
    # RE2 gives bytes, and repeats the whole expression after its message.
    said = error.args[0] if error.args else b""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return text.partition(": ")[0]
