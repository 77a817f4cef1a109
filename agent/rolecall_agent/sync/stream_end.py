"""Why a stream ended: every reason is ordinary, counted, and followed by the next attempt."""

import enum
from dataclasses import dataclass

import grpc


class Ending(enum.StrEnum):
    """Why a stream ended (or never began); a closed list, for metrics."""

    UNAVAILABLE = "unavailable"  # No server there, not the one we trust, or not ready, or stopping.
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    SUPERSEDED = "superseded"  # Another agent of this node took over.
    SILENT = "silent"
    FINISHED = "finished"
    TOKEN_UNUSABLE = "token_unusable"  # noqa: S105 - a reason, not a token
    TRUST_CHANGED = "trust_changed"
    REFUSED = "refused"  # Any other status.


_ENDINGS = {
    grpc.StatusCode.UNAVAILABLE: Ending.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED: Ending.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Ending.FORBIDDEN,
    grpc.StatusCode.ABORTED: Ending.SUPERSEDED,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """That a stream is over: the class of reason, and what was said, for the log."""

    ending: Ending
    detail: str = ""


def ended_by(error: grpc.aio.AioRpcError) -> Ended:
    """Read gRPC's error as the end of a stream."""
    ending = _ENDINGS.get(error.code(), Ending.REFUSED)
    return Ended(ending, f"{error.code().name}: {error.details()}")
