"""What an agent says it holds already, and how far it is believed."""

from collections.abc import Iterable
from datetime import datetime

from rolecall_proto.values import Held, SessionId
from rolecall_server.model.identity import Identity


class Claims:
    """The claims of one connection, from its hello until its snapshot has been told.

    A claim spares its own node a push, and the server a call for that node; it gives nothing to
    anybody. No claim is believed longer than a session issued now would last, so the worst a lie
    does is to leave the liar's own pods without credentials.
    """

    def __init__(self, held: Iterable[Held], now: datetime) -> None:
        self._now = now
        self._ends: dict[SessionId, datetime] = {}
        for claim in held:
            # Of two claims for one session the earlier end counts.
            end = min(claim.expires_at, self._ends.get(claim.session_id, claim.expires_at))
            self._ends[claim.session_id] = end

    def end(self, identity: Identity) -> datetime | None:
        """Return how long *identity* is believed to be held; None where it is not."""
        claimed = self._ends.get(identity.session_id)
        if claimed is None or claimed <= self._now:
            return None
        return min(claimed, self._now + identity.duration)
