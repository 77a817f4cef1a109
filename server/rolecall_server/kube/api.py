"""The Kubernetes API as the server uses it: raw bytes, and errors that say what to do next."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from http import HTTPStatus
from typing import Literal, Protocol

Query = Mapping[str, str]
NO_QUERY: Query = {}


class ApiError(Exception):
    """The API server did not do what it was asked. Never raised itself."""


class UnavailableError(ApiError):
    """No answer, or none that means anything: asking again may help.

    *retry_after* is how long the API server asks to be left alone, where it says so: half a minute
    at most.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RejectedError(ApiError):
    """The API server says no: asking the same again will not help. *status* is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class ExpiredError(RejectedError):
    """The resource version is too old (410, as a status or as an event): list again."""


def error_of(status: int, message: str, retry_after: timedelta | None = None) -> ApiError:
    """Return what HTTP's *status* means, whether it came as an answer's or in an event."""
    if status == HTTPStatus.GONE:
        return ExpiredError(status, message)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(f"{status}: {message}", retry_after)
    return RejectedError(status, message)


class Api(Protocol):
    """One API server, or one address behind which there are several."""

    async def get(self, path: str, query: Query = NO_QUERY) -> bytes:
        """Return the body of a GET of *path*, such as `/api/v1/namespaces`.

        Raises: UnavailableError, RejectedError, ExpiredError.
        """
        ...

    async def send(self, method: Literal["POST", "PATCH"], path: str, body: object) -> bytes:
        """Send *body* as JSON, a PATCH as a merge patch; return the answer's body.

        Raises: UnavailableError, RejectedError.
        """
        ...

    def watch(
        self, path: str, query: Query = NO_QUERY
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch; its iterator yields one event's JSON a time, and ends when the server ends.

        Both the opening and the iterator raise UnavailableError, RejectedError, ExpiredError: a
        connection that says nothing for too long is an UnavailableError.
        """
        ...
