"""A flood of refused calls is counted, and neither fills the log nor opens labels."""

import logging
from datetime import timedelta

import pytest

from fakes.clock import START
from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName
from rolecall_server.engine.statistics import MOST_VERSIONS, by_version
from rolecall_server.model.authenticator import Agent
from rolecall_server.rpc.refusals import BAD_TOKEN, NO_TOKEN, QUIET, Refusals
from rolecall_server.rpc.streams import CALLS_PER_NODE, Stream, Streams

NODE = NodeName("node-1")


def test_the_first_refusal_of_a_kind_in_a_minute_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next line says how many were not; the count knows all of them."""
    caplog.set_level(logging.INFO)
    refusals = Refusals()
    for _ in range(1000):
        refusals.note(NO_TOKEN, "ipv4:10.0.0.1:1", "none", START)
    refusals.note(BAD_TOKEN, "ipv4:10.0.0.1:1", "expired", START)
    refusals.note(NO_TOKEN, "ipv4:10.0.0.1:1", "none", START + QUIET)

    assert [vars(each)["unsaid"] for each in caplog.records] == [0, 0, 999]
    assert refusals.by_code == {NO_TOKEN[0]: 1002}


def test_versions_that_are_none_share_a_label() -> None:
    """An agent's own word is a label only where it looks like a version."""
    odd = ["", "1", "x" * 10_000, "1.2.3\n", "1.2.3-" + "x" * 40, "1.2.3 ", "१.२.३"]

    assert by_version(["0.1.0", "0.1.0", "10.20.30-rc.1+b5", *odd]) == {
        "0.1.0": 2,
        "10.20.30-rc.1+b5": 1,
        "other": len(odd),
    }


def test_of_too_many_versions_the_commonest_are_kept() -> None:
    """Agents that make them up push out no version that is in use."""
    lies = [f"6.6.{number}" for number in range(1000)]
    counted = by_version([*lies, "0.1.0", "0.1.0"])

    assert counted["0.1.0"] == 2
    assert len(counted) == MOST_VERSIONS + 1
    assert sum(counted.values()) == 1002


def test_a_node_holds_so_many_calls_and_no_more() -> None:
    """Another node is not concerned, and a call that is over makes room."""
    streams = Streams()
    taken = [streams.begin_call(NODE) for _ in range(CALLS_PER_NODE + 1)]

    assert taken == [True] * CALLS_PER_NODE + [False]
    assert streams.begin_call(NodeName("node-2"))
    streams.end_call(NODE)
    assert streams.begin_call(NODE)


async def test_a_token_is_due_once_and_not_while_it_is_looked_into() -> None:
    """Until somebody says when it is due again."""
    stream = Stream(Agent(NODE), Secret("token"), recheck_at=START)

    assert not stream.take_due(START - timedelta(seconds=1))
    assert [stream.take_due(START) for _ in range(2)] == [True, False]
