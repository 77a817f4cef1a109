"""Events on pods, from what the broker tells to what the API server is sent."""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Literal

import pytest

from fakes.clock import START, FakeClock
from fakes.engine import NODE, Engine, issued, pod
from rolecall_proto.values import Reason
from rolecall_server.kube.api import NO_QUERY, ApiError, Query, RejectedError, UnavailableError
from rolecall_server.kube.events.fair_queue import HOLD
from rolecall_server.kube.events.recorder import EventRecorder, Reporter
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import RefusedError
from rolecall_server.model.pods import Namespace
from rolecall_server.model.source import NamespaceChanged
from rolecall_server.settings.cluster import EventReasons
from rolecall_server.telemetry.journal import Why
from rolecall_server.telemetry.metrics import Metrics

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ANSWERED = b"{}"
RIGHTLESS = (
    'events.events.k8s.io is forbidden: User "system:serviceaccount:rolecall:server" cannot create '
    'resource "events" in API group "events.k8s.io" in the namespace "team"'
)
TERMINATING = "unable to create new content in namespace team because it is being terminated"


class EventStore:
    """An API server that keeps Events as the real one does, and fails when a test says so."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.errors: deque[ApiError] = deque()  # What the next calls meet.
        self._called = asyncio.Condition()

    async def send(self, method: Literal["POST", "PATCH"], path: str, body: object) -> bytes:
        assert isinstance(body, dict)
        async with self._called:
            self.calls.append((method, path))
            self._called.notify_all()
        if self.errors:
            raise self.errors.popleft()
        if method == "PATCH":
            if path not in self.events:
                raise RejectedError(404, "not found")
            self.events[path] |= body
            return ANSWERED
        path = f"{path}/{body['metadata']['name']}"
        if path in self.events:
            raise RejectedError(409, "already exists")
        self.events[path] = dict(body)
        return ANSWERED

    async def until_called(self, times: int) -> None:
        async with asyncio.timeout(30), self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)
        await settled()

    async def get(self, path: str, query: Query = NO_QUERY) -> bytes:
        raise AssertionError(f"Events read nothing, and so not {path} {query}")

    def watch(
        self, path: str, query: Query = NO_QUERY
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise AssertionError(f"Events watch nothing, and so not {path} {query}")


class Rig:
    """Events that are being written to a store."""

    def __init__(self, words: EventReasons = EventReasons.ROLECALL) -> None:
        self.clock, self.store, self.metrics = FakeClock(), EventStore(), Metrics()
        dice = random.Random(1)  # noqa: S311 - only jitter
        reporter = Reporter("server-1", words)
        self.events = EventRecorder(self.store, reporter, self.clock, dice, self.metrics)

    def deny(self, name: str = "web", reason: Reason = Reason.NAMESPACE_FORBIDS) -> None:
        self.events.denied(pod(name), reason, f"{name} may not")

    @property
    def told(self) -> list[tuple[str, str, str, int]]:
        """What the store has: pod, reason, note and count of each Event."""
        return [
            (
                each["regarding"]["name"],
                each["reason"],
                each["note"],
                each.get("series", {"count": 1})["count"],
            )
            for each in self.store.events.values()
        ]

    async def pass_time(self, by: timedelta) -> None:
        await self.clock.asleep()
        self.clock.advance(by)
        await settled()


async def settled() -> None:
    """Let every task get on until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(rig: Rig) -> AsyncGenerator[Rig]:
    loop = asyncio.create_task(rig.events.run())
    try:
        yield rig
    finally:
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop


async def test_a_denial_is_an_event_on_the_pod() -> None:
    """In the pod's namespace, by the pod's uid, with the sentence that the log has."""
    async with running(Rig()) as rig:
        rig.deny()
        await rig.store.until_called(1)

    (path, event), *others = rig.store.events.items()
    assert not others
    assert path.startswith("/apis/events.k8s.io/v1/namespaces/team/events/web.")
    assert event["metadata"]["namespace"] == "team"
    assert event["regarding"]["uid"] == "uid-web"
    assert event["reportingInstance"] == "server-1"
    assert rig.told == [("web", "RoleDenied", "web may not", 1)]
    assert rig.metrics.events.value("RoleDenied") == 1


