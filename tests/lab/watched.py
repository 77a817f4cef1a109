"""A node inside the lab whose agent is this process: witness, endpoint, and the server's word.

The kernel is the real one. What the server says, and what a live read would say, is the test's:
so the watch can be late, doubled or lost to the millisecond.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from pyroute2 import IPRoute, NetNS, netns  # type: ignore[import-untyped]  # it has no types

from rolecall_agent.http.server import Server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.store.cache import Cache
from rolecall_agent.sync.updates import UpdateHandler
from rolecall_agent.witness.service import Witness, witnessing
from rolecall_cli.lab.addresses import NODE_ADDRESS, NODE_ADDRESS_IPV6, ipv6_of
from rolecall_cli.lab.network import GATEWAY, Network
from rolecall_common.clock import SystemClock
from rolecall_common.secret import Secret
from rolecall_proto.values import (
    Address,
    Assignment,
    AssignmentUpserted,
    Confirmation,
    Credentials,
    EndpointKeys,
    PodRemoved,
    PodUid,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
)

T = TypeVar("T")

ROLES = "/latest/meta-data/iam/security-credentials/"
HOLD = timedelta(milliseconds=150)
QUICK = timedelta(seconds=0.3)  # In which a witness of these tests settles.
PATIENT = timedelta(minutes=1)
_STARTS: dict[str, datetime] = {}
_ASIDE = ThreadPoolExecutor(1, thread_name_prefix="network")
_EVERYTHING = 0x0003  # ETH_P_ALL
_BASE = "arn:aws:iam::111122223333:role/"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod got; status 0 where its connection was refused, cut, or never came to be."""

    status: int
    body: str = ""


NO_ANSWER = Answer(0)


@dataclass
class Agent:
    """One run of the agent, from its start to its end."""

    network: Network
    witness: Witness
    cache: Cache
    updates: UpdateHandler
    server: Server
    # What a live read of a pod says; who is not here cannot be read.
    truth: dict[PodUid, Confirmation] = field(default_factory=dict)

    def tell(self, *updates: Update) -> None:
        for update in updates:
            self.updates.apply(update)

    def name(self, uid: str, *addresses: Address) -> None:
        """Have the server say that the pod *uid* has *addresses*, and its role."""
        self.tell(*named(uid, *addresses))

    def lives(self, uid: str, *addresses: Address) -> None:
        """Have a live read say so."""
        self.truth[PodUid(uid)] = Confirmation(addresses, started_at(uid))

    def ends(self, uid: str) -> None:
        """Have a live read say that the pod has nothing."""
        self.truth[PodUid(uid)] = Confirmation()

    def forget(self, uid: str) -> None:
        self.tell(PodRemoved(PodUid(uid)))

    def asks(self, address: Address) -> None:
        """Do what the agent's resolver does, with the truth in the server's place."""
        query = self.witness.query([address])
        read = {uid: self.truth[uid] for uid in query.uids if uid in self.truth}
        asyncio.get_running_loop().call_soon(self.witness.answer, query, read)


def started_at(uid: str) -> datetime:
    """Return when the pod *uid* started, as kubelets write it: when it was first spoken of."""
    return _STARTS.setdefault(uid, datetime.now(UTC).replace(microsecond=0))


async def start_again(*uids: str) -> None:
    """Have something start in each of the pods *uids*, in the next second."""
    await next_second()
    for uid in uids:
        _STARTS.pop(uid, None)
        started_at(uid)


async def next_second() -> None:
    await asyncio.sleep(1 - datetime.now(UTC).microsecond / 1_000_000)


def named(uid: str, *addresses: Address) -> list[Update]:
    now = datetime.now(UTC)
    end = now + timedelta(hours=1)
    credentials = Credentials(f"KEY{uid}", Secret(f"secret-{uid}"), Secret("token"), now, end)
    assignment = Assignment(
        uid=PodUid(uid),
        namespace="shop",
        name=uid,
        service_account="default",
        addresses=addresses,
        state=State.GRANTED,
        role=uid,
        role_arn=_BASE + uid,
        session_id=SessionId(uid),
        started_at=started_at(uid),
    )
    return [
        SessionRenewed(Session(SessionId(uid), credentials, end)),
        AssignmentUpserted(assignment),
    ]


@contextlib.asynccontextmanager
async def agent(
    network: Network,
    *known: Update,
    state_file: Path | None = None,
    accept: bool = False,
    settling: timedelta = QUICK,
    settled: bool = True,
) -> AsyncGenerator[Agent]:
    """Run an agent to which a server says *known* at first; *settled*: wait until it has."""
    clock = SystemClock()
    with witnessing(state_file, clock, accept=accept, settling=settling) as witness:
        cache = Cache(witness.holders, witness.node_addresses)
        rules = ServerRules(hold=HOLD)
        endpoint = MetadataEndpoint(cache, lambda each: at.asks(each))  # noqa: PLW0108 - `at` comes last
        server = Server(endpoint, cache, clock, rules)
        updates = UpdateHandler(cache, clock, endpoint, lambda _: None, lambda _: None, witness)
        at = Agent(network, witness, cache, updates, server)
        witness.changed, witness.moved = updates.holders_changed, server.cut
        server.watches(witness.poll, lambda: witness.checks_each_request)
        updates.begin()
        at.tell(EndpointKeys(bytes(32), _BASE), *known, SnapshotEnd())
        keeping = asyncio.create_task(witness.run(), name="run the witness")
        async with server.serving([(str(NODE_ADDRESS), 80), (str(NODE_ADDRESS_IPV6), 80)]):
            if settled:
                await asyncio.sleep(settling.total_seconds())
            yield at
        keeping.cancel()


