"""The agent's audit records: which pod was given which session, at its first serve."""

from collections.abc import Callable

from rolecall_agent.store.cache import Cache
from rolecall_common.audit import AuditLog, stamp
from rolecall_common.clock import Clock
from rolecall_common.line_writer import Room
from rolecall_proto.values import Assignment, PodUid, Session

# Called with the first serve of a session's credentials to a pod, and the endpoint's name.
FirstServe = Callable[[Assignment, Session, str], None]
# A record is about 500 bytes: this is each pod of a full node, some dozen times.
AUDIT_ROOM = Room(lines=8192, size=4 << 20)
_MOST_PODS = 4096  # of which the last serve is known; a node has some hundred


class Recorder:
    """Writes the record of a first serve."""

    def __init__(self, audit: AuditLog, cache: Cache, clock: Clock) -> None:
        self._audit = audit
        self._cache = cache
        self._clock = clock

    def first_serve(self, assignment: Assignment, session: Session, endpoint: str) -> None:
        keys = self._cache.keys
        self._audit.write(
            "first_serve",
            self._clock.now(),
            pod_uid=assignment.uid,
            namespace=assignment.namespace,
            pod=assignment.name,
            service_account=assignment.service_account,
            node=keys.node if keys is not None else "",
            role=assignment.role_arn,
            session=session.id,
            access_key_id=session.credentials.access_key_id,
            reported_end=stamp(session.reported_until),
            endpoint=endpoint,
        )


class FirstServes:
    """Tells the first serve of credentials to a pod, at one endpoint, from all later ones."""

    def __init__(self, endpoint: str, on_first: FirstServe) -> None:
        self._endpoint = endpoint
        self._on_first = on_first
        self._last: dict[PodUid, str] = {}  # The access key id that a pod was given last.

    def note(self, assignment: Assignment, session: Session) -> None:
        uid, key_id = assignment.uid, session.credentials.access_key_id
        if self._last.get(uid) != key_id:
            if len(self._last) >= _MOST_PODS:
                self._last.clear()  # A second record of a serve is better than a leak.
            self._last[uid] = key_id
            self._on_first(assignment, session, self._endpoint)
