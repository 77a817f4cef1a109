"""The witness at work: kernel, bindings and state file, put together.

What the kernel has to say is taken in where it matters: before a connection is let in, before the
server's word is believed, and as soon as the loop turns. A pod that has got an address can open
no connection before the kernel has queued its message of it, so it is never taken for another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.changes import Changes
from rolecall_agent.witness.cni import Cni
from rolecall_agent.witness.cni_report import CniReporter
from rolecall_agent.witness.entries import Claims, Query
from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.kernel import Kernel
from rolecall_agent.witness.netlink import LostError
from rolecall_agent.witness.observation import SILENT, Doubt, Holders
from rolecall_agent.witness.prompting import Prompter
from rolecall_agent.witness.report import Report
from rolecall_agent.witness.rereads import Rereads
from rolecall_agent.witness.state_file import Scope, StateFile
from rolecall_agent.witness.state_keeper import StateKeeper
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, Confirmation, PodUid

log = logging.getLogger(__name__)

Changed = Callable[[Collection[Address]], None]


def _ignore(addresses: Collection[Address]) -> None: ...


class Witness:
    """Follows the kernel, and says whom it vouches for.

    Set *changed* and *moved* before anything happens: the first is told of addresses that stand for
    another pod now, or for none; the second of those that another link may have now: what is open
    there is somebody's who is gone.
    """

    def __init__(
        self,
        kernel: Kernel,
        bindings: Bindings,
        file: StateFile,
        clock: Clock,
        prompter: Prompter,
    ) -> None:
        self.changed: Changed = _ignore
        self.moved: Changed = _ignore
        self._kernel = kernel
        self._bindings = bindings
        self._clock = clock
        self._prompter = prompter
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()  # Time changes nothing.
        self._keeper = StateKeeper(file, bindings.state, clock)
        self._rereads = Rereads()
        self._reread()
        self._reporter = CniReporter(kernel, clock)

    @property
    def holders(self) -> Holders:
        """Whom each address stands for; one and the same mapping for ever."""
        return self._bindings.holders

    @property
    def node_addresses(self) -> Container[object]:
        """The addresses that no pod can have; one and the same for ever."""
        return self._kernel.addresses

    @property
    def checks_each_request(self) -> bool:
        """Whether a connection can change hands while it is open, as it can behind a bridge."""
        return self._kernel.links.has_ports

    @property
    def cni(self) -> Cni:
        return self._reporter.cni

    def poll(self) -> None:
        """Take in what the kernel has to say, if anything. Cheap: one system call."""
        if self._kernel.has_changes or self._rereads.owed:
            self._take_in()

    def claim(self, claims: Mapping[Address, Claims]) -> set[Address]:
        """Take in who has addresses, as the server says; return where it is another one now."""
        changed = set[Address]()
        unseen = [
            address
            for address, said in claims.items()
            if said and self._bindings.observation(address) is None
        ]
        for address, said in claims.items():
            changed |= self._bindings.claim(address, said, self._clock.now())
        if self._rereads.owed is not Extent.EVERYTHING:  # Else they are seen with all others.
            with self._losing():
                for address in unseen:
                    observation = self._kernel.observe(address)
                    changed |= self._bindings.observe(address, observation, self._clock.now())
        for address, said in claims.items():
            if said and self._bindings.observation(address) == SILENT:
                self._prompter.prompt(address)
        self._keeper.changed.set()
        self._schedule_tick()
        return changed

    def query(self, addresses: Iterable[Address]) -> Query:
        """Return which pods a server should read anew, because requests wait at *addresses*."""
        self.poll()
        doubted = self._bindings.query(addresses).addresses
        if doubted and self._rereads.owed is not Extent.EVERYTHING:
            # News that were taken in late make links look younger than they are.
            with self._losing():
                self._kernel.date_links()
                self._observe(doubted)
        return self._bindings.query(addresses)

    def answer(self, query: Query, read: Mapping[PodUid, Confirmation]) -> None:
        """Take in what was read for *query*."""
        self.poll()
        self._announce(self._bindings.answer(query, read, self._clock.now()))
        self._schedule_tick()

    def report(self) -> Report:
        rereads = self._rereads
        return Report(self._bindings.statistics(), rereads.losses, rereads.attempts, self.cni)

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
            tasks.create_task(self._keeper.run(), name="save the bindings")
            tasks.create_task(self._reporter.run(), name="report the node's CNI")

    def _take_in(self) -> None:
        """Take in one turn's news, and read anew what is owed; doubt whatever is not known then."""
        with self._losing():
            changes = Changes()
            if self._rereads.owed is not Extent.EVERYTHING:
                changes = self._kernel.read_changes()
                self._rereads.owe(changes.unheard)
                if changes.lost:
                    self._rereads.lose(changes.lost, changes.reason, self._loop.time())
            if self._rereads.owed is not Extent.EVERYTHING:
                # Nobody is woken before all is read that may be about him.
                self._doubt(max(self._bindings.unknown, self._rereads.owed, changes.unread))
                self._apply(changes)
            moment = self._rereads.moment()
            if moment is not None and moment <= self._loop.time():
                self._reread()
                self._reporter.changed.set()
            self._doubt(max(self._rereads.owed, changes.unread))
        self._schedule_tick()

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        """Doubt everything where the block raises; after a LostError, have it read anew."""
        known = False
        try:
            yield
            known = True
        except LostError as error:
            self._rereads.lose(Extent.EVERYTHING, str(error.strerror), self._loop.time())
        finally:
            if not known:
                self._kernel.hear_no_more(Extent.EVERYTHING)
                self._doubt(Extent.EVERYTHING)
                self._schedule_tick()

    def _doubt(self, extent: Extent) -> None:
        """Vouch for nobody in *extent*, and for everybody else as ever."""
        self._announce(self._bindings.doubt(extent, self._clock.now()))

    def _apply(self, changes: Changes) -> None:
        if changes.links:
            self._bindings.set_links(self._kernel.links.ids)
        known = self._bindings.addresses
        if affected := changes.affected(known, self._bindings.observation):
            self._observe(affected)
        if changes.topology:
            self._reporter.changed.set()

    def _reread(self) -> None:
        """Read what is owed, as if nothing had been seen of it before. Raises LostError."""
        extent = self._rereads.owed
        self._rereads.begin(self._loop.time())
        if extent is Extent.EVERYTHING:
            found = self._kernel.reread()
            self._bindings.set_links(self._kernel.links.ids)
        else:
            found = self._kernel.reread_bridges()
        self._bindings.begin(self._clock.now())
        for address in self._bindings.addresses:
            observation = self._bindings.observation(address)
            if observation is None or observation.is_within(extent):
                found.add(address)
        self._observe(found)
        self._rereads.succeed()
        self._keeper.changed.set()

    def _observe(self, addresses: Collection[Address]) -> None:
        changed, moved = set[Address](), set[Address]()
        # All are asked for before any is taken in: none is half taken in then. The time is later
        # than what is seen: what was there before is gone by then.
        seen = {address: self._kernel.observe(address) for address in addresses}
        now = self._clock.now()
        for address, observation in seen.items():
            before = self._bindings.observation(address)
            changed |= self._bindings.observe(address, observation, now)
            if before is not None and before.link and before != self._bindings.observation(address):
                moved.add(address)
        self._kernel.forget_all_but(self._bindings.addresses)
        if moved:
            self.moved(moved)
        self._announce(changed)
        self._schedule_tick()

    def _announce(self, changed: Collection[Address]) -> None:
        if not changed:
            return
        self._keeper.changed.set()
        for address in changed if self._bindings.unknown is Extent.NOTHING else ():
            if self.holders.get(address) is Doubt.SUSPENDED:
                log.info("an address is not vouched for now", extra={"address": str(address)})
        self.changed(changed)

    def _schedule_tick(self) -> None:
        """Have `_tick` called when time next changes anything."""
        if self._timer is not None:
            self._timer.cancel()
        left = min(self._waits(), default=None)
        if left is None:
            self._timer = None
            self._settled.set()
        else:
            self._timer = self._loop.call_later(left, self._tick)
            self._settled.clear()

    def _waits(self) -> Iterator[float]:
        """Yield for how many seconds time changes nothing, by whatever it changes then."""
        if (moment := self._bindings.next_moment()) is not None:
            # A clock that was set back must not make anybody wait until it has caught up.
            yield min(moment - self._clock.now(), SETTLING).total_seconds()
        if (free_at := self._rereads.moment()) is not None:
            yield free_at - self._loop.time()

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
    with Kernel(clock) as kernel, Prompter() as prompter:
        bindings = Bindings(kept or {}, accept_unwitnessed=accept, settling=settling)
        witness = Witness(kernel, bindings, file, clock, prompter)
        log.info("watching the kernel's links", extra={"recorded": len(kept or {})})
        with witness.listening():
            yield witness
