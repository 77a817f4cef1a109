"""A pod of a shop, and what a policy decides on it."""

from dataclasses import replace

from rolecall_proto.values import NodeName, PodUid, Reason
from rolecall_server.model.annotations import Wish
from rolecall_server.model.decisions import Decision, Entitled
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.policy.rules import PolicySettings

P = "arn:aws:iam::111122223333:role/"
FAR = "arn:aws:iam::444455556666:role/far"
SETTINGS = PolicySettings(base=BaseArn.parse(P), region="eu-west-1")
OPEN = Namespace("shop", permitted="arn:aws:.*")
READER = Wish(role="reader")


def pod(wish: Wish | None = READER, **changes: object) -> Pod:
    """Return a pod of the shop on node-a."""
    plain = Pod(PodUid("11-22"), "shop", "web-1", "web", NodeName("node-a"), wish=wish)
    return replace(plain, **changes)


def decide(
    wish: Wish | None = READER, namespace: Namespace = OPEN, settings: PolicySettings = SETTINGS
) -> Decision:
    """Decide on a plain pod with *wish*."""
    return Policy(settings).decide(pod(wish), namespace)


def entitled(
    wish: Wish | None = READER, namespace: Namespace = OPEN, settings: PolicySettings = SETTINGS
) -> Entitled:
    """Decide on a plain pod that may have its role."""
    decision = decide(wish, namespace, settings)
    assert isinstance(decision, Entitled)
    return decision


def why_not(decision: Decision) -> Reason | None:
    """Return the reason of a decision against a pod."""
    return None if isinstance(decision, Entitled) else decision.reason


def remarks(decision: Decision) -> list[Reason]:
    """Return the reasons of what is remarked on a pod that is served."""
    assert isinstance(decision, Entitled)
    return [note.reason for note in decision.notes]
