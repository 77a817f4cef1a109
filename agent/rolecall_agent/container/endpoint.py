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
from rolecall_agent.container.pod_tokens import PodTokens, Verifier, read, token_of
from rolecall_agent.http.counters import Tally
from rolecall_agent.http.endpoint import Asked, Client, Parked
from rolecall_agent.http.parked_requests import WaitingRoom
from rolecall_agent.http.server import EndpointRules, FirstServe, Hall
from rolecall_agent.metadata.decide import Ending, Serve, Verdict, ending_of
from rolecall_agent.metadata.routes import Target
from rolecall_agent.store.cache import Cache, Unknown
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


class ContainerEndpoint(Hall):
    """Serves the container-credentials protocol on any number of addresses.

    Args:
        cache: What this node holds.
        clock: Wall-clock time: of tokens, credentials, and the Date header.
        rules: Hosts and hold.
        on_unknown: As the metadata endpoint's; with an address of the pod, or else with the peer's.
        first_serve: Called with the first answer that carries a session's credentials to a pod.
        beside: The metadata endpoint, with which it shares what is counted of no endpoint alone.
    """

    name = NAME

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        cache: Cache,
        clock: Clock,
        rules: EndpointRules | None = None,
        *,
        first_serve: FirstServe,
        on_unknown: Callable[[Address], None] = _ignore_unknown,
        beside: Hall | None = None,
    ) -> None:
        tally = beside.tally if beside is not None else Tally()
        tally = tally.beside(REFUSALS, SERVED_ROUTES)
        super().__init__(cache, clock, rules or EndpointRules(), tally, first_serve)
        self._on_unknown = on_unknown
        self._library_wanted = asyncio.Event()
        self._tokens = PodTokens(self._library_wanted.set)
        self._waiting: WaitingRoom[PodUid] = WaitingRoom()

    @property
    def held_requests(self) -> int:
        return len(self._waiting)

    async def run(self) -> None:
        """Load what verifies tokens once the first has come; beside the loop, for it is big."""
        await self._library_wanted.wait()
        self._tokens.verify_with(await asyncio.to_thread(_load))
        self._waiting.wake_all()

    def told(self, update: Update) -> None:
        """Answer whoever can be answered now; call it after the cache has taken in *update*."""
        self.memory.forget()
        match update:
            case AssignmentUpserted(assignment):
                self._waiting.wake((assignment.uid,))
            case PodRemoved(uid):
                self._waiting.wake((uid,))
            case SessionRenewed(session):
                self._waiting.wake(self.cache.users_of(session.id))
            case EndpointKeys() | SnapshotEnd():
                self._waiting.wake_all()
            case Heartbeat():
                pass
            case _:
                assert_never(update)

    def find(self, path: bytes) -> Target:
        return decide.find(path)

    def verdict(self, asked: Asked, now: datetime) -> Verdict:
        return decide.decide(asked.request, asked.target, self._tokens, self.cache, now)

    def park(self, client: Client, parked: Parked) -> None:
        self._waiting.enter(client, _pod_of(parked))
        self.inquire(parked)

    def inquire(self, parked: Parked) -> None:
        if self.cache.synced:
            self._on_unknown(self._address_of(parked))

    def unpark(self, client: Client, parked: Parked) -> None:
        self._waiting.leave(client, _pod_of(parked))
        self._tally.held(parked.missing, self.loop.time() - parked.asked.at)

    def answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> bytes:
        request, route = asked.request, asked.target.route
        status, outcome = ending_of(ending, waited=waited)
        self._tally.answered(route, status, outcome, self.loop.time() - asked.at)
        if isinstance(ending, Serve):
            self._note_serve(ending, now)
            answer = responses.credentials(ending)
        else:
            answer = responses.error(status, route)
        self._renderer.turn(now, self.cache.generation)
        close, with_body = not request.keep_alive, request.method != b"HEAD"
        return self._renderer.render(answer, close=close, with_body=with_body)

    def _address_of(self, parked: Parked) -> Address:
        standing = self.cache.standing_of_pod(_pod_of(parked), self.now())
        addresses = () if isinstance(standing, Unknown) else standing.assignment.addresses
        return addresses[0] if addresses else parked.asked.peer


def need_library() -> None:
    """Raise ImportError where tokens could not be verified: at start, and not at the first one."""
    lacking = [each for each in _LIBRARIES if importlib.util.find_spec(each) is None]
    if lacking:
        raise ImportError(f"tokens cannot be verified without {' and '.join(lacking)}")


def _pod_of(parked: Parked) -> PodUid:
    """Return whose token it is by its own account, which decides no more than what wakes it."""
    claims = read(token_of(parked.asked.request.authorizations))
    return _NOBODY if claims is None else claims.pod
