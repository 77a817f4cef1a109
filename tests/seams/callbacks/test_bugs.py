"""A bug in a callback ends the run, whichever callback it is, and whatever it raises."""

import asyncio
import gc
from collections.abc import Iterator

import httptools
import pytest

from fakes.callbacks import ASYNCIO, COMES_BACK, ON_ANY_LOOP, ON_ASYNCIO, UVLOOP, Play
from fakes.planted import LoopFactory, first_bug, planted
from rolecall_agent.metadata import imds_client

# A callback that fails leaves open what it was to close, and so does a client that is cancelled.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

# Transports take the second for an end of their connection, and say nothing of it themselves.
ERRORS = pytest.mark.parametrize(
    "error", ["LookupError('planted')", "ConnectionResetError('planted')"]
)
EVERY = [
    pytest.param(target, play, loop, id=f"{target.partition(':')[2]}-{name}")
    for rows, loops in (
        (ON_ANY_LOOP, {"asyncio": ASYNCIO, "uvloop": UVLOOP}),
        (ON_ASYNCIO, {"asyncio": ASYNCIO}),
    )
    for target, play in rows.items()
    for name, loop in loops.items()
]


@pytest.fixture(autouse=True)
def _nothing_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Have what is left open collected here, where that is no failure."""
    yield
    caplog.clear()
    gc.collect()


@ERRORS
@pytest.mark.parametrize(("target", "play", "loop"), EVERY)
def test_a_bug_in_any_callback_ends_the_run(
    target: str, play: Play, loop: LoopFactory, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, with its traceback, and it is this one that ends the run."""
    bug = first_bug(play, loop, target, error)

    said = [each for each in caplog.records if each.levelname == "CRITICAL"]
    found = bug.__context__ if isinstance(bug, httptools.HttpParserCallbackError) else bug
    assert repr(found) == error
    assert [each.exc_info and each.exc_info[1] for each in said] == [bug]


@ERRORS
@pytest.mark.parametrize("target", sorted(COMES_BACK))
async def test_a_bug_in_what_a_parser_calls_is_no_answer(target: str, error: str) -> None:
    """It comes back to whoever has given the parser its bytes, and is not taken for bad ones."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
    with planted(target, error), pytest.raises(httptools.HttpParserCallbackError) as raised:
        await imds_client._answer(reader)  # noqa: SLF001 - what reads the bytes

    assert repr(raised.value.__context__) == error
