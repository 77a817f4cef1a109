"""What whoever owns a node may try, what stops it and what it says: values for tests and docs.

The attempts themselves are in `attempts_pods.py`, `attempts_cluster.py` and `attempts_broker.py`.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cluster.attacker import Field

Act = Callable[[Field], Awaitable[object]]


class Control(enum.Enum):
    """What stops an attempt."""

    NO_RULE = "the authorizers: no rule lets a kubelet do that"
    NODE_AUTHORIZER = "the Node authorizer: nothing on that node uses the object"
    NODE_RESTRICTION = "the plugin NodeRestriction"
    SERVICE_ACCOUNT = "the plugin ServiceAccount"
    API = "the API server's own checks"
    GUARD = "**Rolecall's node guard**"
    MIRROR = "**the rule for mirror pods**: they never have a role"
    SUBSCRIPTION = (
        "**the stream of a node** holds its own pods only; the node is derived from the token"
    )
    BEARER = "**the server**: it wants one bearer token"
    CLAIMS = "**the server** reads the token: algorithm, audience, end, account, pod"
    SIGNATURE = "**the server** and TokenReview: the cluster has not signed it"
    REVIEW = "TokenReview: the pod of the token is gone"
    WATCH = "**the watch** must show the token's pod, by its uid, as an agent's"
    INDEX = "**the index**: an address counts on its pod's own node, and for one pod only"
    HELD = "**claims spare pushes**, and are believed of nobody but the liar's own node"
    LIMITS = "**the server's limits**"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that is tried.

    *said* is what the refusal must say, and is empty where nothing refuses it and nothing comes of
    it. *gives* is the role that its own pod would have without the guard.
    """

    what: str
    control: Control
    do: Act
    said: str = ""
    why: str = ""  # What the server's log says of a refusal by itself.
    gives: str = ""

    def __str__(self) -> str:
        return "".join(each if each.isalnum() else "-" for each in self.what.lower())


def guarded(what: str, do: Act, gives: str = "") -> Attempt:
    return Attempt(what, Control.GUARD, do, "a node may not", gives=gives)


def no_rule(what: str, do: Act, verb: str, resource: str) -> Attempt:
    return Attempt(what, Control.NO_RULE, do, f'cannot {verb} resource "{resource}"')


def unrelated(what: str, do: Act) -> Attempt:
    said = "no relationship found between node .* and this object"
    return Attempt(what, Control.NODE_AUTHORIZER, do, said)


def restricted(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.NODE_RESTRICTION, do, said)


def no_mirror(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.SERVICE_ACCOUNT, do, said)


def checked(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.API, do, said)


def idle(what: str, do: Act, control: Control) -> Attempt:
    return Attempt(what, control, do)
