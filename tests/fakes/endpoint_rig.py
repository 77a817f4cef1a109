"""An endpoint on loopback, told what to hold, and raw clients that are the pods at 127.0.0.x."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address

from fakes.clock import FakeClock
from rolecall_agent.decision import COMMON_ITEMS, Item
from rolecall_agent.http.server import Server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.metadata.imds_client import ImdsClient
from rolecall_agent.metadata.item_cache import ItemCache
from rolecall_agent.metadata.item_fetcher import ItemFetcher
from rolecall_agent.store.cache import Cache
from rolecall_common.secret import Secret
from rolecall_common.settings.types import HostPort
from rolecall_proto.values import (
    Address,
    Assignment,
    AssignmentUpserted,
    Credentials,
    EndpointKeys,
    PodUid,
    Reason,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
)

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
BASE = "arn:aws:iam::111122223333:role/"
KEYS = EndpointKeys(bytes(range(32)), BASE)
ROLES = "/latest/meta-data/iam/security-credentials"
LIMIT = 30.0  # seconds; a test that waits longer has lost
LONG = timedelta(seconds=60)  # A hold that a test ends by an event, or loses.
_RULES = ServerRules(hosts=("metadata.example:8080",))


def session(
    name: str = "s1", *, key: str = "ASIA1", ends: timedelta = timedelta(hours=1)
) -> Session:
    credentials = Credentials(
        key, Secret(f"secret-of-{name}"), Secret(f"token-of-{name}"), START, START + ends
    )
    return Session(SessionId(name), credentials, START + ends - timedelta(minutes=5))


def pod(  # noqa: PLR0913 - one name for each thing that may differ
    address: str,
    state: State = State.GRANTED,
    reason: Reason | None = None,
    *,
    uid: str = "",
    role: str = "reader",
    role_arn: str = BASE + "reader",
    host_network: bool = False,
    imdsv2_required: bool = False,
) -> Assignment:
    granted = state is State.GRANTED
    return Assignment(
        uid=PodUid(uid or f"uid-{address}"),
        namespace="shop",
        name=f"pod-{address}",
        service_account="default",
        addresses=(ip_address(address),),
        state=state,
        role=role,
        role_arn=role_arn,
        session_id=SessionId("s1") if granted else None,
        reason=reason,
        host_network=host_network,
        imdsv2_required=imdsv2_required,
    )


@dataclass
class Rig:
    """The endpoint, its cache and clock, and what it called."""

    clock: FakeClock
    cache: Cache
    endpoint: MetadataEndpoint
    server: Server
    item_fetcher: ItemFetcher
    port: int = 0
    asked: list[Address] = field(default_factory=list)
    parked: asyncio.Event = field(default_factory=asyncio.Event)
    served: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, *updates: Update) -> None:
        for update in updates:
            self.endpoint.wake(self.cache.apply(update, self.clock.now()))

    def snapshot(self, *updates: Update, keys: EndpointKeys = KEYS) -> None:
        self.cache.begin()
        self.tell(keys, *updates, SnapshotEnd())

    async def warm(self) -> None:
        """Have all of the node's own items, so that nobody has to wait for one."""
        items = self.item_fetcher.cache
        for item in items.offered:
            self.item_fetcher.want(item)
            # One after the other: all at once, each would ask for a token of the agent's own.
            await self.until(partial(_is_known, items, item))

    @contextlib.asynccontextmanager
    async def client(self, address: str = "127.0.0.2") -> "AsyncGenerator[Client]":
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, local_addr=(address, 0)
            )
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until *condition* holds."""
        async with asyncio.timeout(LIMIT):
            while not condition():  # noqa: ASYNC110 - sockets tell nobody that bytes were read
                await asyncio.sleep(0)

    async def ask(self, request: bytes, address: str = "127.0.0.2") -> "list[Answer]":
        """Send *request*, say no more, and return all answers until the endpoint closes."""
        async with self.client(address) as client:
            client.send(request)
            return await client.rest()


def _is_known(items: ItemCache, item: Item) -> bool:
    return items.find(item, START) is not None


@contextlib.asynccontextmanager
async def endpoint_rig(
    hold: timedelta = timedelta(milliseconds=50),
    on_unknown: Callable[[Address], None] | None = None,
    *,
    metadata: int | None = None,
    items: Collection[Item] = COMMON_ITEMS,
    rules: ServerRules = _RULES,
) -> AsyncGenerator[Rig]:
    """Run an endpoint that knows nothing yet. It holds for 50 ms, so that tests of 503 are quick.

    It passes on *items* of a service on the port *metadata*, or none.
    """
    clock, cache = FakeClock(START), Cache()

    def note_unknown(address: Address) -> None:
        rig.asked.append(address)
        rig.parked.set()
        if on_unknown is not None:
            on_unknown(address)

    item_fetcher = _item_fetcher(clock, metadata, items)
    endpoint = MetadataEndpoint(cache, note_unknown)
    server = Server(
        endpoint,
        cache,
        clock,
        replace(rules, hold=hold),
        first_serve=lambda assignment, session, name: rig.served.append(
            (assignment.uid, f"{session.credentials.access_key_id} {name}")
        ),
    )
    endpoint.offers(item_fetcher.cache, item_fetcher.want)
    item_fetcher.wakes(endpoint.items_changed)
    rig = Rig(clock, cache, endpoint, server, item_fetcher)
    async with _running(item_fetcher), server.serving([("127.0.0.1", 0)]) as bound:
        rig.port = bound[0][1]
        yield rig


@contextlib.asynccontextmanager
async def _running(item_fetcher: ItemFetcher) -> AsyncGenerator[None]:
    # Not a TaskGroup's: a fixture's set-up and its end are two tasks.
    task = asyncio.create_task(item_fetcher.run(), name="read the node's own metadata")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _item_fetcher(clock: FakeClock, metadata: int | None, items: Collection[Item]) -> ItemFetcher:
    address = None if metadata is None else HostPort("127.0.0.1", metadata)
    return ItemFetcher(ImdsClient(address, clock), ItemCache(items if address else ()), clock)


def known(*assignments: Assignment, credentials: Session | None = None) -> list[Update]:
    return [
        SessionRenewed(credentials or session()),
        *(AssignmentUpserted(each) for each in assignments),
    ]


@dataclass(frozen=True)
class Answer:
    """One response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes


