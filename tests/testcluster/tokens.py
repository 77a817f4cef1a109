"""What the API server is asked about service accounts' tokens."""

from collections.abc import Sequence
from typing import Any

_GROUP = "authentication.k8s.io/v1"


def token_request(audience: str, pod: dict[str, Any] | None, seconds: int) -> dict[str, Any]:
    """Ask for a token for an *audience*, which ends with *pod* if that is given."""
    spec: dict[str, Any] = {"audiences": [audience], "expirationSeconds": seconds}
    if pod is not None:
        bound = {name: pod["metadata"][name] for name in ("name", "uid")}
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", **bound}
    return {"apiVersion": _GROUP, "kind": "TokenRequest", "spec": spec}


def token_review(token: str, audiences: Sequence[str]) -> dict[str, Any]:
    """Ask whose a *token* is, if it is for one of the *audiences*."""
    spec = {"token": token, "audiences": list(audiences)}
    return {"apiVersion": _GROUP, "kind": "TokenReview", "spec": spec}
