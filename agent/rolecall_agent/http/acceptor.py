"""Takes new connections out of the kernel's queue by itself where that has become long.

The loop takes one in each turn, which is the quickest way while there are few. It makes a
connection of each, in the order they came: behind four thousand of one pod everybody else would
wait for a tenth of a second. Here they are only taken, which costs a tenth of that, and each pod
has its turn at what is dear. Whoever has hung up meanwhile costs no more.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Iterator

from rolecall_agent.http.arrivals import Arrivals
from rolecall_agent.http.lingering_close import reset_at_close
from rolecall_common.callbacks import reports_all_but

# One connection may wait here for so many that may be open: each has a descriptor.
WAITING_SHARE = 4
LONG = 128  # new connections in the kernel's queue, which are taken within some milliseconds
SHARE = 8  # connections of one address that are made in a round
BATCH = 128  # connections that are taken in a round
_EVERY = 16  # connections after which the queue is looked at
_TCP_INFO_BACKLOG = struct.Struct("=24xI")  # What linux/tcp.h calls unacked, of a listener.


class Acceptor:
    """Takes connections in turns while the queue of a listener is long.

    Args:
        make: Makes the protocol of a connection.
        most: How many may wait here, of all addresses.
        room: How many more connections an address may have, by how the kernel writes it.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        most: int,
        room: Callable[[str], int],
    ) -> None:
        self._listeners: list[socket.socket] = []
        self._make = make
        self._room = room
        self._arrivals: Arrivals[socket.socket] = Arrivals(most)
        self._unseen = 0
        self._long = asyncio.Event()

    @contextlib.contextmanager
    def watching(self, listener: int) -> Iterator[None]:
        """Take from the socket of that number as well, while the block runs."""
        with socket.socket(fileno=os.dup(listener)) as own:
            own.setblocking(False)  # noqa: FBT003 - the socket's own signature
            self._listeners.append(own)
            try:
                yield
            finally:
                self._listeners.remove(own)

    def note(self) -> None:
        """Count a connection that the loop has taken, and look at the queues now and then."""
        self._unseen += 1
        if self._unseen >= _EVERY:
            self._unseen = 0
            if any(_queued(each) > LONG for each in self._listeners):
                self._long.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Take connections, while the block runs, whenever a queue has become long."""
        # Not a TaskGroup's: a bug is reported at once, and ends the process.
        task = asyncio.create_task(self._run(), name="take connections in turns")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @reports_all_but()
    async def _run(self) -> None:
        try:
            while True:
                await self._long.wait()
                self._long.clear()
                while self._take() or self._arrivals:
                    await self._connect()
        finally:
            for sock in self._arrivals.take(len(self._arrivals)):
                sock.close()

    def _take(self) -> bool:
        """Take some of each queue, and return whether there may be more."""
        more = [self._take_from(each) for each in self._listeners]
        return any(more)

    def _take_from(self, listener: socket.socket) -> bool:
        for _ in range(BATCH):
            try:
                sock, address = listener.accept()
            except OSError as error:
                if error.errno != errno.ECONNABORTED:
                    return False  # It is empty, or the machine has nothing left for one more.
                continue
            self._keep(sock, address[0])
        return True

    def _keep(self, sock: socket.socket, source: str) -> None:
        try:
            sock.getpeername()
        except OSError:  # It has hung up.
            sock.close()
            return
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        surplus = self._arrivals.add(sock, source, self._room(source))
        if surplus is not None:
            with contextlib.suppress(OSError):
                reset_at_close(surplus)
            surplus.close()

    async def _connect(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for sock in self._arrivals.take(SHARE):
                tasks.create_task(self._connect_one(sock), name="connect what was taken")

    async def _connect_one(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._make, sock)
        except OSError:  # It has hung up.
            sock.close()


def _queued(listener: socket.socket) -> int:
    """Return how many connections wait in the kernel's queue of *listener*."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BACKLOG.size)
    return int(_TCP_INFO_BACKLOG.unpack(info)[0])
