"""What hostile, broken or merely strange peers send: strategies for the properties of parsers."""

import json
from collections.abc import Mapping

from hypothesis import strategies as st

# Too deep for a parser that calls itself, and numbers that are none or too large for a machine.
_DEPTH = 2000
_DEEP = st.sampled_from([b"[" * _DEPTH, b'{"a":' * _DEPTH, b'{"spec":' + b"[" * _DEPTH])
_NUMBERS = st.sampled_from(["1e999", "-1e999", "NaN", "9" * 400, "-0", "1" * 5000, "0.1e1"])

texts = st.text(max_size=40) | st.sampled_from(["", " ", "\x00", "\n", "\ud800", "x" * 9000])
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts


def values(names: Mapping[str, object] | list[str]) -> st.SearchStrategy[object]:
    """Return values such as JSON has, whose objects often have one of *names*."""
    name = st.sampled_from(sorted(names)) | st.text(max_size=4)
    return st.recursive(
        _leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(name, inner, max_size=6),
        max_leaves=20,
    )


def documents(names: Mapping[str, object] | list[str]) -> st.SearchStrategy[bytes]:
    """Return what may stand where JSON is expected, with *names* in it more often than not."""
    written = values(names).map(lambda value: json.dumps(value).encode())
    numbered = st.tuples(st.sampled_from(sorted(names)), _NUMBERS).map(
        lambda pair: f'{{"{pair[0]}": {pair[1]}}}'.encode()
    )
    return written | numbered | st.binary() | _DEEP


def changed(good: bytes) -> st.SearchStrategy[bytes]:
    """Return *good* with a piece of it cut out or replaced."""
    place = st.integers(0, len(good))
    return st.builds(
        lambda one, two, piece: good[: min(one, two)] + piece + good[max(one, two) :],
        place,
        place,
        st.binary(max_size=8),
    )
