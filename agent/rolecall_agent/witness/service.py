"""The witness at work: kernel, bindings and state file, put together.

What the kernel has to say is taken in where it matters: before a connection is let in, before the
server's word is believed, and as soon as the loop turns. A pod that has got an address can open
no connection before the kernel has queued its message of it, so it is never taken for another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.changes import Changes
from rolecall_agent.witness.cni import Cni
from rolecall_agent.witness.cni_report import CniReporter
from rolecall_agent.witness.entries import NONE_YET, Claims, Query, Statistics
from rolecall_agent.witness.kernel import Kernel
from rolecall_agent.witness.observation import Doubt, Holder, Way
from rolecall_agent.witness.state_file import Scope, StateFile
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, Confirmation, PodUid

log = logging.getLogger(__name__)

SAVE_DELAY = timedelta(milliseconds=50)  # Changes of a roll-out are written together.

Changed = Callable[[Collection[Address]], None]


def _ignore(addresses: Collection[Address]) -> None: ...


@dataclass(frozen=True, slots=True)
class Report:
    """How the witness stands, for metrics."""

    bindings: Statistics = NONE_YET
    overruns: int = 0
    cni: Cni = Cni.UNKNOWN


class Witness:
    """Follows the kernel, and says whom it vouches for.

    Set *changed* and *moved* before anything happens: the first is told of addresses that stand for
    another pod now, or for none; the second of those that another link may have now: what is open
    there is somebody's who is gone.
    """

    def __init__(self, kernel: Kernel, bindings: Bindings, file: StateFile, clock: Clock) -> None:
        self.changed: Changed = _ignore
        self.moved: Changed = _ignore
        self._kernel = kernel
        self._bindings = bindings
        self._file = file
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()  # Time changes nothing.
        self._dirty = asyncio.Event()  # There may be something to save, or to wait for.
        self._overruns = 0
        self._reread()
        self._reporter = CniReporter(kernel, clock)

    @property
    def holders(self) -> Mapping[Address, Holder]:
        """Whom each address stands for; one and the same mapping for ever."""
        return self._bindings.holders

    @property
    def checks_each_request(self) -> bool:
        """Whether a connection can change hands while it is open, as it can behind a bridge."""
        return self._kernel.links.has_ports

    @property
    def cni(self) -> Cni:
        return self._reporter.cni

    def poll(self) -> None:
        """Take in what the kernel has to say, if anything. Cheap: one system call."""
        if self._kernel.has_changes:
            self._apply(self._kernel.read_changes())

    def claim(self, claims: Mapping[Address, Claims]) -> set[Address]:
        """Take in who has addresses, as the server says; return where it is another one now."""
        changed = set[Address]()
        for address, said in claims.items():
            unseen = self._bindings.observation(address) is None
            changed |= self._bindings.claim(address, said, self._clock.now())
            if unseen and said:
                changed |= self._look(address)
        self._dirty.set()
        self._schedule_tick()
        return changed

    def query(self, addresses: Iterable[Address]) -> Query:
        """Return which pods a server should read anew, because requests wait at *addresses*."""
        self.poll()
        return self._bindings.query(addresses)

    def answer(self, query: Query, read: Mapping[PodUid, Confirmation]) -> None:
        """Take in what was read for *query*."""
        self.poll()
        self._announce(self._bindings.answer(query, read, self._clock.now()))
        self._schedule_tick()

    def report(self) -> Report:
        return Report(self._bindings.statistics(), self._overruns, self.cni)

    async def wait_settled(self) -> None:
        """Return once nobody waits for time to tell whose an address is; ten seconds at most."""
        await self._settled.wait()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take in changes as they come, while the block runs."""
        self._loop.add_reader(self._kernel.fileno(), self.poll)
        try:
            yield
        finally:
            self._loop.remove_reader(self._kernel.fileno())
            if self._timer is not None:
                self._timer.cancel()

    async def run(self) -> None:
        """Save what changes, and report which CNI the node has, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._save_state(), name="save the bindings")
            tasks.create_task(self._reporter.run(), name="report the node's CNI")

    async def _save_state(self) -> NoReturn:
        failed = False
        while True:
            await self._dirty.wait()
            await self._clock.sleep(SAVE_DELAY)
            self._dirty.clear()
            try:
                self._file.save(self._bindings.state())
            except OSError as error:
                if not failed:
                    fields = {"reason": error.strerror}
                    log.warning("the state file cannot be written", extra=fields)
                failed = True
            else:
                failed = False

    def _apply(self, changes: Changes) -> None:
        if changes.lost:
            self._overruns += 1
            log.warning("the kernel had more changes than could be kept; everything is read anew")
            self._reread()
            self._reporter.changed.set()
            return
        if changes.links:
            self._bindings.set_links(self._kernel.links.ids)
        self._observe(self._affected(changes))
        if changes.topology:
            self._reporter.changed.set()

    def _reread(self) -> None:
        """Read everything, as if nothing had been seen before."""
        found = self._kernel.reread()
        self._bindings.begin(self._clock.now())
        self._bindings.set_links(self._kernel.links.ids)
        self._observe(found | set(self._bindings.addresses))
        self._dirty.set()

    def _affected(self, changes: Changes) -> set[Address]:
        known = self._bindings.addresses
        if changes.routing:
            return changes.addresses | set(known)
        found = set(changes.addresses)
        found |= {at for at, who in self._kernel.hardware.items() if who in changes.hardware}
        found |= set(changes.prefixes.holding(known))
        if changes.links or changes.bridges:
            found |= {address for address in known if self._is_affected(address, changes)}
        return found

    def _is_affected(self, address: Address, changes: Changes) -> bool:
        observation = self._bindings.observation(address)
        if observation is None:
            return False
        behind = changes.bridges and observation.way in (Way.BRIDGE, Way.SILENT)
        return behind or observation.link in changes.links

    def _observe(self, addresses: Collection[Address]) -> None:
        changed, moved = set[Address](), set[Address]()
        for address in addresses:
            before = self._bindings.observation(address)
            changed |= self._look(address)
            if before is not None and before.link and before != self._bindings.observation(address):
                moved.add(address)
        self._kernel.forget_all_but(self._bindings.addresses)
        if moved:
            self.moved(moved)
        self._announce(changed)
        self._schedule_tick()

    def _look(self, address: Address) -> set[Address]:
        # The time is later than what is seen: what was there before is gone by then.
        observation = self._kernel.observe(address)
        return self._bindings.observe(address, observation, self._clock.now())

    def _announce(self, changed: Collection[Address]) -> None:
        if not changed:
            return
        self._dirty.set()
        for address in changed:
            if self.holders.get(address) is Doubt.SUSPENDED:
                log.info("an address is not vouched for now", extra={"address": str(address)})
        self.changed(changed)

    def _schedule_tick(self) -> None:
        """Have `_tick` called when time next changes anything."""
        if self._timer is not None:
            self._timer.cancel()
        moment = self._bindings.next_moment()
        if moment is None:
            self._timer = None
            self._settled.set()
        else:
            # A clock that was set back must not make anybody wait until it has caught up.
            left = min(moment - self._clock.now(), SETTLING).total_seconds()
            self._timer = self._loop.call_later(left, self._tick)
            self._settled.clear()

    def _tick(self) -> None:
        self.poll()
        self._announce(self._bindings.tick(self._clock.now()))
        self._schedule_tick()


@contextlib.contextmanager
def witnessing(
    state_file: Path | None, clock: Clock, *, accept: bool, settling: timedelta = SETTLING
) -> Iterator[Witness]:
    """Watch the kernel while the block runs, and begin with what *state_file* has.

    Raises OSError where there is no kernel that could be asked.
    """
    file = StateFile(state_file, Scope.here())
    try:
        kept = file.load()
    except OSError as error:
        log.warning("the state file cannot be read", extra={"reason": error.strerror})
        kept = None
    with Kernel(clock) as kernel:
        bindings = Bindings(kept or {}, accept_unwitnessed=accept, settling=settling)
        witness = Witness(kernel, bindings, file, clock)
        log.info("watching the kernel's links", extra={"recorded": len(kept or {})})
        with witness.listening():
            yield witness
