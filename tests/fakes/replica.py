"""A server and an agent's end of the stream, both real, joined by TLS on loopback."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import trustme

from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import Granted, Standing
from rolecall_agent.sync.ca_bundle import CaBundleFile
from rolecall_agent.sync.channel import Access
from rolecall_agent.sync.resolver import LiveReads, NoLiveReads, Resolver
from rolecall_agent.sync.stream import StreamClient
from rolecall_agent.sync.stream_end import EndReason
from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_proto.values import (
    Address,
    Credentials,
    Hello,
    NodeName,
    PodUid,
    Resolution,
    Session,
    SnapshotEnd,
    Update,
)
from rolecall_server.engine.broker import Broker
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.model.annotations import Wish
from rolecall_server.model.authenticator import Authenticator, LoopbackAuthenticator
from rolecall_server.model.issuer import Issued
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.model.source import NamespacesListed, PodChanged, PodGone, PodsListed
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.policy.rules import NamespaceMode, PolicySettings
from rolecall_server.rpc.certificate import ServerCertificate
from rolecall_server.rpc.server import listening
from rolecall_server.rpc.service import Service
from rolecall_server.telemetry.journal import Journal

BASE = "arn:aws:iam::111122223333:role/"
SERVER_NAME = "rolecall-server.rolecall.svc"
NODE = NodeName("node-1")


class QuietJournal(Journal):
    """Hears everything and keeps nothing."""


@dataclass
class Certificates:
    """A certificate authority, and the files that both sides read."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.certificate, self.key = self.folder / "tls.crt", self.folder / "tls.key"
        self.bundle = self.folder / "ca.crt"
        self.write(self.authority.issue_cert(SERVER_NAME))
        self.trust(self.authority)

    def write(self, issued: trustme.LeafCert) -> None:
        self.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())

    def trust(self, *authorities: trustme.CA) -> None:
        self.bundle.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))


class NotedBroker(Broker):
    """The real one, which notes what it was asked."""

    def __init__(self, policy: Policy, rules: BrokerRules) -> None:
        super().__init__(policy, rules, random.Random(1), QuietJournal())  # noqa: S311 - jitter
        self.asked: list[tuple[NodeName, Address]] = []
        self.was_asked = asyncio.Event()

    def resolve(self, node: NodeName, address: Address, now: datetime) -> Resolution:
        self.asked.append((node, address))
        self.was_asked.set()
        return super().resolve(node, address, now)

    def nodes(self) -> int:
        """Return how many agents are connected."""
        return sum(self.statistics(datetime.now(UTC)).nodes.values())


class Replica:
    """One server: a real broker behind a real port. What STS would say is said by `issue`."""

    def __init__(
        self, clock: Clock, certificates: Certificates, authenticator: Authenticator | None = None
    ) -> None:
        self.clock = clock
        self.issued: list[str] = []
        self.certificate = ServerCertificate(certificates.certificate, certificates.key, clock)
        authenticator = authenticator or LoopbackAuthenticator("127.0.0.1")
        base = BaseArn.parse(BASE)
        policy = Policy(PolicySettings(base=base, namespace_mode=NamespaceMode.OFF))
        rules = BrokerRules(token_secret=bytes(32), base_arn=BASE)
        self.broker = NotedBroker(policy, rules)
        self.service = Service(self.broker, authenticator, clock)
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncGenerator["Replica"]:
        address = f"127.0.0.1:{port}"
        async with listening(self.service, address, self.certificate.credentials()) as self.port:
            yield self

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def sync(self, *pods: Pod) -> "Replica":
        """Tell the broker that these are all the pods there are."""
        now = self.clock.now()
        self.broker.apply(NamespacesListed((Namespace("shop"),)), now)
        self.broker.apply(PodsListed(pods), now)
        return self

    def change(self, pod: Pod) -> None:
        self.broker.apply(PodChanged(pod), self.clock.now())

    def remove(self, pod: Pod) -> None:
        self.broker.apply(PodGone(pod.uid), self.clock.now())

    def issue(self) -> None:
        """Issue all that is due, with a name that tells one issue from the next."""
        now = self.clock.now()
        for identity in self.broker.due(now):
            self.issued.append(identity.role_arn)
            key = f"ASIA{len(self.issued)}"
            end = now + timedelta(hours=1)
            credentials = Credentials(key, Secret("secret"), Secret("token"), now, end)
            self.broker.issued(identity, Issued(credentials, "request"), now)


