"""Why a stream ended: every reason is ordinary, counted, and followed by the next attempt."""

import enum
from dataclasses import dataclass

import grpc


class EndReason(enum.StrEnum):
    """Why a stream ended (or never began); a closed list, for metrics."""

    UNAVAILABLE = "unavailable"  # No server there, not the one we trust, or not ready, or stopping.
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    SUPERSEDED = "superseded"  # Another agent of this node took over.
    SILENT = "silent"
    FINISHED = "finished"
    TOKEN_UNUSABLE = "token_unusable"  # noqa: S105 - a reason, not a token
    CA_BUNDLE_CHANGED = "ca_bundle_changed"
    REFUSED = "refused"  # Any other status.


_REASONS = {
    grpc.StatusCode.UNAVAILABLE: EndReason.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED: EndReason.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: EndReason.FORBIDDEN,
    grpc.StatusCode.ABORTED: EndReason.SUPERSEDED,
}


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """That a stream is over: the class of reason, and what was said, for the log."""

    reason: EndReason
    detail: str = ""


def stream_end_by(error: grpc.aio.AioRpcError) -> StreamEnd:
    """Read gRPC's error as the end of a stream."""
    reason = _REASONS.get(error.code(), EndReason.REFUSED)
    return StreamEnd(reason, f"{error.code().name}: {error.details()}")
