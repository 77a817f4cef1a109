"""The container endpoint: where pods ask, by a token that the cluster has signed, for credentials.

It serves what an address cannot prove: pods of the node's own network, and clusters in which the
metadata address cannot be led to us. The protocol is that of `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
"""

import asyncio
import importlib.util
from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from rolecall_agent.container import decide, responses
from rolecall_agent.container.decide import REFUSALS, SERVED_ROUTES
from rolecall_agent.container.pod_tokens import PodTokens, Verifier, read, shown_in, token_of
from rolecall_agent.decision import Answer, Decision, Serve, Target, status_of
from rolecall_agent.http.client import Client
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.parked_requests import ParkedRequests
from rolecall_agent.http.patience import ParkedRequest
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.http.response import DateHeader
from rolecall_agent.http.response_cache import ResponseCache
from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import Unknown
from rolecall_common.clock import Clock
from rolecall_proto.values import (
    Address,
    AssignmentUpserted,
    EndpointKeys,
    Heartbeat,
    PodRemoved,
    PodTokenRules,
    PodUid,
    SessionRenewed,
    SnapshotEnd,
    Update,
)

NAME = "container"
_LIBRARIES = ("jwt", "cryptography")
_NOBODY = PodUid("")  # Whose token cannot be read: who shows it waits for keys at the most.


def _ignore_unknown(address: Address) -> None: ...


def _load() -> Callable[[PodTokenRules], Verifier]:
    from rolecall_agent.container.signatures import Signatures  # noqa: PLC0415 - see there

    return Signatures


class ContainerEndpoint:
    """Answers by the container-credentials protocol.

    Args:
        cache: What this node holds.
        clock: Wall-clock time: of what a pod that waits is asked about by.
        on_unknown: As the metadata endpoint's; with an address of the pod, or else with the peer's.
        beside: The metadata endpoint's counters, to share what is counted of no endpoint alone.
    """

    name = NAME
    hosts: frozenset[bytes] = frozenset()

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        on_unknown: Callable[[Address], None] = _ignore_unknown,
        *,
        beside: Counters | None = None,
    ) -> None:
        time = asyncio.get_running_loop().time
        self.counters = Counters(REFUSALS, SERVED_ROUTES, beside)
        self.responses = ResponseCache(self.counters, cache, time)
        self._cache = cache
        self._now = clock.now
        self._on_unknown = on_unknown
        self._library_wanted = asyncio.Event()
        self._tokens = PodTokens(self._library_wanted.set)
        self._parked = ParkedRequests(_pod_of, self.counters, time)
        self._date = DateHeader()

    @property
    def held_requests(self) -> int:
        return len(self._parked)

    async def run(self) -> None:
        """Load what verifies tokens once the first has come; beside the loop, for it is big."""
        await self._library_wanted.wait()
        self._tokens.verify_with(await asyncio.to_thread(_load))
        self._parked.wake_all()

    def wake(self, update: Update) -> None:
        """Answer whoever can be answered now; call it after the cache has taken in *update*."""
        self.responses.clear()
        match update:
            case AssignmentUpserted(assignment):
                self._parked.wake((assignment.uid,))
            case PodRemoved(uid):
                self._parked.wake((uid,))
            case SessionRenewed(session):
                self._parked.wake(self._cache.users_of(session.id))
            case EndpointKeys() | SnapshotEnd():
                self._parked.wake_all()
            case Heartbeat():
                pass
            case _:
                assert_never(update)

    # What its server needs of it (`http/endpoint.py`).

    def find(self, path: bytes) -> Target:
        return decide.find(path)

    def pod_of(self, head: bytes) -> PodUid | None:
        """Return whose token *head* has, if it was verified before.

        All pods of the node's own network have one address: a turn of its own has who proved
        itself, and whoever has not shares the address's.
        """
        return self._tokens.verified(shown_in(head))

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision:
        return decide.decide(received.request, received.target, self._tokens, self._cache, now)

    def render(self, received: ReceivedRequest, answer: Answer, now: datetime) -> bytes:
        request = received.request
        if isinstance(answer, Serve):
            response = responses.credentials(answer)
        else:
            response = responses.error(status_of(answer), received.target.route)
        close, with_body = not received.keep_alive, request.method != b"HEAD"
        return response.rendered(self._date.line(now), close=close, with_body=with_body)

    def is_patient(self, received: ReceivedRequest) -> bool:  # noqa: ARG002 - the protocol's
        return True  # Here the SDK for Rust waits for five seconds, and tries again.

    def park(self, client: Client, parked: ParkedRequest) -> None:
        self._parked.add(client, parked)
        self.inquire(parked)

    def inquire(self, parked: ParkedRequest) -> None:
        if self._cache.synced:
            self._on_unknown(self._address_of(parked.received))

    def unpark(self, client: Client, parked: ParkedRequest) -> None:
        self._parked.remove(client, parked)

    def _address_of(self, received: ReceivedRequest) -> Address:
        standing = self._cache.standing_of_pod(_pod_of(received), self._now())
        addresses = () if isinstance(standing, Unknown) else standing.assignment.addresses
        return addresses[0] if addresses else received.peer


def need_library() -> None:
    """Raise ImportError where tokens could not be verified: at start, and not at the first one."""
    lacking = [each for each in _LIBRARIES if importlib.util.find_spec(each) is None]
    if lacking:
        raise ImportError(f"tokens cannot be verified without {' and '.join(lacking)}")


def _pod_of(received: ReceivedRequest) -> PodUid:
    """Return whose token it is by its own account, which decides no more than what wakes it."""
    claims = read(token_of(received.request.authorizations))
    return _NOBODY if claims is None else claims.pod
