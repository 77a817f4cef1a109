"""What a loop reports and is no bug of ours ends nothing: neither a peer nor a full machine can."""

import asyncio
import errno
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from fakes.callbacks import ASYNCIO, DOCUMENT, UVLOOP
from fakes.endpoint_rig import endpoint_rig, known, pod
from fakes.planted import LoopFactory
from rolecall_common.admin_http import Readiness, serving_admin
from rolecall_common.callbacks import Bugs
from rolecall_common.settings.types import HostPort

LOOPS = pytest.mark.parametrize("loop_factory", [ASYNCIO, UVLOOP], ids=["asyncio", "uvloop"])
SECRET = "ASIA-SECRET"  # noqa: S105 - what must not be said


class Peer:
    """What a report may be about; whatever it says of itself is not to be repeated."""

    def __repr__(self) -> str:
        return f"<Peer {SECRET}>"


def failed(kind: type[Exception], *said: object) -> Exception:
    """Return an exception that has been raised outside our packages, as a library's is."""
    try:
        raise kind(*said)  # noqa: TRY301 - it is to be raised here
    except kind as error:
        return error


NONE = "Task was destroyed but it is pending!"
# By the sources of CPython 3.11 to 3.14, uvloop 0.23 and grpcio 1.85: each kind of report that they
# make, but for exceptions that our own code has raised.
REPORTS: dict[str, Callable[[], Exception | None]] = {
    # A peer, or the network between.
    "Exception in callback BaseSelectorEventLoop._accept_connection(<Peer>)": lambda: failed(
        OSError, errno.EPROTO, "accept"
    ),
    "Fatal read error on socket transport": lambda: failed(ConnectionResetError),
    "Fatal write error on socket transport": lambda: failed(BrokenPipeError),
    "Fatal error on transport TCPTransport (error status in uv_stream_t.read callback)": lambda: (
        failed(ConnectionResetError)
    ),
    "Fatal error on SSL protocol": lambda: failed(asyncio.InvalidStateError, "invalid state"),
    "SSL handshake failed": lambda: failed(ssl.SSLError, 1, "a bad certificate"),
    "Error occurred during shutdown": lambda: failed(ssl.SSLError, 1, "data after close notify"),
    "Error on transport creation for incoming connection": lambda: failed(ConnectionAbortedError),
    "An open stream was garbage collected prior to establishing network connection": lambda: None,
    # A machine that has no more to give.
    "socket.accept() out of system resource": lambda: failed(OSError, errno.EMFILE, "too many"),
    "Fatal error on server TCPServer": lambda: failed(MemoryError),
    # Futures and tasks of libraries, whose callers have gone.
    "Future exception was never retrieved": lambda: failed(ConnectionRefusedError),
    "Task exception was never retrieved": lambda: failed(RuntimeError, "DNS"),
    "ConnectionError exception in shielded future": lambda: failed(ConnectionError),
    "an error occurred during closing of asynchronous generator <Peer>": lambda: failed(
        RuntimeError, "already running"
    ),
    "unhandled exception during asyncio.run() shutdown": lambda: failed(OSError),
    "Task <Peer> has errored out but its parent task <Peer> is already completed": lambda: failed(
        OSError
    ),
    NONE: lambda: None,
    "Unclosed client session": lambda: None,
    "Unclosed connector": lambda: None,
    "UVStream read callback called with handle.data == NULL": lambda: None,
    "could not close attached file object <Peer>": lambda: failed(OSError, errno.EBADF, "closed"),
    # gRPC's poller, which wakes for what another loop has taken.
    "Exception in callback PollerCompletionQueue._handle_events(<Peer>)()": lambda: failed(
        BlockingIOError, errno.EAGAIN, "again"
    ),
}


@pytest.mark.parametrize("message", REPORTS)
@LOOPS
def test_no_report_of_a_librarys_own_ends_the_run(
    message: str, loop_factory: LoopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, without what the objects say that it is about."""
    error, bugs = REPORTS[message](), Bugs()

    async def report() -> None:
        task = asyncio.current_task()
        assert task is not None
        bugs.end_by(task.cancel)
        about = message.replace("<Peer>", repr(Peer()))
        context = {"message": about, "transport": Peer(), "socket": Peer(), "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(report())

    assert bugs.first is None
    [said] = caplog.records
    assert said.levelno == logging.WARNING
    assert (said.exc_info[1] if said.exc_info else None) is error
    assert message.startswith(getattr(said, "report", ""))
    assert SECRET not in repr(vars(said))


async def _reset(port: int, sent: bytes, address: str) -> None:
    """Send what is *sent*, read nothing, and have the connection reset."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        sock.bind((address, 0))
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, sent)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


SENT = pytest.mark.parametrize(
    "sent",
    [b"", b"GET", DOCUMENT, DOCUMENT * 400, b"\xff\x00 bad\r\n\r\n", b"x" * 20_000],
    ids=["nothing", "a-part", "one", "many", "malformed", "too-long"],
)


@SENT
@LOOPS
def test_no_pod_that_resets_its_connections_ends_the_agent(
    sent: bytes, loop_factory: LoopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the reset finds the connection."""
    bugs = Bugs()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        bugs.end_by(task.cancel)
        async with endpoint_rig() as rig:
            rig.snapshot(*known(pod("127.0.0.2")))
            for _ in range(20):
                await _reset(rig.port, sent, "127.0.0.2")
            [answer] = await rig.ask(DOCUMENT)
            await rig.until(lambda: rig.server.open_connections == 0)
            assert answer.status == 200

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())

    assert bugs.first is None
    assert not caplog.records


@SENT
@LOOPS
def test_nobody_who_resets_a_connection_to_the_probes_ends_the_process(
    sent: bytes, loop_factory: LoopFactory
) -> None:
    """They are on a port that everybody reaches."""
    bugs = Bugs()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        bugs.end_by(task.cancel)
        where, patience = HostPort("127.0.0.1", 0), timedelta(seconds=5)
        pages = CollectorRegistry()
        async with serving_admin(where, lambda: Readiness(ready=True), pages, patience) as port:
            for _ in range(20):
                await _reset(port, sent, "127.0.0.3")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert (await reader.read()).endswith(b"ok\n")
            writer.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())

    assert bugs.first is None
