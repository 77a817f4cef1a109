"""Keeps the rules in place: looks, compares, repairs, and reports its condition.

One reconciliation reads all that the node has of ours, and changes what is not as it should be.
They follow one another: each period, and whenever the kernel tells of a change. On its way out a
warden leaves everything as it is.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from rolecall_common import file_pages
from rolecall_common.heartbeat_file import Condition, Heartbeat, HeartbeatFile
from rolecall_warden import routing, rules, table_comments
from rolecall_warden.desired_rules import WAITING, DesiredRules
from rolecall_warden.kernel import Kernel
from rolecall_warden.liveness import AbsenceTimer
from rolecall_warden.ownership import Ownership, compare
from rolecall_warden.routing import Family
from rolecall_warden.rules import Ruleset
from rolecall_warden.settings import Address, Settings
from rolecall_warden.table_comments import TableComments
from rolecall_warden.tools import RefusedError
from rolecall_warden.traffic import Traffic

log = logging.getLogger(__name__)

# Between two of them at the least, whatever the kernel tells: a storm of changes costs little.
_PAUSE = timedelta(milliseconds=500)
# So many without a sign of another warden, and it is gone; one that is started anew is back.
_PERIODS = 2


class Warden:
    """Owns the rules of one node."""

    def __init__(
        self,
        settings: Settings,
        kernel: Kernel,
        *,
        ipv6: bool,
        holder: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """*holder* is the name by which this warden is seen to live; "" for one that ends."""
        self._settings = settings
        self._kernel = kernel
        self._families = (Family.IPV4, Family.IPV6) if ipv6 else (Family.IPV4,)
        led = settings.redirecting
        endpoints: set[Address] = {led.endpoint_ipv4}
        self._endpoints = frozenset(endpoints | {led.endpoint_ipv6} if ipv6 else endpoints)
        self._more = frozenset(each for each in led.more_addresses if ipv6 or each.version == 4)  # noqa: PLR2004 - IPv4
        self._desired = DesiredRules(settings, time.time, holder)
        self._monotonic = monotonic
        self._absence = AbsenceTimer(_PERIODS * settings.keeping.check_period, monotonic)
        self._expected: str | None = None
        self._first_seen: str | None = None
        self._begun = False
        self.repairs = 0
        self.traffic = Traffic()
        self._blocked = ""
        self.reason = ""  # Why it has not put all that it would.

    async def reconcile(self) -> Condition:
        """Read what there is, and put right what is not. Raises RefusedError.

        The guards come before the redirect, and stale connections are deleted after both.
        """
        listing = await self._kernel.table()
        self._update_desired(listing)
        condition, lacking = self._decide(listing)
        changed = await self._repair(condition, lacking)
        if changed and self._begun:
            self.repairs += 1
            log.warning("repaired", extra={"what": changed, "repairs": self.repairs})
        self._begun = True
        return await self._observe() if condition is Condition.IN_PLACE else condition

    async def _observe(self) -> Condition:
        """Look whether pods come to the endpoints by the rules that are in place."""
        counts = await self._kernel.counts()
        if counts is not None:
            self.traffic.take(counts, self._monotonic())
        blocked = "; ".join(self.traffic.blocked(self._monotonic()).values())
        if blocked and blocked != self._blocked:
            log.error("pods are kept from an endpoint", extra={"reason": blocked})
        elif self._blocked and not blocked:
            log.info("pods are kept from no endpoint any more")
        self._blocked = self.reason = blocked
        return Condition.BLOCKED if blocked else Condition.IN_PLACE

    def _decide(self, listing: str | None) -> tuple[Condition, Ruleset | None]:
        """Return whose turn it is, and the packet rules that are to be put there, if any."""
        there = table_comments.parse(listing or "")
        gone = self._absence.is_gone(there.holder if there else "")
        if there is not None and self._desired.leaves_alone(listing):
            self.reason = WAITING
            return Condition.WAITING, self._as_first_seen(listing, there, gone=gone)
        ownership = compare(listing, self._desired.ruleset.comments, self._expected, gone=gone)
        if ownership is Ownership.OTHERS:
            self._report_others(there)
            return Condition.SUPERSEDED, None
        if gone:
            log.warning("the warden that had the rules is gone", extra={"found": str(there)})
        self.reason = WAITING if self._desired.waits else ""
        lacking = self._desired.ruleset if ownership is Ownership.MISSING else None
        return Condition.WAITING if self._desired.waits else Condition.IN_PLACE, lacking

    def _as_first_seen(
        self, listing: str | None, there: TableComments, *, gone: bool
    ) -> Ruleset | None:
        """Keep another's rules for it while it is *gone*: its agent may be answering by them."""
        if self._first_seen is None or table_comments.parse(self._first_seen) != there:
            self._first_seen = listing
        damaged = self._first_seen is not None and listing != self._first_seen
        return rules.again(there, self._first_seen or "") if gone and damaged else None

    async def run(self, changed: asyncio.Event, file: HeartbeatFile) -> NoReturn:
        """Reconcile again and again, and write a heartbeat after each time.

        By the loop's own time: a wall clock that is set back keeps nobody from looking.
        """
        period = self._settings.keeping.check_period
        loop = asyncio.get_running_loop()
        while True:
            changed.clear()
            due = loop.time() + period.total_seconds()
            condition, text = await self._try_reconcile()
            # Until the next time it needs nothing of what it has read of itself from disk.
            file_pages.give_back()
            try:
                file.write(self._heartbeat(condition, text, self._monotonic()))
            except OSError as error:
                # The agent will see a stamp that grows old; the rules are kept all the same.
                log.error("the stamp cannot be written", extra={"reason": error.strerror})  # noqa: TRY400 - the reason is a field
            await asyncio.sleep(min(_PAUSE, period).total_seconds())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await changed.wait()

    async def _try_reconcile(self) -> tuple[Condition, str]:
        try:
            condition = await self.reconcile()
        except RefusedError as error:
            log.error("the rules cannot be kept", extra={"reason": str(error)})  # noqa: TRY400 - the reason is a field
            return Condition.FAILING, str(error)
        return condition, self.reason

    def _heartbeat(self, condition: Condition, text: str, at: float) -> Heartbeat:
        return Heartbeat(
            at=at,
            period=self._settings.keeping.check_period.total_seconds(),
            condition=condition,
            generation=self._desired.ruleset.comments.generation,
            repairs=self.repairs,
            dropped=self.traffic.dropped,
            lost=self.traffic.lost,
            blocked=tuple(self.traffic.blocked(at)) if condition is Condition.BLOCKED else (),
            text=text,
        )

    def _update_desired(self, listing: str | None) -> None:
        try:
            changed = self._desired.update(listing)
        except OSError as error:
            raise RefusedError(f"the generation cannot be kept: {error.strerror}") from error
        if changed:
            # What was put there is not what is to be there now, and what follows is no repair.
            self._expected, self._begun = None, False

    def _report_others(self, there: TableComments | None) -> None:
        whose = f"generation {there.generation if there else '?'}"
        if there is not None and there.is_of_another(self._settings.keeping.installation):
            whose = f"the installation {there.installation}"
        text = f"rules of {whose} are in place, and are not this warden's to touch"
        if text != self.reason:
            log.warning("another warden has the rules", extra={"found": str(there)})
        self.reason = text

    async def _repair(self, condition: Condition, lacking: Ruleset | None) -> list[str]:
        """Take every step, also after one that fails: one guard never depends on the other.

        Routing rules and addresses are every warden's: whoever has the packet rules may be gone.
        """
        is_ours = condition is Condition.IN_PLACE
        steps = [self._keep_routing(family, is_ours=is_ours) for family in self._families]
        steps.append(self._keep_addresses())
        if lacking is not None:
            steps.append(self._apply(lacking))
        changed: list[str] = []
        refusals: list[str] = []
        for step in steps:
            try:
                changed += await step
            except RefusedError as error:
                refusals.append(str(error))
        if refusals:
            raise RefusedError("; ".join(refusals))
        return changed

    async def _keep_addresses(self) -> list[str]:
        lacking = self._endpoints - await self._kernel.addresses("lo")
        # Somebody else may have made these on a link of their own, as EKS's agent does.
        lacking |= self._more - await self._kernel.addresses() if self._more else frozenset()
        missing = sorted(lacking, key=str)
        for each in missing:
            await self._kernel.batch([routing.address_line(each)], routing.family_of(each))
        return [f"address {each}" for each in missing]

    async def _keep_routing(self, family: Family, *, is_ours: bool) -> list[str]:
        found = await self._kernel.rules(family)
        if is_ours:
            lines = list(routing.changes(routing.wanted_rules(self._settings, family), found))
        else:
            # Of two wardens with two priorities one alone decides, or they would never end.
            wanted = routing.others_rules(self._settings, family, found)
            lines = list(routing.additions(wanted, found))
        await self._kernel.batch(lines, family)
        return lines

    async def _apply(self, ruleset: Ruleset) -> list[str]:
        """Put the table there, and remember how the kernel lists it."""
        await self._kernel.apply(ruleset)
        self.traffic.begin_anew()
        listing = await self._kernel.table()
        # Between the two somebody else may have been at it: then the next one puts it right.
        intact = listing is not None and rules.shape(listing) == rules.shape(ruleset.text)
        self._expected = listing if intact else ""
        await self._delete_stale_connections()
        return ["packet rules"]

    async def _delete_stale_connections(self) -> None:
        try:
            count = await self._kernel.delete_stale_connections(self._endpoints)
        except RefusedError as error:
            # They are stopped all the same, and hang until their clients lose patience.
            log.warning("stale connections are not deleted", extra={"reason": str(error)})
            return
        if count:
            log.info("stale connections are deleted", extra={"count": count})