class Client:
    """A raw client: it sends bytes and reads responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def end(self) -> None:
        self._writer.write_eof()

    async def some(self, size: int) -> bytes:
        """Read so many bytes, and no more."""
        async with asyncio.timeout(LIMIT):
            return await self._reader.readexactly(size)

    async def answer(self) -> Answer:
        """Read one answer; for those with a body, as every GET's is said to be."""
        async with asyncio.timeout(LIMIT):
            head = await self._reader.readuntil(b"\r\n\r\n")
            [answer] = answers_in(head, has_body=False)
            body = await self._reader.readexactly(int(answer.headers["content-length"]))
        return Answer(answer.status, answer.headers, body, head + body)

    async def rest(self, *, has_body: bool = True) -> list[Answer]:
        """Half-close, and read answers until the endpoint closes too."""
        self.end()
        return await self.until_closed(has_body=has_body)

    async def rest_as_sent(self) -> bytes:
        """Half-close, and return what comes until the endpoint closes too, or resets."""
        self.end()
        async with asyncio.timeout(LIMIT):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def until_closed(self, *, has_body: bool = True) -> list[Answer]:
        """Read answers until the endpoint closes, or resets."""
        async with asyncio.timeout(LIMIT):
            try:
                return answers_in(await self._reader.read(), has_body=has_body)
            except ConnectionResetError:
                return []


def answers_in(raw: bytes, *, has_body: bool = True) -> list[Answer]:
    """Split what an endpoint sent into its answers."""
    answers = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("ascii").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        size = int(headers["content-length"]) if has_body else 0
        whole = raw[: len(head) + 4 + size]
        answers.append(Answer(int(status_line.split()[1]), headers, rest[:size], whole))
        raw = raw[len(whole) :]
    return answers


def request(
    path: str = f"{ROLES}/",
    *headers: str,
    method: str = "GET",
    host: str = "169.254.169.254",
) -> bytes:
    """Return a well-formed HTTP/1.1 head."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


OWN = "127.0.0.2"  # The pod that asks where nothing else is said.
LIST = request()
DOCUMENT = request(f"{ROLES}/reader")
