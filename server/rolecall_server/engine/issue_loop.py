"""The loop that issues what is due, and reports to the broker how it went."""

import asyncio
import logging

from rolecall_common.clock import Clock
from rolecall_proto.values import Reason
from rolecall_server.engine.broker import Broker
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import IssueError, Issuer, RefusedError
from rolecall_server.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class IssueLoop:
    """Issues what the broker says is due, one task per identity, detached from whoever asked."""

    def __init__(self, broker: Broker, issuer: Issuer, clock: Clock, metrics: Metrics) -> None:
        self._broker = broker
        self._issuer = issuer
        self._clock = clock
        self._metrics = metrics
        self._changed = asyncio.Event()
        # State, not signal: a wake-up only means "ask again", so that a missed one loses nothing.
        broker.wake_issue_loop = self._changed.set

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                now = self._clock.now()
                for identity in self._broker.due(now):
                    tasks.create_task(self._issue(identity), name=f"issue {identity.role_arn}")
                await self._clock.wait_until(self._changed, self._broker.next_moment(now))

    async def _issue(self, identity: Identity) -> None:
        try:
            issued = await self._issuer.issue(identity)
        except IssueError as error:
            self._broker.failed(identity, error, self._clock.now())
        except asyncio.CancelledError as error:
            if _is_ending():
                raise
            # Something below was cancelled, and not this call: nobody else would report it.
            self._report_bug(identity, error)
        except Exception as error:  # noqa: BLE001 - see below
            # One of the two boundaries: no answer of STS stops a loop. This identity is
            # refused with reason "bug" and asked for again; every other one is served on.
            self._report_bug(identity, error)
        else:
            self._broker.issued(identity, issued, self._clock.now())

    def _report_bug(self, identity: Identity, error: BaseException) -> None:
        self._metrics.bugs.add("issue")
        session = identity.session_id
        log.error("a bug while issuing", exc_info=error, extra={"session": session})
        explanation = "an unforeseen error; the server's log has its traceback"
        self._broker.failed(identity, RefusedError(Reason.BUG, explanation), self._clock.now())


def _is_ending() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
