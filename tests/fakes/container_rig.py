"""A container endpoint on loopback, told what to hold, and tokens that a cluster has signed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fakes.authentication import ISSUER, claims, public, signed
from fakes.clock import FakeClock
from fakes.endpoint_rig import (
    BASE,
    KEYS,
    LIMIT,
    START,
    Answer,
    Client,
    known,
    pod,
    request,
    session,
)
from rolecall_agent.container.endpoint import ContainerEndpoint
from rolecall_agent.http.server import Server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.process.sockets import bind_all
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import (
    Address,
    Assignment,
    EndpointKeys,
    NodeName,
    PodTokenRules,
    Reason,
    SnapshotEnd,
    State,
    Update,
)

AUDIENCE = "rolecall-credentials"
NODE = NodeName("node-1")
PATH = "/v1/credentials"
ADDRESS = "10.0.0.1"
SDK_SESSION = session(ends=timedelta(days=10_000))  # SDKs look at a clock of their own.


def rules(*names: str) -> PodTokenRules:
    """Return the rules of a cluster whose signing keys go by *names*."""
    texts = tuple(json.dumps(public(name)) for name in names or ("key-1",))
    return PodTokenRules(ISSUER, ("other", AUDIENCE), texts)


def endpoint_keys(pod_tokens: PodTokenRules | None = None) -> EndpointKeys:
    return EndpointKeys(KEYS.token_key, BASE, node=NODE, pod_tokens=pod_tokens or rules())


def said(uid: str = "uid-a", name: str = "pod-10.0.0.1", **other: object) -> dict[str, Any]:
    """Return what the token of a pod says; *other* replaces it, None leaves it out."""
    bound = {
        "namespace": "shop",
        "serviceaccount": {"name": "default", "uid": "sa-uid"},
        "pod": {"name": name, "uid": uid},
        "node": {"name": NODE, "uid": "node-uid"},
    }
    own = {"aud": [AUDIENCE], "sub": "system:serviceaccount:shop:default", "kubernetes.io": bound}
    return claims(START, **{**own, **other})


def token(uid: str = "uid-a", name: str = "pod-10.0.0.1", **other: object) -> str:
    return signed(said(uid, name, **other)).reveal()


def asking(
    authorization: str | None, path: str = PATH, *, method: str = "GET", host: str = "127.0.0.1"
) -> bytes:
    headers = [] if authorization is None else [f"Authorization: {authorization}"]
    return request(path, *headers, method=method, host=host)


@dataclass
class ContainerRig:
    """The endpoint, its cache and clock, and what it called."""

    clock: FakeClock
    cache: Cache
    endpoint: ContainerEndpoint
    server: Server
    host: str = ""
    port: int = 0
    asked: list[Address] = field(default_factory=list)
    parked: asyncio.Event = field(default_factory=asyncio.Event)
    served: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, *updates: Update) -> None:
        for update in updates:
            self.cache.apply(update, self.clock.now())
            self.endpoint.wake(update)

    def snapshot(self, *updates: Update, keys: EndpointKeys | None = None) -> None:
        self.cache.begin()
        self.tell(keys or endpoint_keys(), *updates, SnapshotEnd())

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def until_held(self) -> None:
        """Return once a request is held."""
        async with asyncio.timeout(LIMIT):
            while not self.endpoint.held_requests:  # noqa: ASYNC110 - sockets tell nobody of bytes read
                await asyncio.sleep(0)

    async def ask(self, authorization: str | None, path: str = PATH, method: str = "GET") -> Answer:
        """Ask once, and return the answer."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        async with self.client() as client:
            named = f"{host}:{self.port}"
            client.send(asking(authorization, path, method=method, host=named))
            [answer] = await client.rest(has_body=method != "HEAD")
            return answer


@contextlib.asynccontextmanager
async def container_rig(
    hold: timedelta = timedelta(milliseconds=50),
    host: str = "127.0.0.1",
    *,
    patient: bool = False,
) -> AsyncGenerator[ContainerRig]:
    """Run an endpoint that knows nothing yet. It holds for 50 ms, so tests of 503 are quick."""
    clock, cache = FakeClock(START), Cache()

    def note_unknown(address: Address) -> None:
        rig.asked.append(address)
        rig.parked.set()

    endpoint = ContainerEndpoint(cache, clock, note_unknown)
    server = Server(
        endpoint,
        cache,
        clock,
        ServerRules(hold=hold, patient=patient),
        first_serve=lambda assignment, session, name: rig.served.append(
            (assignment.uid, f"{session.credentials.access_key_id} {name}")
        ),
    )
    rig = ContainerRig(clock, cache, endpoint, server, host)
    async with server.serving(bind_all([(host, 0)])) as bound, asyncio.TaskGroup() as tasks:
        loading = tasks.create_task(endpoint.run(), name="load what verifies tokens")
        rig.port = bound[0][1]
        yield rig
        loading.cancel()


def web(state: State = State.GRANTED, reason: Reason | None = None, **other: bool) -> Assignment:
    return pod(ADDRESS, state, reason, uid="uid-a", **other)


def moment(after: timedelta) -> int:
    return int((START + after).timestamp())


async def waiting(rig: ContainerRig, authorization: str) -> "asyncio.Task[int]":
    """Ask, and return once the request is held."""

    async def status() -> int:
        return (await rig.ask(authorization)).status

    task = asyncio.create_task(status(), name="a pod that waits")
    await rig.until_held()
    return task


async def loaded(rig: ContainerRig) -> None:
    """Have the library loaded, for which the first token waits."""
    rig.snapshot(*known(web()))
    assert (await rig.ask(token())).status == 200


def impatient(rig: ContainerRig) -> ContainerRig:
    """Hold for 50 ms from now on, so that a 503 is quick."""
    rig.server.state.hold = 0.05
    return rig
