"""Events on pods: what `kubectl describe pod` shows of a role that is not given."""

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from rolecall_common.backoff import Backoff
from rolecall_common.clock import Clock
from rolecall_proto.values import Reason
from rolecall_server.kube.api import Api, ApiError, RejectedError, UnavailableError
from rolecall_server.kube.events.event_object import Cause, name_of, new_event, note_of, repeats
from rolecall_server.kube.events.series import EventSeries, Write
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError
from rolecall_server.model.pods import Pod
from rolecall_server.settings.cluster import EventReasons
from rolecall_server.telemetry.event_reasons import EVENT_REASONS, KIAM_WORDS, Dropped, EventReason
from rolecall_server.telemetry.journal import Why
from rolecall_server.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

_AGAIN = Backoff(timedelta(seconds=1), timedelta(minutes=1))
# An answer that nobody mends is logged again after so long.
_WARNED_AGAIN = timedelta(hours=1)
_UNAUTHORIZED = 401
# How the API server words a 403 that is no lack of rights. Its text may end before that where the
# Event's name is very long: then the namespace is left alone, which costs nobody anything.
_TERMINATING = "because it is being terminated"


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports, and in which words."""

    instance: str  # The name of this server's pod; outside of a cluster, of its host.
    words: EventReasons = EventReasons.ROLECALL


class EventRecorder:
    """A journal that tells a pod's owner, on the pod, why there are no credentials.

    To hear costs no I/O; `run` does the writing. There is no Event of anything that went well, and
    none of a remark on a pod that is served (see EVENT_REASONS).
    """

    def __init__(
        self, api: Api, reporter: Reporter, clock: Clock, dice: random.Random, metrics: Metrics
    ) -> None:
        self._api = api
        self._words = KIAM_WORDS if reporter.words is EventReasons.KIAM else {}
        self._instance = reporter.instance
        self._clock = clock
        self._dice = dice
        self._metrics = metrics
        self._series = EventSeries(metrics.events_dropped.add)
        self._changed = asyncio.Event()
        self._failures = 0  # In a row.
        self._warned_at: dict[int, datetime] = {}  # When a status was logged last.

    def denied(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self._observe(pod, EVENT_REASONS[reason], sentence)

    def warned(self, pod: Pod, reason: Reason, sentence: str) -> None:
        # The same reason may be a denial elsewhere: what is only warned of is no denial.
        if reason is Reason.HOST_NETWORK_UNSUPPORTED:
            self._observe(pod, EVENT_REASONS[reason], sentence)

    def refused(self, pod: Pod, reason: Reason, sentence: str) -> None:
        self._observe(pod, EVENT_REASONS[reason], sentence)

    def issued(self, identity: Identity, issued: Issued, why: Why, waited: timedelta) -> None:
        pass

    def failed(self, identity: Identity, error: IssueError) -> None:
        pass

    def quarantined(self, kind: str, key: str, reason: str) -> None:
        pass

    def bug(self, kind: str, key: str, error: Exception) -> None:
        pass

    async def run(self) -> NoReturn:
        """Write until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock.now()
            if (write := self._series.take(now)) is not None:
                await self._write(write)
            else:
                await self._clock.wait_until(self._changed, self._series.next_moment(now))

    def _observe(self, pod: Pod, reason: EventReason | None, sentence: str) -> None:
        if reason is None:
            return
        called = self._words.get(reason, reason)
        cause = Cause(pod.uid, pod.namespace, pod.name, called, note_of(sentence))
        self._series.observe(cause, self._clock.now())
        self._changed.set()

    async def _write(self, write: Write) -> None:
        try:
            await self._send(write)
        except UnavailableError as error:
            self._series.postponed(write)
            await self._pause(error, error.retry_after)
        except RejectedError as error:
            if error.status == _UNAUTHORIZED:
                # The next try reads the server's own token anew.
                self._series.postponed(write)
                await self._pause(error)
            else:
                self._rejected(write, error)
        else:
            self._answered()
            self._series.written(write, self._clock.now())
            self._metrics.events.add(write.series.cause.reason)

    async def _send(self, write: Write) -> None:
        series = write.series
        events = f"/apis/events.k8s.io/v1/namespaces/{series.cause.namespace}/events"
        if series.exists:
            await self._api.send("PATCH", f"{events}/{name_of(series.cause)}", repeats(series))
        else:
            await self._api.send("POST", events, new_event(series, self._instance))

    def _answered(self) -> None:
        if self._failures:
            self._failures = 0
            log.info("the API server answers again to Events")

    async def _pause(self, error: ApiError, asked: timedelta | None = None) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("Events cannot be written at present", extra={"reason": str(error)})
        delay = _AGAIN.delay(self._failures, self._dice)
        await self._clock.sleep(max(delay, asked or delay))

    def _rejected(self, write: Write, error: RejectedError) -> None:
        self._answered()
        exists = write.series.exists
        match error.status:
            case 409 if not exists:
                self._series.already_exists(write)
            case 404 if exists:
                self._series.not_found(write)
            case 404:
                self._series.give_up(Dropped.NAMESPACE_GONE)
            case 403 if _TERMINATING in str(error):
                self._series.give_up(Dropped.NAMESPACE_GONE)
            case 403:
                self._series.hold(write.series.cause.namespace, self._clock.now())
                self._series.give_up(Dropped.FORBIDDEN)
                self._warn(write, error, "Events may not be written: a right is missing")
            case _:
                self._series.give_up(Dropped.REJECTED)
                self._warn(write, error, "the API server does not take an Event")

    def _warn(self, write: Write, error: RejectedError, what: str) -> None:
        now, warned_at = self._clock.now(), self._warned_at.get(error.status)
        if warned_at is not None and now - warned_at < _WARNED_AGAIN:
            return
        self._warned_at[error.status] = now
        fields = {
            "verb": "patch" if write.series.exists else "create",
            "resource": "events.events.k8s.io",
            "namespace": write.series.cause.namespace,
            "reason": str(error),
        }
        log.warning(what, extra=fields)
