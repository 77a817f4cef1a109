"""The fake STS as a server on a loopback socket."""

import asyncio
import functools
import ssl
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Self

from fakes.sts import account, signature
from fakes.sts.faults import DROPPED, SILENT, Answer, Cut, Fault, Scripted
from fakes.sts.http import Connection
from fakes.sts.mint import Mint
from fakes.sts.principals import Key, Role
from fakes.sts.query import read_action, read_form
from fakes.sts.refusal import RefusalError
from fakes.sts.remote import control
from fakes.sts.signature import Request
from fakes.sts.throttle import Throttle
from rolecall_common.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the call log. *outcome* is `ok`, an error code, or the fault's name."""

    at: datetime
    action: str
    outcome: str
    role_arn: str | None
    session_name: str | None
    access_key_id: str | None
    request_id: str


class FakeSts:
    """A strict STS. `async with FakeSts(...) as sts: sts.url`.

    Everything public may be changed while it runs. With *region* None any region may be signed for.
    """

    def __init__(  # noqa: PLR0913 (each is a knob of its own, all with defaults)
        self,
        *keys: Key,  # The base credentials, at least one.
        roles: tuple[Role, ...] = (),
        any_role: bool = False,
        clock: Clock | None = None,
        region: str | None = None,
        token_length: int = 800,
        seed: int = 0,
        canary: str = "",  # What every secret begins with.
    ) -> None:
        self.account = account.Account(Mint(seed, token_length, canary))
        self.account.keys.update({key.access_key_id: key for key in keys})
        self.account.roles.update({role.arn: role for role in roles})
        self.account.any_role = any_role
        self.calls: list[Call] = []
        self.counts: Counter[str] = Counter()
        self.latency = timedelta()
        self.throttle: Throttle | None = None
        # Every connection ends without an answer while this is set.
        self.outage = False
        self.url = ""
        self._region = region
        self._clock = clock or SystemClock()
        self._script: list[Scripted] = []
        self._server: asyncio.Server | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()

    def script(self, fault: Fault, *, times: int | None = 1, role_arn: str | None = None) -> None:
        """Let *fault* befall the next *times* calls (None: all), in the order of scripting."""
        self._script.append(Scripted(fault, times, role_arn))

    def clear(self) -> None:
        """Take back every fault, the outage included."""
        self._script.clear()
        self.outage = False

    def calls_of(self, action: str, role_arn: str | None = None) -> list[Call]:
        return [
            call
            for call in self.calls
            if call.action == action and role_arn in (None, call.role_arn)
        ]

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, host, port, ssl=tls, backlog=1024)
        bound = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{bound}"

    async def close(self) -> None:
        """End every connection, and every answer that is still on its way."""
        if self._server is not None:
            self._server.close()
        for task in self._answers:
            task.cancel()
        for connection in self._connections:
            connection.close()

    def _connect(self) -> Connection:
        connection = Connection(self._receive)
        self._connections.add(connection)
        return connection

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _receive(self, request: Request, connection: Connection) -> None:
        if request.path.startswith("/_fake"):
            connection.reply(*control(self, request), {"Content-Type": "application/json"})
            return
        if self.outage:
            connection.cut(DROPPED)
            return
        now = self._clock.now()
        form = read_form(request.body)
        request_id = self.account.mint.request_id()
        fault = self._fault(form.get("RoleArn"))
        status, body, outcome, key_id = self._judged(request, form, request_id, fault, now)
        headers = self._headers(request_id, now)
        if isinstance(fault, Answer):
            status, body, headers, outcome = fault.status, fault.body, fault.headers, "answer"
        elif isinstance(fault, Cut):
            outcome = fault.name
        self._log(now, form, outcome, key_id, request_id)
        if fault is SILENT:
            return
        if isinstance(fault, Cut):
            self._after_latency(functools.partial(connection.cut, fault))
        else:
            self._after_latency(functools.partial(connection.reply, status, body, headers))

    def _after_latency(self, act: Callable[[], None]) -> None:
        if not self.latency:
            act()
            return
        task = asyncio.get_running_loop().create_task(
            self._later(act), name="an answer of the fake"
        )
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _later(self, act: Callable[[], None]) -> None:
        await self._clock.sleep(self.latency)
        act()

    def _judged(
        self,
        request: Request,
        form: Mapping[str, str],
        request_id: str,
        fault: Fault | None,
        now: datetime,
    ) -> tuple[int, bytes, str, str | None]:
        try:
            text, key_id = self._answer(request, form, request_id, fault, now)
        except RefusalError as error:
            return error.status, error.xml(request_id).encode(), error.code, None
        return 200, text.encode(), "ok", key_id

    def _answer(
        self,
        request: Request,
        form: Mapping[str, str],
        request_id: str,
        fault: Fault | None,
        now: datetime,
    ) -> tuple[str, str]:
        key = self._authenticated(request, now)
        action = read_action(request, form)
        if self.throttle is not None and not self.throttle.admits(now):
            raise RefusalError(400, "Throttling", "Rate exceeded")
        if fault is not None and not isinstance(fault, Cut | Answer):
            raise fault.error()
        result = (
            self.account.assume_role(form, key.principal, now)
            if action == "AssumeRole"
            else account.caller_identity(key.principal)
        )
        return account.answer(action, result, request_id), key.access_key_id

    def _authenticated(self, request: Request, now: datetime) -> Key:
        if request.has_doubled_header:
            raise RefusalError(400, "IncompleteSignature", "A header is doubled")
        claim = signature.read_claim(request.headers, self._region)
        key = self.account.key_of(claim, request.headers, now)
        signature.verify(claim, request, key.secret, now)
        return key

    def _fault(self, role_arn: str | None) -> Fault | None:
        for entry in self._script:
            if entry.is_for(role_arn):
                if not entry.use():
                    self._script.remove(entry)
                return entry.fault
        return None

    def _log(
        self,
        at: datetime,
        form: Mapping[str, str],
        outcome: str,
        key_id: str | None,
        request_id: str,
    ) -> None:
        action = form.get("Action", "")
        self.counts[f"{action}:{outcome}"] += 1
        self.calls.append(
            Call(
                at,
                action,
                outcome,
                form.get("RoleArn"),
                form.get("RoleSessionName"),
                key_id,
                request_id,
            )
        )

    def _headers(self, request_id: str, now: datetime) -> dict[str, str]:
        return {
            "x-amzn-RequestId": request_id,
            "Content-Type": "text/xml",
            "Date": _http_date(now.replace(microsecond=0)),
        }


@functools.lru_cache(maxsize=2)
def _http_date(now: datetime) -> str:
    return format_datetime(now, usegmt=True)
