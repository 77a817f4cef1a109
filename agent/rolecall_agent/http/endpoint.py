"""What a server needs of the endpoint that it serves."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from rolecall_agent.decision import Answer, Decision, Target
from rolecall_agent.http.client import Client
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.patience import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.http.response_cache import ResponseCache
from rolecall_proto.values import PodUid


class Endpoint(Protocol):
    """Finds, decides and renders; and knows who waits, so that it can wake them."""

    counters: Counters
    responses: ResponseCache

    @property
    def name(self) -> str:
        """What metrics and audit records call it."""
        ...

    @property
    def hosts(self) -> frozenset[bytes]:
        """By what requests may name it, besides the addresses at which it listens."""
        ...

    @property
    def held_requests(self) -> int: ...

    @property
    def pod_of(self) -> Callable[[bytes], PodUid | None] | None:
        """Returns of which pod a head is, where that is proven; None where each has its address.

        It is called before the head has its turn, so it must be cheap, and believe no claims.
        """
        ...

    def find(self, path: bytes) -> Target:
        """Return where *path* leads."""
        ...

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision: ...

    def render(self, received: ReceivedRequest, answer: Answer, now: datetime) -> bytes:
        """Return the bytes of *answer*."""
        ...

    def is_patient(self, received: ReceivedRequest) -> bool:
        """Whether the beginning of an answer, byte by byte, keeps who asks waiting for the rest."""
        ...

    def park(self, client: Client, parked: ParkedRequest) -> None:
        """Have *client* retry once something has changed about what *parked* waits for."""
        ...

    def inquire(self, parked: ParkedRequest) -> None:
        """Have the server asked about what *parked* waits for, if that can be asked."""
        ...

    def unpark(self, client: Client, parked: ParkedRequest) -> None: ...
