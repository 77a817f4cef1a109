"""Plays a script to the real endpoint, and holds every answer against what is true by then."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from fakes.clock import FakeClock
from fakes.endpoint_rig import START
from fuzz import answers
from fuzz.answers import Answer
from fuzz.loop import Loop, turns
from fuzz.rules import ROLES, Case, judge
from fuzz.script import SENT, Kind, Step, steps
from fuzz.wire import BrokenRuleError, Wire
from fuzz.world import ADDRESSES, HOSTS, World
from rolecall_agent.http.connection import Connection
from rolecall_agent.http.server import Server
from rolecall_agent.http.server_state import ServerRules
from rolecall_agent.metadata import tokens
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import Address

MOST_LINES = 64  # connections of one scene
MOST_BYTES = 1 << 15  # that one scene sends
_HOLD = timedelta(seconds=1)  # Some more than any request is held.
_MOST_HOLDS = 30  # Of them until an idle connection is closed.
_PAUSE = timedelta(seconds=0.1)
# Place for few connections, so that scripts that fill it can stay short.
_RULES = ServerRules(at_once=4, queued=3, connections=24)


class Line:
    """One connection of a client, and how far its answers have come."""

    def __init__(self, scene: "Scene", client: int) -> None:
        self._scene = scene
        self.address = ADDRESSES[client]
        self.wire = Wire(scene.loop, HOSTS[client], self._written)
        self._position = 0  # Where the next head begins that has no answer yet.
        self.answers: list[Answer] = []

    @property
    def waits(self) -> bool:
        """Whether something that was sent should have an answer by now, and has none."""
        if self.wire.closing or (self.answers and self.answers[-1].is_last):
            return False
        return not self.wire.has_all or b"\r\n\r\n" in self.wire.arrived[self._position :]

    def _written(self, data: bytes) -> None:
        while data:
            head = self._next_head()
            answer, rest = answers.read(data, to_head=head is not None and head[:5] == b"HEAD ")
            if self.answers and self.answers[-1].is_last:
                raise BrokenRuleError("an answer after the last one")
            self.answers.append(answer)
            self._scene.judge(self.address, head, answer, data[: len(data) - len(rest)])
            data = rest

    def _next_head(self) -> bytes | None:
        """Take the head that comes next; None where what is there can never be one."""
        end = self.wire.arrived.find(b"\r\n\r\n", self._position)
        if end < 0:
            return None
        start, self._position = self._position, end + 4
        return bytes(self.wire.arrived[start : self._position])


class Scene:
    """One script, played. See `play`."""

    def __init__(self, loop: Loop, make: Callable[[Cache], MetadataEndpoint]) -> None:
        self.loop = loop
        self._clock = FakeClock(START)
        cache = Cache()
        self._endpoint = make(cache)
        self._server = Server(self._endpoint, cache, self._clock, _RULES)
        self._world = World(self._endpoint, cache)
        self._lines: dict[int, list[Line]] = {}
        self._client = 0
        self._sent = 0
        self._piece = bytearray()
        self._nonces = itertools.count()

    async def play(self, script: bytes) -> None:
        """Play *script* to its end.

        Raises: BrokenRuleError, and whatever the endpoint raises.
        """
        self.loop.set_exception_handler(self._note)
        self._problems: list[BaseException] = []
        played = list(steps(script))
        async with self._server.serving([]):
            self._world.begin(self._now)
            if not played or played[0].kind is not Kind.UNSYNCED:
                self._world.sync(self._now)
            for step in played:
                await self._take(step)
            self._flush()
            await self._finish()
        await turns()
        self._raise()
        if self._server.open_connections or self._endpoint.held_requests:
            raise BrokenRuleError("something is left of a connection that is gone")

    @property
    def _now(self) -> datetime:
        return self._clock.now()

    @property
    def _address(self) -> Address:
        return ADDRESSES[self._client]

    @property
    def _line(self) -> Line:
        """The connection in use, opened where there is none."""
        lines = self._lines.setdefault(self._client, [])
        if not lines:
            lines.append(self._opened(self._client))
        return lines[-1]

    async def _take(self, step: Step) -> None:
        if step.kind in SENT:
            self._piece += self._text(step)[: MOST_BYTES - self._sent - len(self._piece)]
            return
        self._flush()
        self._happen(step)
        await turns()
        self._raise()

    def _text(self, step: Step) -> bytes:
        match step.kind:
            case Kind.LITERAL:
                return bytes([step.number])
            case Kind.FILL:
                return b"a" * 64 * step.number
            case Kind.OWN_TOKEN:
                return self._token(self._address)
            case Kind.OTHER_TOKEN:
                return self._token(ADDRESSES[step.number % len(HOSTS)])
            case Kind.REPEAT:
                # What came after the last request but one.
                start = self._piece.rfind(b"\r\n\r\n", 0, max(0, len(self._piece) - 4))
                last = bytes(self._piece[start + 4 if start >= 0 else 0 :])
                return last * min(step.number, 1 + MOST_BYTES // max(1, len(last)))
            case _:
                return step.data

    def _token(self, address: Address) -> bytes:
        key = self._world.token_key
        if key is None:
            return b"none"
        nonce = next(self._nonces).to_bytes(tokens.NONCE_SIZE, "big")
        lasts = timedelta(minutes=1)
        token = tokens.issue(key, address, lasts, self._now, nonce)
        self._world.gave(address, token, self._now + lasts)
        return token

    def _flush(self) -> None:
        if self._piece:
            self._sent += len(self._piece)
            piece = bytes(self._piece)
            self._piece.clear()
            self._line.wire.send(piece)

    def _happen(self, step: Step) -> None:  # noqa: C901 - one case for each kind
        match step.kind:
            case Kind.END:
                self._line.wire.end()
            case Kind.WAIT:
                self._pass_time(step.number * _PAUSE)
            case Kind.LONG_WAIT:
                self._pass_time(timedelta(minutes=step.number))
            case Kind.STOP_READING:
                self._line.wire.stop_reading()
            case Kind.READ:
                self._line.wire.read()
            case Kind.SWITCH:
                self._client = step.number % len(HOSTS)
            case Kind.CHANGE:
                other = ADDRESSES[(self._client + 1 + step.number // 64) % len(HOSTS)]
                self._world.change(step.number, self._address, other, self._now)
            case Kind.RESET:
                self._line.wire.reset()
            case Kind.CONNECT:
                if sum(map(len, self._lines.values())) < MOST_LINES:
                    line = self._opened(self._client)
                    self._lines.setdefault(self._client, []).append(line)
            case _:
                pass

    def _opened(self, client: int) -> Line:
        line = Line(self, client)
        line.wire.open(Connection(self._server.state))
        return line

    def _pass_time(self, by: timedelta) -> None:
        self._clock.advance(by)
        self.loop.pass_time(by.total_seconds())

    async def _finish(self) -> None:
        """See that nobody waits for ever, and that everybody is served as ever after it all."""
        lines = [line for several in self._lines.values() for line in several]
        for line in lines:
            line.wire.read()
        await turns()
        # A hundred at once are read of one connection, and each may be held.
        for _ in range(_MOST_HOLDS):
            if not any(line.waits for line in lines):
                break
            self._pass_time(_HOLD)
            await turns(10)
        self._raise()
        if any(line.waits for line in lines):
            raise BrokenRuleError("a request without an answer")
        for line in lines:
            line.wire.reset()
        await turns()
        await self._ask_plainly()

    async def _ask_plainly(self) -> None:
        """Ask as an SDK does, from everywhere: whoever is entitled is served at once."""
        lines = [self._opened(client) for client in range(len(HOSTS))]
        for line in lines:
            token = b"X-aws-ec2-metadata-token: " + self._token(line.address)
            head = (b"GET /latest" + ROLES + b"/ HTTP/1.1", b"Host: 169.254.169.254", token)
            line.wire.send(b"\r\n".join([*head, b"", b""]))
        await turns()
        self._raise()
        for line in lines:
            statuses = [answer.status for answer in line.answers]
            if self._world.entitlement(line.address, self._now) and statuses != [200]:
                raise BrokenRuleError(f"an entitled pod is told {statuses}")
            line.wire.reset()

    def judge(self, address: Address, head: bytes | None, answer: Answer, data: bytes) -> None:
        """Raise BrokenRuleError where *answer* is none that *address* may have to *head* now."""
        judge(self._world, Case(address, head, answer, data, self._now))

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._problems.append(
            error
            if isinstance(error, BaseException)
            else BrokenRuleError(str(context.get("message")))
        )

    def _raise(self) -> None:
        if self._problems:
            raise self._problems[0]


def play(
    script: bytes, loop: Loop, make: Callable[[Cache], MetadataEndpoint] = MetadataEndpoint
) -> None:
    """Play *script* on *loop*, which is free by then for another one, to the endpoint of *make*."""

    async def played() -> None:
        await Scene(loop, make).play(script)

    loop.run_until_complete(played())
