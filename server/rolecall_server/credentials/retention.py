"""Which sessions are kept although nobody needs them, and how many at most."""

from rolecall_proto.values import SessionId

# Sessions that nobody needs are kept until their renewal, for an agent that restarts or a job that
# runs every minute; where every pod has its own, no more than this, which is about 10 MB.
MOST_IDLE = 4096


class IdleRetention:
    """The identities that nobody needs, in the order in which they became idle."""

    def __init__(self) -> None:
        self._idle: dict[SessionId, None] = {}

    def keep(self, session_id: SessionId) -> SessionId | None:
        """Keep *session_id*; return the one that has been idle longest, if it has to give way."""
        self._idle[session_id] = None
        if len(self._idle) <= MOST_IDLE:
            return None
        oldest = next(iter(self._idle))
        del self._idle[oldest]
        return oldest

    def drop(self, session_id: SessionId) -> None:
        """Keep *session_id* no more as an idle one: it is needed, or forgotten."""
        self._idle.pop(session_id, None)
