"""Audit records keep their schema, show no secret, and stop nobody."""

import io
import json
import stat
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import jsonschema
import pytest

from fakes.clock import START, FakeClock
from rolecall_agent.audit import Recorder
from rolecall_agent.store.cache import Cache
from rolecall_common.audit import AuditLog, auditing, stamp
from rolecall_common.line_writer import Room
from rolecall_common.secret import Secret
from rolecall_proto.values import (
    Assignment,
    Credentials,
    EndpointKeys,
    NodeName,
    PodUid,
    Reason,
    Session,
    SessionId,
    SnapshotEnd,
    State,
)
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued
from rolecall_server.model.pods import Pod
from rolecall_server.telemetry.audit_and_log import AuditAndLog
from rolecall_server.telemetry.journal import Why
from rolecall_server.telemetry.metrics import Metrics

SCHEMA = json.loads((Path(__file__).parents[4] / "docs/audit.schema.json").read_text())
CANARY = "canary-7Qx"
READER = Identity("arn:aws:iam::111122223333:role/reader", "shop.web", timedelta(hours=1))
CREDENTIALS = Credentials(
    "ASIA2EXAMPLE2EXAMPLE",
    Secret(CANARY),
    Secret(CANARY),
    START,
    START + timedelta(hours=1),
)
WEB = Pod(PodUid("uid-1"), "shop", "web-1", "web", NodeName("node-a"))
PENDING = Pod(PodUid("uid-2"), "shop", "web-2")  # It has no node yet.


opened = partial(auditing, now=FakeClock().now, room=Room(lines=10_000, size=1 << 24))


def records(out: io.StringIO) -> list[dict[str, object]]:
    """Return what was written, each record checked against the schema."""
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    for record in found:
        jsonschema.validate(record, SCHEMA)
    assert CANARY not in out.getvalue()
    return found


def journal(out: io.StringIO) -> AuditAndLog:
    return AuditAndLog(Metrics(), AuditLog(out), FakeClock().now)


@pytest.mark.parametrize("why", Why)
def test_a_session_that_is_issued_is_recorded(why: Why) -> None:
    """It names the identity, STS's request, the access key id, the true end, and why."""
    out = io.StringIO()
    journal(out).issued(READER, Issued(CREDENTIALS, "request-1"), why, timedelta(seconds=1))

    [record] = records(out)
    assert record == {
        "type": "audit",
        "time": "2030-01-01T00:00:00Z",
        "event": "session_issued",
        "session": READER.session_id,
        "role": READER.role_arn,
        "session_name": "shop.web",
        "access_key_id": "ASIA2EXAMPLE2EXAMPLE",
        "request_id": "request-1",
        "expires_at": "2030-01-01T01:00:00Z",
        "why": why.value,
    }


@pytest.mark.parametrize("pod", [WEB, PENDING], ids=["bound", "pending"])
@pytest.mark.parametrize("event", ["denied", "refused"])
def test_a_denial_and_a_refusal_are_recorded_with_their_reason(event: str, pod: Pod) -> None:
    """One class of reason, and one sentence."""
    out = io.StringIO()
    getattr(journal(out), event)(pod, Reason.ACCESS_DENIED, "The role does not trust the server.")

    [record] = records(out)
    assert record["event"] == event
    assert record["reason"] == "access_denied"


def test_a_first_serve_is_recorded_with_the_pod_and_the_end_it_was_told() -> None:
    """The record that leads from CloudTrail to a pod."""
    out, cache = io.StringIO(), Cache()
    cache.begin()
    cache.apply(EndpointKeys(b"k" * 32, node=NodeName("node-a")), START)
    cache.apply(SnapshotEnd(), START)
    session = Session(SessionId("0" * 32), CREDENTIALS, START + timedelta(minutes=55))
    assignment = Assignment(
        WEB.uid, "shop", "web-1", "web", (), State.GRANTED, "reader", READER.role_arn, session.id
    )
    Recorder(AuditLog(out), cache, FakeClock()).first_serve(assignment, session, "metadata")

    [record] = records(out)
    assert record["pod_uid"] == "uid-1"
    assert record["node"] == "node-a"
    assert record["reported_end"] == "2030-01-01T00:55:00Z"


def test_whatever_a_field_holds_a_record_is_one_line() -> None:
    """No annotation forges a record."""
    out = io.StringIO()
    forged = 'x\n{"type": "audit"}\u2028\x1b[2J'
    AuditLog(out).write("denied", START, sentence=forged)

    [line] = out.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["sentence"] == forged


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_stops_nobody_not_even_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """What could not be written is counted, and closing the file raises nothing."""
    with opened(Path("/dev/full")) as audit:
        for _ in range(1000):
            audit.write("denied", START, sentence="x" * 1000)

    assert audit.lost == 1000
    assert [(each.getMessage(), vars(each)["reason"]) for each in caplog.records] == [
        ("audit records are lost", "No space left on device")
    ]


def test_a_file_that_others_made_keeps_its_mode(tmp_path: Path) -> None:
    """Whoever made it may have let a collector of logs read it."""
    file = tmp_path / "audit.jsonl"
    file.touch(mode=0o640)
    file.chmod(0o640)
    with opened(file) as audit:
        audit.write("denied", START)

    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    """Nobody finds out later that there are no records."""
    with pytest.raises(OSError, match="No such file"), opened(tmp_path / "absent" / "file"):
        pass


def test_a_stdout_that_is_closed_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be that of a socket by now."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="stdout is closed"), opened(Path("-")):
        pass


def test_a_file_is_appended_to_and_its_owners_alone(tmp_path: Path) -> None:
    """A restart forgets nothing."""
    file = tmp_path / "audit.jsonl"
    for _ in range(2):
        with opened(file) as audit:
            audit.write("denied", START)

    assert len(file.read_text().splitlines()) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_dash_is_stdout_and_nothing_is_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """The log goes to stderr, so the two streams do not mix."""
    for file in (Path("-"), None):
        with opened(file) as audit:
            audit.write("denied", START)

    assert len(capfd.readouterr().out.splitlines()) == 1


def test_times_are_in_utc_to_the_second() -> None:
    """As AWS writes them."""
    assert stamp(datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2030-01-02T03:04:05Z"
