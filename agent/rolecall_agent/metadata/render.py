"""Turns responses into the bytes to send, and keeps those that many pods get for their second."""

from datetime import datetime

from rolecall_agent.decision import Route, Serve
from rolecall_agent.http.response import DateHeader, Response
from rolecall_agent.metadata import responses
from rolecall_agent.metadata.documents import role_document, role_info


class Renderer:
    """Renders responses with the Date of now.

    It keeps no credentials beyond the cache's generation, and nothing rendered beyond the second.
    """

    def __init__(self) -> None:
        self._date = DateHeader()
        self._date_line = b""
        self._generation = -1
        self._documents: dict[str, Response] = {}  # By session.
        self._rendered: dict[tuple[Route, str, bool, bool], bytes] = {}

    def advance(self, now: datetime, generation: int) -> None:
        """Move on to *now* and the cache's *generation*; call it before each response."""
        date_line = self._date.line(now)
        if date_line is not self._date_line or generation != self._generation:
            self._date_line = date_line
            self._rendered.clear()
        if generation != self._generation:
            self._generation = generation
            self._documents.clear()

    def render(self, response: Response, *, close: bool, with_body: bool) -> bytes:
        """Return the bytes of *response*."""
        return response.rendered(self._date_line, close=close, with_body=with_body)

    def render_role(self, serve: Serve, route: Route, *, close: bool, with_body: bool) -> bytes:
        """Return the bytes of the role's name, its document, or what it is instead of."""
        subject = serve.assignment.role if route is Route.ROLE_LIST else serve.session.id
        key = (route, subject, close, with_body)
        rendered = self._rendered.get(key)
        if rendered is None:
            response = self._response(serve, route)
            rendered = response.rendered(self._date_line, close=close, with_body=with_body)
            self._rendered[key] = rendered
        return rendered

    def _response(self, serve: Serve, route: Route) -> Response:
        if route is Route.ROLE_LIST:
            return responses.credentials(serve.assignment.role.encode())
        if route is Route.ROLE_INFO:
            return responses.credentials(role_info(serve.assignment, serve.session))
        document = self._documents.get(serve.session.id)
        if document is None:
            document = responses.credentials(role_document(serve.session))
            self._documents[serve.session.id] = document
        return document
