"""What an agent says it holds already, and how far it is believed."""

from collections.abc import Iterable
from datetime import datetime

from rolecall_proto.values import Held, SessionId
from rolecall_server.model.identity import Identity


class HeldSessions:
    """What one agent says it holds, from its hello until it has its snapshot.

    It spares that node a push, and the server a call for that node; it gives nothing to anybody.
    Nothing is believed longer than a session issued now would last, so the worst a lie does is to
    leave the liar's own pods without credentials.
    """

    def __init__(self, held: Iterable[Held], now: datetime) -> None:
        self._now = now
        self._ends: dict[SessionId, datetime] = {}
        for each in held:
            # Where one session is named twice, the earlier end counts.
            end = min(each.expires_at, self._ends.get(each.session_id, each.expires_at))
            self._ends[each.session_id] = end

    def until(self, identity: Identity) -> datetime | None:
        """Return how long *identity* is believed to be held; None where it is not."""
        end = self._ends.get(identity.session_id)
        if end is None or end <= self._now:
            return None
        return min(end, self._now + identity.duration)