async def test_each_kind_of_no_has_its_reason() -> None:
    """Malformed, refused by STS, and a pod on the host network."""
    async with running(Rig()) as rig:
        rig.events.denied(pod("a"), Reason.ROLE_MALFORMED, "what is this")
        rig.events.refused(pod("b"), Reason.ACCESS_DENIED, "STS says no")
        rig.events.warned(pod("c"), Reason.HOST_NETWORK_UNSUPPORTED, "is on the host network")
        await rig.store.until_called(3)

    assert [told[:2] for told in rig.told] == [
        ("a", "RoleMalformed"),
        ("b", "RoleNotAssumable"),
        ("c", "HostNetworkUnsupported"),
    ]


async def test_in_kiams_words_the_reasons_are_kiams() -> None:
    """Whoever has alerts on them keeps them."""
    async with running(Rig(EventReasons.KIAM)) as rig:
        rig.events.denied(pod("a"), Reason.NAMESPACE_FORBIDS, "forbidden")
        rig.events.refused(pod("b"), Reason.ACCESS_DENIED, "STS says no")
        await rig.store.until_called(2)

    assert [told[1] for told in rig.told] == ["KiamRoleForbidden", "KiamCredentialError"]
    assert rig.metrics.events.value("KiamRoleForbidden") == 1


async def test_no_event_says_that_all_is_well() -> None:
    """Neither success, nor a remark on a pod that is served, nor what no pod is known of."""
    reader = Identity("arn:aws:iam::111122223333:role/reader", "team.app", timedelta(hours=1))
    async with running(Rig()) as rig:
        rig.events.issued(reader, issued(1, START), Why.NEW, SECOND)
        rig.events.failed(reader, RefusedError(Reason.ACCESS_DENIED, "no"))
        rig.events.warned(pod("web"), Reason.NAMESPACE_FORBIDS, "would be denied")
        rig.events.warned(pod("web"), Reason.TAGS_IGNORED, "tags are ignored")
        rig.events.quarantined("Pod", "uid-web", "unreadable")
        rig.events.bug("Pod", "uid-web", ValueError("strange"))
        rig.events.denied(pod("web"), Reason.NAMESPACE_GONE, "the namespace is gone")
        await rig.clock.asleep()

    assert rig.store.calls == []


async def test_a_repeat_is_a_series_of_the_same_event() -> None:
    """The first is created, the second changes it."""
    async with running(Rig()) as rig:
        rig.deny()
        await rig.store.until_called(1)
        rig.clock.advance(MINUTE)
        rig.deny()
        await rig.store.until_called(2)

    assert [method for method, _ in rig.store.calls] == ["POST", "PATCH"]
    assert rig.told == [("web", "RoleDenied", "web may not", 2)]
    (event,) = rig.store.events.values()
    assert event["eventTime"] == "2030-01-01T00:00:00.000000Z"
    assert event["series"]["lastObservedTime"] == "2030-01-01T00:01:00.000000Z"


async def test_a_server_that_is_started_anew_goes_on_with_what_is_there() -> None:
    """A roll-out of the servers does not double the Events of all pods."""
    former, rig = Rig(), Rig()
    async with running(former):
        former.deny()
        await former.store.until_called(1)
    rig.store.events = former.store.events
    async with running(rig):
        rig.deny()
        await rig.store.until_called(2)

    assert rig.told == [("web", "RoleDenied", "web may not", 2)]


async def test_an_event_that_has_expired_is_written_anew() -> None:
    """The API server deletes Events after an hour, whatever they say."""
    async with running(Rig()) as rig:
        rig.deny()
        await rig.store.until_called(1)
        rig.store.events.clear()
        rig.clock.advance(timedelta(hours=2))
        rig.deny()
        await rig.store.until_called(3)

    assert rig.told == [("web", "RoleDenied", "web may not", 1)]
    (event,) = rig.store.events.values()
    assert event["eventTime"] == "2030-01-01T02:00:00.000000Z"


@pytest.mark.parametrize(
    "error", [RejectedError(404, "namespaces team not found"), RejectedError(403, TERMINATING)]
)
async def test_a_namespace_that_goes_takes_its_event_along(error: RejectedError) -> None:
    """Nobody could read it there: it is counted, and the next one is written."""
    async with running(Rig()) as rig:
        rig.store.errors.append(error)
        rig.deny("web")
        rig.deny("db")
        await rig.store.until_called(2)

    assert [told[0] for told in rig.told] == ["db"]
    assert rig.metrics.events_dropped.value("namespace_gone") == 1


