"""A call is made with exactly one bearer token, or it is nobody's."""

import pytest

from rolecall_common.secret import Secret
from rolecall_server.rpc.authentication import MAX_AUTHORIZATION, bearer_token


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_follows_the_scheme(scheme: str) -> None:
    """The scheme may be in any case, as HTTP has it; other metadata does not matter."""
    metadata = [("user-agent", "x"), ("authorization", f"{scheme} abc.def")]

    assert bearer_token(metadata) == Secret("abc.def")


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "Bearer a"), ("authorization", "Bearer a")],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Basic abc")],
        [("authorization", "abc")],
        [("authorization", b"Bearer abc")],
        [("authorization", "Bearer " + "x" * MAX_AUTHORIZATION)],
    ],
    ids=["none", "two", "empty", "no blank", "no token", "basic", "bare", "bytes", "too long"],
)
def test_anything_else_is_no_token(metadata: list[tuple[str, str | bytes]]) -> None:
    """None, two, another scheme, nothing after it, or more than 8 KiB: nobody asks."""
    assert bearer_token(metadata) is None
