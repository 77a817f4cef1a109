"""What whoever owns a node may try, what stops it, and what is said then: values for tests and docs.

The attempts themselves are in `attempts_api.py` and `attempts_broker.py`.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cluster.attacker import Field


class Control(enum.Enum):
    """What stops an attempt."""

    RBAC = "RBAC: no rule lets a kubelet do that"
    NODE_AUTHORIZER = "the Node authorizer: nothing on that node uses the object"
    NODE_RESTRICTION = "the plugin NodeRestriction"
    SERVICE_ACCOUNT = "the plugin ServiceAccount"
    API = "the API server's own checks"
    GUARD = "**Rolecall's node guard**"
    MIRROR = "**the rule for mirror pods**: they never have a role"
    FANOUT = "**the stream of a node** holds its own pods only; the node is derived from the token"
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
    do: Callable[[Field], Awaitable[object]]
    said: str = ""
    why: str = ""  # What the server's log says of a refusal by itself.
    gives: str = ""

    def __str__(self) -> str:
        return "".join(each if each.isalnum() else "-" for each in self.what.lower())


@dataclass(frozen=True, slots=True)
class Story:
    """Something that takes a test of its own: it is named."""

    what: str
    control: Control
    test: str


STORIES = (
    Story(
        "Give its own pod the address of a pod of another node",
        Control.INDEX,
        "test_compromised_addresses.py::test_an_address_of_another_nodes_pod_gives_nothing",
    ),
    Story(
        "Give two of its pods one address",
        Control.INDEX,
        "test_compromised_addresses.py::test_of_two_claimants_none_is_served",
    ),
    Story(
        "Ask for the addresses of other nodes' pods, to learn which there are",
        Control.FANOUT,
        "test_compromised_addresses.py::test_questions_tell_nothing_of_other_nodes",
    ),
    Story(
        "Go on with a stream, or come back, after the agent's pod was deleted",
        Control.REVIEW,
        "test_compromised_agents.py::test_with_the_agents_pod_its_stream_and_its_token_end",
    ),
    Story(
        "Claim to hold other nodes' sessions",
        Control.HELD,
        "test_compromised_agents.py::test_claims_get_nothing_of_others",
    ),
    Story(
        "Claim a session that another node's pods share, so that these get none",
        Control.HELD,
        "test_compromised_agents.py::test_a_false_claim_takes_nothing_from_others",
    ),
    Story(
        "Flood the server with bad tokens, good tokens and questions",
        Control.LIMITS,
        "test_compromised_agents.py::test_floods_keep_nobody_out",
    ),
)
