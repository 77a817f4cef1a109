"""Why a stream ended: every reason is ordinary, counted, and followed by the next attempt."""

import enum

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


ENDINGS = {
    grpc.StatusCode.UNAVAILABLE: Ending.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED: Ending.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Ending.FORBIDDEN,
    grpc.StatusCode.ABORTED: Ending.SUPERSEDED,
}


class StreamEndedError(Exception):
    """The stream is over; the follower tries the next server."""

    def __init__(self, ending: Ending, detail: str = "") -> None:
        super().__init__(ending, detail)
        self.ending = ending
        self.detail = detail


def ending_of(error: grpc.aio.AioRpcError) -> StreamEndedError:
    """Read gRPC's error as the end of a stream."""
    ending = ENDINGS.get(error.code(), Ending.REFUSED)
    return StreamEndedError(ending, f"{error.code().name}: {error.details()}")
