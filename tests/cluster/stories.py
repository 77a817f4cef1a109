"""Attempts that take a test of their own, and where that is."""

from dataclasses import dataclass

from cluster.attempts import Control


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
        Control.SUBSCRIPTION,
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
