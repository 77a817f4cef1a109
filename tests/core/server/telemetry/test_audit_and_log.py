"""What becomes of what the broker tells: in the log, in the audit log, in the metrics."""

import io
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.clock import START
from fakes.engine import issued, pod
from rolecall_common.audit import AuditLog
from rolecall_proto.values import Reason
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import RefusedError, ThrottledError, UnavailableError
from rolecall_server.telemetry.audit_and_log import AuditAndLog
from rolecall_server.telemetry.journal import Why
from rolecall_server.telemetry.metrics import Metrics

READER = Identity("arn:aws:iam::111122223333:role/reader", "team.app", timedelta(hours=1))


class Rig:
    """A journal, and everything that it has written."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._audit = io.StringIO()
        self.now = START
        self.journal = AuditAndLog(self.metrics, AuditLog(self._audit), lambda: self.now)

    @property
    def records(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self._audit.getvalue().splitlines()]


def test_a_denial_is_logged_recorded_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The same reason goes to all three, and whose it is to two of them."""
    rig = Rig()
    rig.journal.denied(pod("web", "admin"), Reason.NAMESPACE_FORBIDS, "it is forbidden")
    (record,) = rig.records

    assert rig.metrics.denials.value("namespace_forbids") == 1
    assert record["event"] == "denied"
    assert (record["namespace"], record["pod"]) == ("team", "web")
    assert (record["reason"], record["sentence"]) == ("namespace_forbids", "it is forbidden")
    assert caplog.messages == ["a pod is denied its role"]


def test_an_issue_ties_the_identity_to_cloudtrail() -> None:
    """Request id and access key id are there; secret key and token are not."""
    rig = Rig()
    rig.journal.issued(READER, issued(7, START), Why.NEW, timedelta(seconds=2))
    (record,) = rig.records

    assert record["event"] == "session_issued"
    assert record["session"] == READER.session_id
    assert record["access_key_id"] == f"ASIA{7:016}"
    assert record["request_id"] == "request-7"
    assert record["expires_at"] == "2030-01-01T01:00:00Z"
    assert "secret-7" not in str(record)
    assert "token-7" not in str(record)
    assert rig.metrics.issued.value("new") == 1


def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand roles that STS does not answer for are one line, and its return another."""
    caplog.set_level(logging.INFO, logger="rolecall_server.telemetry.audit_and_log")
    rig = Rig()
    for _ in range(1000):
        rig.journal.failed(READER, UnavailableError("no answer"))
    rig.journal.failed(READER, ThrottledError("slower"))
    for number in range(10):
        rig.journal.issued(READER, issued(number, START), Why.RENEWAL, timedelta())

    assert caplog.messages == [
        "STS gave no session",
        "STS gave no session",
        "STS gives sessions again",
    ]


def test_an_outage_that_flickers_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """STS that throttles every other call would else be two lines a call."""
    caplog.set_level(logging.INFO, logger="rolecall_server.telemetry.audit_and_log")
    rig = Rig()
    for second in range(120):
        rig.now = START + timedelta(seconds=second)
        rig.journal.failed(READER, ThrottledError("slower"))
        rig.journal.issued(READER, issued(second, START), Why.RENEWAL, timedelta())

    assert caplog.messages == ["STS gave no session", "STS gives sessions again"] * 2


def test_every_failure_is_in_the_log_of_whoever_debugs(caplog: pytest.LogCaptureFixture) -> None:
    """With the role, the class and the reason."""
    caplog.set_level(logging.DEBUG, logger="rolecall_server.telemetry.audit_and_log")
    rig = Rig()
    for _ in range(3):
        rig.journal.failed(READER, UnavailableError("no answer"))

    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]
    assert vars(caplog.records[1])["role"] == READER.role_arn
    assert vars(caplog.records[1])["kind"] == "UnavailableError"
    assert vars(caplog.records[1])["reason"] == "no answer"


def test_a_remark_is_logged_and_counted_and_is_no_record(caplog: pytest.LogCaptureFixture) -> None:
    """The pod is served: there is nothing to audit but its session."""
    rig = Rig()
    rig.journal.warned(pod("web", "reader"), Reason.TAGS_IGNORED, "tags are ignored")

    assert caplog.messages == ["a pod is served, with a remark"]
    assert rig.metrics.remarks.value("tags_ignored") == 1
    assert rig.records == []


def test_an_object_that_is_left_out_is_a_line_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """How many there are now is a level, and read at the scrape."""
    rig = Rig()
    rig.journal.quarantined("Pod", "uid-web", "its annotations are no mapping")
    (record,) = caplog.records

    assert record.levelname == "WARNING"
    assert vars(record)["key"] == "uid-web"
    assert vars(record)["reason"] == "its annotations are no mapping"
    assert rig.records == []


def test_an_issue_is_no_line_of_the_log_unless_somebody_debugs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thousand renewals are a thousand records, and no news; how late they were is a metric."""
    caplog.set_level(logging.INFO, logger="rolecall_server.telemetry.audit_and_log")
    rig = Rig()
    for number in range(1000):
        rig.journal.issued(READER, issued(number, START), Why.RENEWAL, timedelta(seconds=3))

    assert caplog.messages == []
    assert len(rig.records) == 1000
    assert rig.metrics.issue_delay.at("renewal").total == 3000


def test_a_refusal_is_told_of_the_pod_and_not_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever owns the pod can do something; that STS was asked is not news."""
    caplog.set_level(logging.INFO, logger="rolecall_server.telemetry.audit_and_log")
    rig = Rig()
    rig.journal.failed(READER, RefusedError(Reason.ACCESS_DENIED, "no trust"))
    rig.journal.refused(pod("web", "reader"), Reason.ACCESS_DENIED, "no trust")

    assert caplog.messages == ["STS refuses the role of a pod"]
    assert rig.metrics.refusals.value("access_denied") == 1
    assert [record["event"] for record in rig.records] == ["refused"]


def test_a_session_that_is_nearly_too_large_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond 80 % of what STS takes somebody should know, before it is 100 %."""
    rig = Rig()
    for percent in (None, 80, 81):
        full = replace(issued(1, START), packed_policy_percent=percent)
        rig.journal.issued(READER, full, Why.NEW, timedelta())

    assert caplog.messages == ["tags and policies nearly fill what STS takes"]


def test_a_bug_is_counted_and_its_traceback_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has to mend it, so all that is known of it is written down."""
    rig = Rig()
    rig.journal.bug("Pod", "uid-web", ZeroDivisionError("nobody foresaw this"))

    assert rig.metrics.bugs.value("object") == 1
    assert "nobody foresaw this" in caplog.text
