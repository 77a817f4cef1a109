"""What the kernel says of its own accord: two sockets, and one descriptor that tells of both.

Any pod can have the kernel say much of neighbours, by ARP alone: each packet with another hardware
address is a message. So neighbours have a socket of their own, which can overrun without a loss of
what is said of links and routes, and which is there only while a bridge has ports.
"""

import contextlib
import select
from collections.abc import Iterator

from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.netlink import ROOM, LostError, Netlink, Open
from rolecall_agent.witness.rtnetlink import layout

# Messages that are read before anybody else has a turn: few milliseconds of work. Most of those
# about bridges are no news, which is seen at once.
MOST_AT_ONCE = {Extent.BRIDGES: 1024, Extent.EVERYTHING: 512}
_GROUPS = {Extent.BRIDGES: layout.NEIGHBOURS, Extent.EVERYTHING: layout.ROUTING}


class News:
    """Each kind is heard from `listen` on, until it is lost or dropped."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._sockets: dict[Extent, Netlink] = {}
        self._unfinished: set[Extent] = set()
        # It is watched in place of the sockets. They come and go; and libuv would take one that
        # has overrun for a closed one, and never look at it again.
        self._poll = select.epoll()

    def close(self) -> None:
        for about in list(self._sockets):
            self.drop(about)
        self._poll.close()

    def fileno(self) -> int:
        """Return what is readable while there are any."""
        return self._poll.fileno()

    @property
    def are_there(self) -> bool:
        """Whether there are any. The kernel says so before anyone can use the change."""
        return bool(self._poll.poll(0))

    def hears(self, about: Extent) -> bool:
        return about in self._sockets

    def listen(self, about: Extent, program: bytes = b"") -> None:
        """Hear what is said from now on, and nothing of before. Raises LostError.

        *program* is a filter of it.
        """
        self.drop(about)
        try:
            made = self._sockets[about] = self._open(_GROUPS[about], program)
            self._poll.register(made.fileno(), select.EPOLLIN)
        except OSError as error:
            self.drop(about)
            raise LostError(error.errno, error.strerror) from error

    def drop(self, about: Extent) -> None:
        """Hear nothing more *about* it."""
        if (made := self._sockets.pop(about, None)) is not None:
            with contextlib.suppress(OSError):
                self._poll.unregister(made.fileno())
            made.close()

    def read(self, about: Extent) -> Iterator[bytes]:
        """Yield what has been said *about* it, as far as one turn goes.

        Raises LostError where something was lost, by an overrun for one. Nothing is heard from then
        on, until `listen` is called again.
        """
        listener = self._sockets.get(about)
        if listener is None:
            return
        self._unfinished.add(about)
        for _ in range(MOST_AT_ONCE[about]):
            try:
                data, (port, _) = listener.recvfrom(ROOM)
            except BlockingIOError:
                self._unfinished.discard(about)
                return
            except OSError as error:
                self.drop(about)
                raise LostError(error.errno, error.strerror) from error
            if port == 0:  # Nobody but the kernel is believed.
                yield data

    def have_more(self, about: Extent) -> bool:
        """Tell whether the last turn has left some: then the descriptor is readable, too."""
        return about in self._unfinished and self.are_there
