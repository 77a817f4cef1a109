"""A connection, as those see it who limit, order and wake connections."""

from typing import Protocol

from rolecall_agent.http.patience import ParkedRequest


class Client(Protocol):
    """A connection of a pod."""

    __slots__ = ()

    due: float  # When it is dropped, on the loop's clock; infinity while it waits for us.

    @property
    def is_idle(self) -> bool:
        """Whether it has had its answers, the last one a moment ago, and asks nothing."""
        ...

    def retry(self) -> None:
        """Decide again about the parked request: something about its pod has changed."""
        ...

    def wait_on(self, parked: ParkedRequest, now: float) -> None:
        """Do for *parked*, if it waits still, what is due at *now* on the loop's clock."""
        ...

    def queue(self) -> None:
        """Read and answer nothing until `start`: its pod has too many connections at once."""
        ...

    def start(self) -> None:
        """Go on with what has come meanwhile."""
        ...

    def go_on(self) -> None:
        """Take up what was left so that other pods had their turn."""
        ...

    def close(self) -> None:
        """Answer what is parked, and close."""
        ...

    def abort(self) -> None:
        """Drop the connection, and what is still on its way.

        Its deadline has passed, others need its place, or its pod's address has moved.
        """
        ...
