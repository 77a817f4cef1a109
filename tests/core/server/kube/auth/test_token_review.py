"""Whose token it is by a TokenReview, and when that is no agent."""

import msgspec
import pytest

from fakes.authentication import RULES
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.auth.token_claims import Holder
from rolecall_server.kube.auth.token_review import Refused, Status, holder_of
from rolecall_server.model.authenticator import (
    AuthenticationError,
    ForbiddenError,
    UnauthenticatedError,
)

AGENT = Holder(PodUid("agent-1"), "pod-agent-1", NodeName("node-1"))


def status(**fields: object) -> Status:
    extra = {"pod-uid": ["agent-1"], "pod-name": ["pod-agent-1"], "node-name": ["node-1"]}
    said = {
        "authenticated": True,
        "audiences": ["rolecall"],
        "user": {
            "username": RULES.username,
            "extra": {f"authentication.kubernetes.io/{key}": each for key, each in extra.items()},
        },
    }
    return msgspec.convert({**said, **fields}, Status)


def test_a_review_says_whose_token_it_is() -> None:
    """Everything is taken from the review, nothing from the token."""
    assert holder_of(status(), RULES) == AGENT


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"authenticated": False, "error": "expired"}, UnauthenticatedError),
        ({"authenticated": None}, UnauthenticatedError),
        ({"audiences": None}, UnauthenticatedError),
        ({"audiences": []}, UnauthenticatedError),
        ({"audiences": ["https://kubernetes.default.svc"]}, UnauthenticatedError),
        ({"user": None}, ForbiddenError),
        ({"user": {"username": "system:serviceaccount:rolecall:default"}}, ForbiddenError),
        ({"user": {"username": RULES.username}}, ForbiddenError),
        (
            {
                "user": {
                    "username": RULES.username,
                    "extra": {"authentication.kubernetes.io/pod-uid": ["agent-1", "agent-2"]},
                }
            },
            ForbiddenError,
        ),
    ],
)
def test_a_review_that_does_not_say_an_agent_says_no(
    fields: dict[str, object], error: type[AuthenticationError]
) -> None:
    """Not accepted, not for our audience, not the agents' account, or bound to no one pod."""
    result = holder_of(status(**fields), RULES)

    assert isinstance(result, Refused)
    assert result.error is error
