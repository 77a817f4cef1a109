"""What a watch sends comes out as lines, whatever its chunks are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_server.kube.api import UnavailableError
from rolecall_server.kube.transport import LineSplitter


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9))
def test_lines_come_out_as_they_went_in_however_they_are_cut(lines: list[bytes]) -> None:
    """Chunks end anywhere; empty lines are nothing."""
    text = b"".join(line + b"\n" for line in lines)
    for size in (1, 2, 3, 7, len(text) + 1):
        splitter = LineSplitter()
        chunks = [text[start : start + size] for start in range(0, len(text), size)]

        assert [line for chunk in chunks for line in splitter.feed(chunk)] == [
            x for x in lines if x
        ]


def test_a_line_without_end_is_given_up() -> None:
    """Memory is bounded, whatever answers."""
    splitter = LineSplitter(longest=10)

    assert splitter.feed(b"0123456789\n") == [b"0123456789"]
    with pytest.raises(UnavailableError):
        splitter.feed(b"0123456789a")
