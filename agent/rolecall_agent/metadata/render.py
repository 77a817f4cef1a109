"""Keeps what was written of each session: its documents are written once, and dated when sent."""

from datetime import datetime, timedelta

from rolecall_agent.decision import Route, Serve
from rolecall_agent.http.response import Response
from rolecall_agent.metadata import responses
from rolecall_agent.metadata.documents import role_document, role_info
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import Session, SessionId

_LIST, _INFO = Route.ROLE_LIST, Route.ROLE_INFO
_SPACING = timedelta(seconds=1)


class Renderer:
    """Writes responses of roles from *cache*.

    After each change of it, at most once a second, it forgets the sessions that are not held any
    more: a roll-out makes thousands of changes.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._documents: dict[tuple[Route, SessionId], tuple[Session, Response]] = {}
        self._names: dict[str, Response] = {}
        self._generation = -1
        self._forgot_at: datetime | None = None

    def role(self, serve: Serve, route: Route, now: datetime) -> Response:
        """Return the role's name, its document, or what it is instead of."""
        if self._generation != self._cache.generation:
            self._forget(now)
        if route is _LIST:
            return self._name(serve.assignment.role)
        session = serve.session
        known = self._documents.get((route, session.id))
        if known is not None and known[0] is session:
            return known[1]
        text = role_info(serve.assignment, session) if route is _INFO else role_document(session)
        response = responses.credentials(text)
        self._documents[route, session.id] = session, response
        return response

    def _name(self, role: str) -> Response:
        known = self._names.get(role)
        if known is None:
            known = self._names[role] = responses.credentials(role.encode())
        return known

    def _forget(self, now: datetime) -> None:
        before = self._forgot_at
        if before is not None and timedelta() <= now - before < _SPACING:
            return
        self._generation, self._forgot_at = self._cache.generation, now
        self._names.clear()
        self._documents = {
            key: known for key, known in self._documents.items() if self._cache.holds(known[0])
        }
