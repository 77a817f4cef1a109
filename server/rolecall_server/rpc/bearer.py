"""Finds the bearer token in a call's metadata."""

from collections.abc import Iterable

from rolecall_common.secret import Secret

# A projected ServiceAccount token has about 1 KiB; 8 KiB is what proxies and gRPC itself allow.
MAX_AUTHORIZATION = 8 * 1024


def bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> Secret | None:
    """Return the token; None where there is none, more than one, or one that is too long."""
    values = [value for key, value in metadata if key == "authorization"]
    if len(values) != 1 or not isinstance(values[0], str):
        return None
    if len(values[0]) > MAX_AUTHORIZATION:
        return None
    scheme, _, token = values[0].partition(" ")
    return Secret(token) if scheme.lower() == "bearer" and token else None
