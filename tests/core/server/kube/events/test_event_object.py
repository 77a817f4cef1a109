"""What an Event on a pod says, and which reasons have one."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.hostile import ESCAPES, MEGABYTE
from core.server.kube.events.rig import cause
from fakes.clock import START
from rolecall_proto.reasons import MEANINGS
from rolecall_proto.values import Reason, State
from rolecall_server.kube.events.event_object import (
    MOST_NOTE,
    Series,
    name_of,
    new_event,
    note_of,
)
from rolecall_server.telemetry.event_reasons import EVENT_REASONS, KIAM_WORDS, Dropped, EventReason

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def test_every_reason_has_its_event_or_none() -> None:
    """A new reason without an answer to this question does not get past this test."""
    assert list(EVENT_REASONS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_who_gets_nothing_for_good_has_an_event(reason: Reason) -> None:
    """Whoever only waits has none, nor has whoever never asked for a role, or is gone."""
    lost = {State.DENIED, State.FAILED} & set(MEANINGS[reason].states)
    silent = {Reason.NO_ROLE, Reason.NAMESPACE_GONE}

    if lost and reason not in silent:
        assert EVENT_REASONS[reason] is not None
    elif reason is not Reason.HOST_NETWORK_UNSUPPORTED:
        assert EVENT_REASONS[reason] is None


def test_kiam_has_two_words() -> None:
    """Policy forbids, or STS refuses; the host network has none of its own."""
    assert KIAM_WORDS[EventReason.ROLE_DENIED] == "KiamRoleForbidden"
    assert KIAM_WORDS[EventReason.ROLE_MALFORMED] == "KiamRoleForbidden"
    assert KIAM_WORDS[EventReason.ROLE_NOT_ASSUMABLE] == "KiamCredentialError"
    assert EventReason.HOST_NETWORK_UNSUPPORTED not in KIAM_WORDS


def test_the_page_explains_each_reason_and_everything_that_is_dropped() -> None:
    """Whoever reads a word in kubectl or in a metric finds it there."""
    page = (Path(__file__).parents[5] / "docs" / "events.md").read_text()

    assert [each for each in (*EventReason, *Dropped) if f"`{each}`" not in page] == []


@given(st.text(alphabet=st.characters(), max_size=3000))
def test_a_note_is_one_printable_line_that_the_api_takes(sentence: str) -> None:
    """Whatever is in an annotation: no control characters, no half of a pair, 1,024 bytes."""
    note = note_of(sentence)

    assert note.isprintable()
    assert len(note.encode()) <= MOST_NOTE


def test_a_sentence_that_fits_is_the_note_as_it_is() -> None:
    """What is not odd is not touched."""
    assert note_of("the role 'admin' is not allowed …") == "the role 'admin' is not allowed …"
    assert note_of("x" * MOST_NOTE) == "x" * MOST_NOTE


def test_what_is_hostile_in_a_sentence_does_not_reach_a_terminal() -> None:
    """Kubectl prints notes as they are."""
    assert "\x1b" not in note_of(ESCAPES)
    assert note_of("a\u202eb\nc") == "a\ufffdb\ufffdc"
    assert note_of(MEGABYTE).endswith("…")


@given(st.from_regex(r"[a-z0-9]([a-z0-9]|-[a-z0-9]|\.[a-z0-9]){0,125}", fullmatch=True))
def test_an_event_has_a_name_that_the_api_takes(pod: str) -> None:
    """A pod's name may be as long as an Event's, and is cut where a name may end."""
    name = name_of(cause(pod[:253]))

    assert len(name) <= 253
    assert SUBDOMAIN.fullmatch(name)


def test_a_name_follows_from_pod_reason_and_note() -> None:
    """Two replicas give the same cause the same name, and different causes different ones."""
    different = [
        cause(),
        cause("other"),
        cause(note="no!"),
        cause(reason=EventReason.ROLE_MALFORMED),
    ]

    assert name_of(cause()) == name_of(cause())
    assert len({name_of(each) for each in different}) == len(different)


def test_an_event_says_what_the_api_wants_to_know() -> None:
    """All of it: the API server refuses an Event without any one of these."""
    event = new_event(Series(cause(), START, START), "server-1")

    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name_of(cause()), "namespace": "team"},
        "type": "Warning",
        "reason": "RoleDenied",
        "note": "no",
        "action": "AssignRole",
        "eventTime": "2030-01-01T00:00:00.000000Z",
        "reportingController": "rolecall.io/server",
        "reportingInstance": "server-1",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "team",
            "name": "web",
            "uid": "uid-team-web",
        },
    }


def test_an_instance_is_there_and_not_too_long() -> None:
    """A host's name may be longer than the API takes."""
    series = Series(cause(), START, START)

    assert new_event(series, "")["reportingInstance"] == "unknown"
    assert len(str(new_event(series, "x" * 200)["reportingInstance"]).encode()) <= 128
