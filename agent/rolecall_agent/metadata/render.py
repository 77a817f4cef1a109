"""Turns answers into the bytes to send, and keeps those that many pods get for their second."""

from datetime import datetime

from rolecall_agent.metadata import responses
from rolecall_agent.metadata.decide import Serve
from rolecall_agent.metadata.documents import http_date, role_document, role_info
from rolecall_agent.metadata.responses import Answer
from rolecall_agent.metadata.routes import Route


class Renderer:
    """Renders answers with the Date of now.

    It keeps no credentials beyond the cache's generation, and nothing rendered beyond the second.
    """

    def __init__(self) -> None:
        self._second = -1
        self._date_line = b""
        self._generation = -1
        self._documents: dict[str, Answer] = {}  # By session.
        self._rendered: dict[tuple[Route, str, bool, bool], bytes] = {}

    def turn(self, now: datetime, generation: int) -> None:
        """Move on to *now* and the cache's *generation*; call it before each answer."""
        second = int(now.timestamp())
        if second != self._second or generation != self._generation:
            self._second = second
            self._date_line = f"Date: {http_date(now)}\r\n".encode("ascii")
            self._rendered.clear()
        if generation != self._generation:
            self._generation = generation
            self._documents.clear()

    def render(self, answer: Answer, *, close: bool, with_body: bool) -> bytes:
        """Return the bytes of *answer*."""
        return answer.rendered(self._date_line, close=close, with_body=with_body)

    def render_role(self, serve: Serve, route: Route, *, close: bool, with_body: bool) -> bytes:
        """Return the bytes of the role's name, its document, or what it is instead of."""
        subject = serve.assignment.role if route is Route.ROLE_LIST else serve.session.id
        key = (route, subject, close, with_body)
        rendered = self._rendered.get(key)
        if rendered is None:
            answer = self._answer(serve, route)
            rendered = answer.rendered(self._date_line, close=close, with_body=with_body)
            self._rendered[key] = rendered
        return rendered

    def _answer(self, serve: Serve, route: Route) -> Answer:
        if route is Route.ROLE_LIST:
            return responses.credentials(serve.assignment.role.encode())
        if route is Route.ROLE_INFO:
            return responses.credentials(role_info(serve.assignment, serve.session))
        document = self._documents.get(serve.session.id)
        if document is None:
            document = responses.credentials(role_document(serve.session))
            self._documents[serve.session.id] = document
        return document
