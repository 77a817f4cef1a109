"""Asks the kernel, one question after the other, and takes nothing but answers to them.

A question whose answer could not be received leaves it behind, to be taken for the answer to the
next one. So each question has a number, and what is left is thrown away before another is asked.
Whatever is no whole answer raises LostError: what was asked is not known then.
"""

import errno
import os
from collections.abc import Iterator

from rolecall_agent.witness.netlink import ROOM, LostError, Netlink, Open
from rolecall_agent.witness.rtnetlink import layout, requests
from rolecall_agent.witness.rtnetlink.messages import Done, Garbled, Message, Problem
from rolecall_agent.witness.rtnetlink.parsing import Wanted, is_any, parse_with_heads

_TRIES = 5  # Dumps of what changes all the time; one takes a millisecond or few.
_MOST_LEFT = 10_000  # Messages; a dump of 100,000 routes has some hundred.
# What an answer with one of these says is that there is no answer now, and nothing of the network.
_NO_ANSWER = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENOMEM})
# There is nothing of that family: the kernel does not speak it.
_NO_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EOPNOTSUPP})


class Questions:
    """One socket, on which the kernel has said all by the time that we look."""

    def __init__(self, open_: Open) -> None:
        """Raise OSError where there is no rtnetlink."""
        self._socket: Netlink = open_(0, b"")
        self._port = self._socket.getsockname()[0]
        self._sequence = 0
        self._has_left = False  # Something may be there that answers a question of before.

    def close(self) -> None:
        self._socket.close()

    def one(self, request: bytes) -> Message | None:
        """Ask what has one answer; None where the kernel has none. Raises LostError."""
        for _, message in self._asked(request, is_any):
            self._has_left = False
            if isinstance(message, Problem):
                if message.number in _NO_ANSWER:
                    raise _named(message.number)
                return None
            return message
        return None

    def all(self, request: bytes, wanted: Wanted = is_any) -> list[Message]:
        """Ask for a dump: what is *wanted* of everything that there is. Raises LostError.

        What has changed on the way may be in it twice or not at all: it is asked for again then.
        """
        for _ in range(_TRIES):
            found: list[Message] = []
            if self._is_whole(request, wanted, found):
                return found
        raise LostError(errno.EINTR, "what was asked for changed each time that it was told")

    def _is_whole(self, request: bytes, wanted: Wanted, found: list[Message]) -> bool:
        """Collect a dump in *found*; tell whether nothing has come between."""
        flags = 0
        for seen, message in self._asked(request, wanted):
            flags |= seen
            match message:
                case Done(problem):
                    self._has_left = False
                    if problem and problem != errno.EINTR:
                        raise _named(problem)
                    return not problem and not flags & layout.DUMP_INTERRUPTED
                case Problem(number):
                    self._has_left = False
                    if number in _NO_FAMILY:
                        return True
                    raise _named(number)
                case None:
                    pass
                case _:
                    found.append(message)
        return False

    def _asked(self, request: bytes, wanted: Wanted) -> Iterator[tuple[int, Message | None]]:
        """Ask, and yield the answer's messages, and their flags, until there are no more.

        Who knows that one was the last has no need to ask for more.
        """
        if self._has_left:
            self._drain()
        self._sequence = self._sequence % 0xFFFF_FFFF + 1
        self._has_left = True
        try:
            self._socket.send(requests.numbered(request, self._sequence))
        except OSError as error:
            raise _lost(error) from error
        while True:
            for head, message in parse_with_heads(self._received(), wanted):
                if isinstance(message, Garbled):
                    raise LostError(errno.EBADMSG, "an answer that cannot be read")
                if (head.sequence, head.port) == (self._sequence, self._port):
                    yield head.flags, message

    def _received(self) -> bytes:
        """Return what comes next; nothing where it is of anybody else but the kernel."""
        try:
            data, (sender, _) = self._socket.recvfrom(ROOM)
        except OSError as error:
            raise _lost(error) from error
        return data if sender == 0 else b""

    def _drain(self) -> None:
        for _ in range(_MOST_LEFT):
            try:
                self._socket.recvfrom(ROOM)
            except BlockingIOError:
                self._has_left = False
                return
            except OSError as error:
                raise _lost(error) from error
        raise LostError(errno.EBUSY, "answers to another question do not end")


def _named(number: int) -> LostError:
    return LostError(number, os.strerror(number))


def _lost(error: OSError) -> LostError:
    return LostError(error.errno, error.strerror)