@contextlib.contextmanager
def inside(pod: str) -> Generator[None]:
    """Make sockets in the namespace of *pod*, in this thread, while the block runs."""
    netns.pushns(pod)
    try:
        yield
    finally:
        netns.popns()


def client(pod: str, source: Address | None = None, family: int = socket.AF_INET) -> socket.socket:
    """Return a socket of *pod* that is not connected; *source* is an address that it takes."""
    with inside(pod):
        made = socket.socket(family)
    made.settimeout(0)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    if source is not None:
        made.bind((str(source), 0))
    return made


async def connect(made: socket.socket, patience: float = 2.0) -> bool:
    """Connect to the endpoint; tell whether it has come to that."""
    endpoint = NODE_ADDRESS if made.family == socket.AF_INET else NODE_ADDRESS_IPV6
    try:
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().sock_connect(made, (str(endpoint), 80))
    except (TimeoutError, OSError):
        return False
    return True


async def request(made: socket.socket, path: str = ROLES, patience: float = 2.0) -> Answer:
    """Send one request on a connection that is open, and return what comes."""
    loop = asyncio.get_running_loop()
    head = f"GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n".encode()
    got = b""
    try:
        async with asyncio.timeout(patience):
            await loop.sock_sendall(made, head)
            while b"\r\n\r\n" not in got:
                more = await loop.sock_recv(made, 65536)
                if not more:
                    return NO_ANSWER
                got += more
    except (TimeoutError, OSError):
        return NO_ANSWER
    first, _, body = got.partition(b"\r\n\r\n")
    return Answer(int(first.split()[1]), body.decode())


async def ask(
    pod: str, path: str = ROLES, source: Address | None = None, family: int = socket.AF_INET
) -> Answer:
    """Ask from *pod* on a connection of its own."""
    with client(pod, source, family) as made:
        return await request(made, path) if await connect(made) else NO_ANSWER


async def key_of(pod: str, role: str) -> str:
    """Return the key that the document of *role* has; "" where *pod* gets none."""
    answer = await ask(pod, ROLES + role)
    return str(json.loads(answer.body)["AccessKeyId"]) if answer.status == 200 else ""


async def aside(act: Callable[..., T], *arguments: object) -> T:
    """Do *act* in the one thread in which pyroute2 is used: it has a loop of its own there."""
    return await asyncio.get_running_loop().run_in_executor(_ASIDE, partial(act, *arguments))


def take_address(pod: str, address: IPv4Address) -> None:
    """Have *pod* take an address that is another's, and answer to it."""
    with contextlib.closing(NetNS(pod)) as far:
        index = far.link_lookup(ifname="eth0")[0]
        far.addr("add", index=index, address=str(address), prefixlen=32)


def hardware_of(pod: str) -> bytes:
    with contextlib.closing(NetNS(pod)) as far:
        return bytes.fromhex(far.link("get", ifname="eth0")[0].get("address").replace(":", ""))


def take_hardware(pod: str, hardware: bytes) -> None:
    """Give the link of *pod* the hardware address of another one."""
    with contextlib.closing(NetNS(pod)) as far:
        index = far.link_lookup(ifname="eth0")[0]
        far.link("set", index=index, address=hardware.hex(":"))


def mislead(address: IPv4Address) -> None:
    """Have the node write to a hardware address that nobody at the link of *address* takes in."""
    with IPRoute() as node:
        [route] = node.route("get", dst=str(address))
        index, nobody = route.get("oif"), "02:77:00:00:00:99"
        node.neigh("replace", dst=str(address), lladdr=nobody, ifindex=index, state="permanent")


async def announce(pod: str, address: IPv4Address) -> None:
    """Say on the bridge that *address* is at the link of *pod*: gratuitous ARP."""
    await _say(pod, address, b"\2", address)


async def ask_as(pod: str, address: IPv4Address) -> None:
    """Ask on the bridge for the node, in the name of *address*, at the link of *pod*."""
    await _say(pod, address, b"\1", GATEWAY)


async def _say(pod: str, address: IPv4Address, operation: bytes, target: IPv4Address) -> None:
    own, everybody = await aside(hardware_of, pod), b"\xff" * 6
    packet = b"\0\1\x08\0\6\4\0" + operation + own + address.packed + everybody + target.packed
    with inside(pod):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with made:
        made.bind(("eth0", 0))
        made.send(everybody + own + b"\x08\x06" + packet)


def listener(pod: str) -> socket.socket:
    """Return a socket that hears all that comes to the link of *pod*, whoever it is for."""
    with inside(pod):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    made.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return made


def received(heard: socket.socket) -> Iterator[bytes]:
    """Yield the frames that *heard* has by now."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield heard.recv(65536)


def six(address: IPv4Address) -> Address:
    return ipv6_of(address)
