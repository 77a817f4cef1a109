"""Every callback of ours that a loop, a transport or a library calls, and how to have it called.

A row names the function. A test of the repository finds the callbacks that have none.
"""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import grpc
import uvloop
from prometheus_client import CollectorRegistry

from fakes.clock import FakeClock
from fakes.endpoint_rig import ROLES, START, Client, Rig, endpoint_rig, known, pod, request
from fakes.planted import LoopFactory, for_ever
from fakes.replica import SERVER_NAME, Certificates, Node, Replica, calling, following
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.http.timeouts import TIME_LIMITS
from rolecall_agent.witness.bindings import Bindings
from rolecall_agent.witness.kernel import Kernel
from rolecall_agent.witness.observation import LinkId, Observation, Way
from rolecall_agent.witness.prompting import Prompter
from rolecall_agent.witness.service import Witness
from rolecall_agent.witness.state_file import Scope, StateFile
from rolecall_cli.demo.loopback import LoopbackNode
from rolecall_common.admin_http import Readiness, serving_admin
from rolecall_common.clock import SystemClock
from rolecall_common.settings.types import HostPort
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import Address, PodUid
from rolecall_warden.file_changes import watching

Play = Callable[[], Awaitable[object]]

OWN = "127.0.0.2"
DOCUMENT = request(f"{ROLES}/reader")
MANY = DOCUMENT * 400  # More than the kernel takes of their answers for whoever does not read.
SOON = timedelta(seconds=1)  # In which a slow machine has done what comes before a timer.
ANYWHERE = HostPort("127.0.0.1", 0)
# The second half of a second that nobody here has seen.
_BORN = (SystemClock().now() - timedelta(seconds=2)).replace(microsecond=500_000)
ASYNCIO: LoopFactory = asyncio.new_event_loop
UVLOOP: LoopFactory = uvloop.new_event_loop


@asynccontextmanager
async def _connected(sent: bytes = b"") -> AsyncGenerator[tuple[Rig, Client]]:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as client:
            client.send(sent)
            yield rig, client


async def _ask() -> None:
    async with _connected(DOCUMENT):
        await for_ever()


async def _ask_an_endpoint_that_knows_nothing() -> None:
    # Longer than a request waits to be read on a slow machine: else it is answered without a timer.
    async with endpoint_rig(hold=SOON) as rig, rig.client() as client:
        client.send(DOCUMENT)
        await for_ever()


async def _ask_where_connections_change_hands() -> None:
    async with endpoint_rig() as rig:
        rig.server.watches(lambda: None, lambda: True)
        async with rig.client() as client:
            client.send(DOCUMENT)
            await for_ever()


async def _send_no_more() -> None:
    async with _connected() as (_, client):
        client.end()
        await for_ever()


async def _leave() -> None:
    async with _connected() as (rig, client):
        await rig.until(lambda: rig.server.open_connections == 1)
        client.end()
        await for_ever()


async def _read_late(*, reads: bool, ends: bool = False) -> None:
    async with endpoint_rig() as rig:
        rig.snapshot(*known(pod(OWN)))
        with closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
            sock.bind((OWN, 0))
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", rig.port))
            await loop.sock_sendall(sock, DOCUMENT * 12 if ends else MANY)
            if ends:
                sock.shutdown(socket.SHUT_WR)
            while reads and await loop.sock_recv(sock, 65536):  # noqa: ASYNC110 - as said below
                await asyncio.sleep(0)  # What is there already is had without a turn of the loop.
            await for_ever()


async def _wait_in_line() -> None:
    async with _connected() as (rig, _):
        await rig.until(lambda: rig.server.open_connections == 1)
        [connection] = rig.server.state.limits
        connection.queue()  # Else it takes hundreds of connections.
        await for_ever()


async def _keep_others_waiting() -> None:
    rules = ServerRules(at_once=1, queued=1)
    async with endpoint_rig(rules=rules) as rig, rig.client(), rig.client():
        await for_ever()


async def _be_slow() -> None:
    limits = replace(TIME_LIMITS, head=0.01)
    async with endpoint_rig(rules=ServerRules(time_limits=limits)) as rig, rig.client():
        await for_ever()