async def test_an_outage_loses_nothing_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, less and less often, and what happened meanwhile is written, too."""
    caplog.set_level(logging.INFO, logger="rolecall_server.kube.events.recorder")
    async with running(Rig()) as rig:
        rig.store.errors.extend(UnavailableError("no answer") for _ in range(3))
        rig.deny("web")
        await rig.store.until_called(1)
        rig.deny("db")
        for calls, pause in enumerate((SECOND, 2 * SECOND, 4 * SECOND), start=2):
            await rig.pass_time(pause)
            await rig.store.until_called(calls)
        await rig.store.until_called(5)

    assert sorted(told[0] for told in rig.told) == ["db", "web"]
    assert caplog.messages == [
        "Events cannot be written at present",
        "the API server answers again to Events",
    ]


async def test_an_api_server_that_asks_for_time_gets_it() -> None:
    """Retry-After is longer than our own patience would be."""
    async with running(Rig()) as rig:
        rig.store.errors.append(UnavailableError("too many", retry_after=30 * SECOND))
        rig.deny()
        await rig.store.until_called(1)
        await rig.pass_time(29 * SECOND)
        early = len(rig.store.calls)
        await rig.pass_time(SECOND)
        await rig.store.until_called(2)

    assert early == 1
    assert rig.told


async def test_own_credentials_that_are_refused_are_tried_again() -> None:
    """The token was rotated in this moment; the next call reads it anew."""
    async with running(Rig()) as rig:
        rig.store.errors.append(RejectedError(401, "Unauthorized"))
        rig.deny()
        await rig.store.until_called(1)
        await rig.pass_time(SECOND)
        await rig.store.until_called(2)

    assert rig.told


async def test_a_missing_right_is_said_once_and_tried_again_after_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line says which right it is; what waits is written once it is given."""
    async with running(Rig()) as rig:
        rig.store.errors.extend(RejectedError(403, RIGHTLESS) for _ in range(2))
        for name in ("a", "b", "c"):
            rig.deny(name)
        await rig.store.until_called(1)
        for calls in (2, 3):
            await rig.pass_time(HOLD)
            await rig.store.until_called(calls)

    (record,) = caplog.records
    assert record.message == "Events may not be written: a right is missing"
    assert vars(record)["verb"] == "create"
    assert vars(record)["resource"] == "events.events.k8s.io"
    assert [told[0] for told in rig.told] == ["c"]
    assert rig.metrics.events_dropped.value("forbidden") == 2


async def test_an_event_that_the_api_does_not_take_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said, counted, and not tried again."""
    async with running(Rig()) as rig:
        rig.store.errors.append(RejectedError(422, "is invalid"))
        rig.deny("web")
        rig.deny("db")
        await rig.store.until_called(2)

    assert [told[0] for told in rig.told] == ["db"]
    assert rig.metrics.events_dropped.value("rejected") == 1
    assert caplog.messages == ["the API server does not take an Event"]


async def test_a_burst_is_written_at_the_budgets_pace() -> None:
    """A hundred at once, and ten a second: no storm."""
    async with running(Rig()) as rig:
        for number in range(300):
            rig.deny(f"pod-{number}")
        await rig.store.until_called(100)
        at_once = len(rig.store.calls)
        for _ in range(15):
            await rig.pass_time(timedelta(milliseconds=101))

    assert at_once == 100
    assert 110 <= len(rig.store.calls) <= 116


async def test_the_broker_tells_both_its_journals() -> None:
    """A pod that is denied while its node is connected has an Event, and only then."""
    rig = Rig()
    engine = Engine(journals=[rig.events])
    engine.list_pods(pod("web", "admin"), pod("far", "admin", node="elsewhere"))
    async with running(rig):
        engine.connect(NODE)
        engine.apply(NamespaceChanged(Namespace("team", permitted="")))
        await rig.store.until_called(1)

    assert [line[0] for line in engine.journal.about("denied")] == ["web"]
    assert [told[:2] for told in rig.told] == [("web", "RoleDenied")]
