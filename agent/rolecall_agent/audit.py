"""The agent's audit records: which pod was given which session, at its first serve."""

from rolecall_agent.store.cache import Cache
from rolecall_common.audit import AuditLog, stamp
from rolecall_common.clock import Clock
from rolecall_proto.values import Assignment, Session


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
