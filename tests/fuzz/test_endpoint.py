"""The metadata endpoint against what a fuzzer has found, and against what chance puts together."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import corpus
from fuzz.loop import Loop
from fuzz.scene import play
from fuzz.script import Kind, read, steps, written

HOST = b"Host: 169.254.169.254\r\n"
ROLE = b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n" + HOST
PIECES = (
    *(b"GET ", b"HEAD ", b"PUT ", b"/latest", b"/api/token", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"),
    *(b"\r\n", b"\r\n\r\n", HOST, HOST + b"\r\n", b"Connection: close\r\n"),
    b"X-aws-ec2-metadata-token: \xfc\r\n",
    b"X-aws-ec2-metadata-token: \xfd\x01\r\n",
    b"PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n" + HOST,
    b"GET /latest/meta-data/placement/region HTTP/1.1\r\n" + HOST,
    b"GET /latest/meta-data/iam/security-credentials/role-1 HTTP/1.1\r\n" + HOST,
    ROLE,
    ROLE + b"\r\n",
)


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """One loop for all scenes: each leaves nothing on it."""
    made = Loop()
    yield made
    made.close()


def texts() -> st.SearchStrategy[bytes]:
    """Scripts that are mostly sense: a few requests, and what happens between their pieces."""
    events = st.sampled_from([kind for kind in Kind if kind is not Kind.SEND])
    happening = st.builds(lambda kind, number: bytes([kind, number]), events, st.integers(0, 255))
    piece = st.sampled_from(PIECES) | happening | st.binary(max_size=8)
    return st.lists(piece, max_size=24).map(b"".join)


@pytest.mark.parametrize("file", [corpus.WRITTEN, corpus.FOUND], ids=lambda file: file.stem)
def test_what_was_found_breaks_nothing(loop: Loop, file: Path) -> None:
    """Every rule of the endpoint holds in each scene of the corpus."""
    for script in corpus.scripts(file):
        try:
            play(script, loop)
        except Exception as error:
            error.add_note(f"by the script {written(script)}")
            raise


@given(texts())
@settings(deadline=None)
def test_whatever_is_put_together_breaks_nothing(loop: Loop, script: bytes) -> None:
    """No order of requests, pieces, changes and pauses breaks a rule of the endpoint."""
    play(script, loop)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_script_and_can_be_written_down(script: bytes) -> None:
    """A fuzzer's bytes are played as they are, and read again from the line that keeps them."""
    for step in steps(script):
        assert 0 <= step.number <= 255

    assert read(written(script)) == script
