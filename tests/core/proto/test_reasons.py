"""Every reason is explained, and means in the table what it means in the code."""

import re

import pytest

from rolecall_common.settings.declare import declared
from rolecall_proto.reasons import MEANINGS
from rolecall_proto.values import Reason, State
from rolecall_server.settings import Settings
from rolecall_server.sts.error_codes import REFUSALS
from rolecall_server.telemetry.metrics import METRICS


def test_every_reason_is_explained_in_the_order_of_the_list() -> None:
    """A new reason without a meaning does not get past this test."""
    assert list(MEANINGS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_meaning_is_sentences_and_says_what_to_do(reason: Reason) -> None:
    """Whoever looks a reason up wants to be done with it."""
    each = MEANINGS[reason]

    assert each.states
    for text in (each.meaning, each.remedy):
        assert text[0].isupper()
        assert text.endswith(".")
        assert "|" not in text
        assert "\n" not in text


def test_metrics_and_settings_that_are_named_are_there() -> None:
    """Advice that leads nowhere is worse than none."""
    text = " ".join(f"{each.meaning} {each.remedy}" for each in MEANINGS.values())
    metrics = {metric.name for metric in METRICS}
    settings = {setting.name for setting in declared(Settings)}

    assert set(re.findall(r"rolecall_\w+", text)) <= metrics
    assert set(re.findall(r"\b[a-z]+[A-Z]\w+", text)) <= settings


def test_what_sts_refuses_is_failed() -> None:
    """The table agrees with what becomes of STS's answers."""
    assert all(State.FAILED in MEANINGS[reason].states for reason in REFUSALS.values())


def test_what_is_waited_for_is_pending_and_nothing_else() -> None:
    """A pod that waits gets its credentials, or another reason."""
    pending = {reason for reason in Reason if State.PENDING in MEANINGS[reason].states}

    assert pending == {
        Reason.NAMESPACE_UNKNOWN,
        Reason.CREDENTIALS_PENDING,
        Reason.STS_UNREACHABLE,
    }
    assert all(len(MEANINGS[reason].states) == 1 for reason in pending)
