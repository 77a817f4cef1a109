"""What becomes of what the broker reports: lines in the log, audit records, counters."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from rolecall_common.audit import AuditLog, stamp
from rolecall_proto.values import Reason
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError, RefusedError
from rolecall_server.model.pods import Pod
from rolecall_server.telemetry.journal import Why
from rolecall_server.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

# From here on a session's tags and policies are close to what STS takes.
PACKED_POLICY_WARNING = 80  # percent
# STS that answers every other call would else be two lines a call.
_REPEAT_AFTER = timedelta(minutes=1)


class AuditAndLog:
    """The journal that writes to the log, to the audit record and to the counters."""

    def __init__(self, metrics: Metrics, audit: AuditLog, now: Callable[[], datetime]) -> None:
        self._metrics = metrics
        self._audit = audit
        self._now = now
        self._failing: set[type[IssueError]] = set()  # Logged since STS gave a session last.
        self._logged: dict[type[IssueError], datetime] = {}

    def denied(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self._metrics.denials.add(reason)
        log.warning("a pod is denied its role", extra=_of(pod, reason, sentence))
        self._audit.write("denied", self._now(), **_of(pod, reason, sentence))

    def warned(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self._metrics.remarks.add(reason)
        log.warning("a pod is served, with a remark", extra=_of(pod, reason, sentence))

    def refused(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self._metrics.refusals.add(reason)
        log.warning("STS refuses the role of a pod", extra=_of(pod, reason, sentence))
        self._audit.write("refused", self._now(), **_of(pod, reason, sentence))

    def issued(self, identity: Identity, issued: Issued, why: Why, waited: timedelta) -> None:
        self._metrics.issued.add(why)
        self._metrics.issue_delay.observe(waited.total_seconds(), why)
        if self._failing:
            self._failing.clear()
            log.info("STS gives sessions again")
        credentials, packed = issued.credentials, issued.packed_policy_percent
        fields: dict[str, str | int | None] = {
            "session": identity.session_id,
            "role": identity.role_arn,
            "session_name": identity.session_name,
            "access_key_id": credentials.access_key_id,
            "request_id": issued.request_id,
            "expires_at": stamp(credentials.expires_at),
            "why": why,
        }
        self._audit.write("session_issued", self._now(), **fields)
        log.debug("a session was issued", extra=fields)
        if packed is not None and packed > PACKED_POLICY_WARNING:
            extra = {"role": identity.role_arn, "percent": packed}
            log.warning("tags and policies nearly fill what STS takes", extra=extra)

    def failed(self, identity: Identity, error: IssueError) -> None:
        kind = type(error)
        # A refusal is logged per pod, once. Of an outage the first call that it costs is news; the
        # metric counts the others.
        is_news = kind is not RefusedError and kind not in self._failing and self._may_log(kind)
        extra = {"role": identity.role_arn, "kind": kind.__name__, "reason": str(error)}
        log.log(logging.WARNING if is_news else logging.DEBUG, "STS gave no session", extra=extra)
        if is_news:
            self._failing.add(kind)
            self._logged[kind] = self._now()

    def _may_log(self, kind: type[IssueError]) -> bool:
        logged = self._logged.get(kind)
        return logged is None or self._now() - logged >= _REPEAT_AFTER

    def quarantined(self, kind: str, key: str, reason: str) -> None:
        extra = {"kind": kind, "key": key, "reason": reason}
        log.warning("an object is left out", extra=extra)

    def bug(self, kind: str, key: str, error: Exception) -> None:
        self._metrics.bugs.add("object")
        log.error("a bug around one object", exc_info=error, extra={"kind": kind, "key": key})


def _of(pod: Pod, reason: Reason, sentence: str) -> dict[str, str | int | None]:
    return {
        "pod_uid": pod.uid,
        "namespace": pod.namespace,
        "pod": pod.name,
        "service_account": pod.service_account,
        "node": pod.node,
        "reason": reason,
        "sentence": sentence,
    }