class _NewsOfOurs(Kernel):
    """The real one, but that its news come when a test says so."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.said, self._heard = socket.socketpair()

    def fileno(self) -> int:
        return self._heard.fileno()

    def observe(self, address: Address) -> Observation:  # noqa: ARG002 - it is there, whatever it is
        return Observation(Way.ROUTE, LinkId(7, 1, born_at=_BORN))


async def _watch_links(*, says: bytes = b"", claims: bool = False) -> None:
    with ExitStack() as stack:
        kernel = stack.enter_context(_NewsOfOurs())
        stack.callback(kernel.said.close)
        stack.callback(kernel._heard.close)  # noqa: SLF001 - our own
        bindings = Bindings({}, accept_unwitnessed=True, settling=SOON)
        state = StateFile(None, Scope.here())
        witness = Witness(kernel, bindings, state, SystemClock(), Prompter())
        stack.enter_context(witness.listening())
        kernel.said.send(says or b"")
        if claims:
            witness.claim({ip_address("192.0.2.1"): {PodUid("u"): _BORN.replace(microsecond=0)}})
        await for_ever()


async def _probe(
    sent: bytes = b"GET /healthz HTTP/1.1\r\n\r\n", patience: timedelta = timedelta(seconds=5)
) -> None:
    pages = CollectorRegistry()
    async with serving_admin(ANYWHERE, lambda: Readiness(ready=True), pages, patience) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        try:
            await for_ever()
        finally:
            writer.close()


async def _replace_a_file() -> None:
    with tempfile.NamedTemporaryFile(delete=False) as other, ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory()), "file")
        stack.enter_context(watching(file, asyncio.Event()))
        shutil.move(other.name, file)
        await for_ever()


async def _forward() -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        async with LoopbackNode.opened(port, agent_port=port) as node:
            await node.add_pod("pod", IPv4Address("127.0.0.9"))
            _, writer = await asyncio.open_connection("127.0.0.9", port)
            try:
                await for_ever()
            finally:
                writer.close()


@asynccontextmanager
async def _replica() -> AsyncGenerator[tuple[Replica, Certificates]]:
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        async with Replica(FakeClock(START), certificates).listening() as replica:
            yield replica.sync(), certificates


async def _follow() -> None:
    async with _replica() as (replica, certificates):  # noqa: SIM117 - one needs the other
        async with following(Node(replica.clock), certificates, replica.address):
            await for_ever()


async def _resolve() -> None:
    async with _replica() as (replica, certificates), calling(replica, certificates) as stub:
        metadata = (("authorization", "Bearer node-1"),)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await stub.ResolvePods(pb.ResolvePodsRequest(), metadata=metadata)
        await for_ever()


async def _ask_health() -> None:
    async with _replica() as (replica, certificates):
        await _whole_health(replica, certificates)
        # gRPC asks for a certificate only once it has used the first.
        await _whole_health(replica, certificates)
        await for_ever()


async def _whole_health(replica: Replica, certificates: Certificates) -> None:
    credentials = grpc.ssl_channel_credentials(certificates.bundle.read_bytes())
    named = [("grpc.ssl_target_name_override", SERVER_NAME)]
    async with grpc.aio.secure_channel(replica.address, credentials, options=named) as channel:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await channel.unary_unary("/grpc.health.v1.Health/Check")(b"")


# On both kinds of loop: each has its own ways with what is raised.
ON_ANY_LOOP: dict[str, Play] = {
    "rolecall_agent.http.connection:Connection.connection_made": _ask,
    "rolecall_agent.http.connection:Connection.connection_lost": _leave,
    "rolecall_agent.http.connection:Connection.data_received": _ask,
    "rolecall_agent.http.connection:Connection.eof_received": _send_no_more,
    "rolecall_agent.http.connection:Connection.pause_writing": partial(_read_late, reads=False),
    "rolecall_agent.http.connection:Connection.resume_writing": partial(_read_late, reads=True),
    "rolecall_agent.http.connection:Connection._stop_reading": _wait_in_line,
    "rolecall_agent.http.fair_queue:FairQueue._turn": _ask,
    "rolecall_agent.http.hold_timer:HoldTimer._look": _ask_an_endpoint_that_knows_nothing,
    "rolecall_agent.http.idle_eviction:IdleEviction._look": _keep_others_waiting,
    "rolecall_agent.http.lingering_close:LingeringClose._look": partial(
        _read_late, reads=False, ends=True
    ),
    "rolecall_agent.http.request:_Reading.on_header": _ask,
    "rolecall_agent.http.server:Server._arrived": _ask,
    "rolecall_agent.http.timeouts:Timeouts._look": _be_slow,
    "rolecall_agent.http.watched_connection:WatchedConnection.data_received": (
        _ask_where_connections_change_hands
    ),
    "rolecall_agent.witness.service:Witness.poll": partial(_watch_links, says=b"news"),
    "rolecall_agent.witness.service:Witness._tick": partial(_watch_links, claims=True),
    "rolecall_cli.demo.loopback:LoopbackNode.add_pod.<locals>.<lambda>": _forward,
    "rolecall_common.admin_http:_Exchange.abort": partial(_probe, b"", timedelta(milliseconds=10)),
    "rolecall_common.admin_http:_Exchange.connection_lost": _probe,
    "rolecall_common.admin_http:_Exchange.connection_made": _probe,
    "rolecall_common.admin_http:_Exchange.data_received": _probe,
    "rolecall_common.admin_http:serving_admin.<locals>.exchange": _probe,
    "rolecall_warden.file_changes:watching.<locals>.read": _replace_a_file,
}
# gRPC's are called on the server's loop, and on threads of its own.
ON_ASYNCIO: dict[str, Play] = {
    "rolecall_server.rpc.certificate:ServerCertificate._renewed": _ask_health,
    "rolecall_server.rpc.health:health_handler.<locals>.check": _ask_health,
    "rolecall_server.rpc.service:Service.ResolvePods": _resolve,
    "rolecall_server.rpc.service:Service.WatchNode": _follow,
    "rolecall_server.rpc.authentication:Authentication.authenticate.<locals>.over": _resolve,
}
# What is called out within a call of our own, through which it comes back to us.
COMES_BACK = {
    "rolecall_agent.metadata.imds_client:_Reading.on_body",
    "rolecall_agent.metadata.imds_client:_Reading.on_message_complete",
}
# What a process of its own is needed for.
ON_A_SIGNAL = {"rolecall_common.lifecycle:_until_signalled.<locals>.end"}
WITHOUT_ROW = {
    "rolecall_cli.demo.command:_until_stopped: task.cancel": "it is asyncio's own",
    "rolecall_common.callbacks:Bugs._end_run": "it is what a bug is ended by",
    "rolecall_common.callbacks:Bugs.end_by: self": "it is what a bug is told to",
    "rolecall_server.sts.chain_reading:ChainReading._run: self.done.set": "it is asyncio's own",
    "rolecall_server.sts.chain_reading:ChainReading._run": "whoever waits for it is told",
    "rolecall_common.line_writer:LineWriter._run": "without its thread lines are lost, and counted",
    "rolecall_common.logs:configure: _is_for_operators": "whoever logs calls it, and is told",
}