def pod(uid: str, address: str, role: str | None = "reader", node: str = NODE) -> Pod:
    return Pod(
        uid=PodUid(uid),
        namespace="shop",
        name=f"pod-{uid}",
        node=NodeName(node),
        addresses=(ip_address(address),),
        wish=None if role is None else Wish(role=role),
    )


class Node:
    """The agent's cache behind a follower, and a way to wait for what the stream brings."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cache = Cache()
        self.updates: list[Update] = []
        self.snapshots = 0
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def hello(self) -> Hello:
        return Hello("0.1.0", self.cache.held(self.clock.now()))

    def begin(self) -> None:
        self.updates.clear()
        self.cache.begin()

    def apply(self, update: Update) -> None:
        self.updates.append(update)
        self.snapshots += isinstance(update, SnapshotEnd)
        self.cache.apply(update, self.clock.now())
        for waiter, condition in self._waiting.items():
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once *condition* holds, looking after each update."""
        if condition():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = condition
        try:
            async with asyncio.timeout(30):
                await waiter
        finally:
            del self._waiting[waiter]

    async def synced(self, snapshots: int = 1) -> None:
        """Return once this many snapshots have come whole."""
        await self.until(lambda: self.snapshots >= snapshots)

    def standing(self, address: str) -> Standing:
        return self.cache.standing(ip_address(address), self.clock.now())

    def session(self, address: str) -> Session | None:
        """Return what a pod at *address* is served; None where it is served nothing."""
        standing = self.standing(address)
        return standing.session if isinstance(standing, Granted) else None


@contextlib.asynccontextmanager
async def following(
    node: Node,
    certificates: Certificates,
    *servers: str,
    token: Path | None = None,
    live_reads: LiveReads | None = None,
) -> AsyncGenerator[StreamClient]:
    """Follow *servers* on behalf of *node* while the block runs."""
    if token is None:
        token = certificates.folder / "token"
        token.write_text(f"{NODE}\n")
    access = Access(servers, token, SERVER_NAME)
    ca_bundle_file = CaBundleFile(certificates.bundle, node.clock.now)
    dice = random.Random(1)  # noqa: S311 - jitter
    resolver = Resolver(access, node.clock, live_reads or NoLiveReads())
    follower = StreamClient(access, ca_bundle_file, node, node.clock, dice, resolver)
    task = asyncio.create_task(follower.run(), name="follower")
    try:
        yield follower
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_connected(replica: Replica, agents: int) -> None:
    """Return once so many agents are connected."""
    async with asyncio.timeout(30):
        while replica.broker.nodes() != agents:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)


async def ended(follower: StreamClient) -> Mapping[EndReason, int]:
    """Return the reasons of ends, once there is one."""
    async with asyncio.timeout(30):
        while not (end_reasons := follower.statistics().end_reasons):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
    return end_reasons


@contextlib.asynccontextmanager
async def calling(
    replica: Replica, certificates: Certificates, *options: tuple[str, int]
) -> AsyncGenerator["broker_pb2_grpc.BrokerAsyncStub"]:
    """Yield a bare client of *replica*, for calls that no agent of ours would make."""
    credentials = grpc.ssl_channel_credentials(certificates.bundle.read_bytes())
    named: list[tuple[str, str | int]] = [("grpc.ssl_target_name_override", SERVER_NAME)]
    named += options
    async with grpc.aio.secure_channel(replica.address, credentials, options=named) as channel:
        yield broker_pb2_grpc.BrokerStub(channel)
