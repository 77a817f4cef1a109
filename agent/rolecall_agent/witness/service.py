"""The witness at work: kernel, bindings and record, put together.

What the kernel has to say is taken in where it matters: before a connection is let in, before the
server's word is believed, and as soon as the loop turns. A pod that has got an address can open
no connection before the kernel has queued the news of it, so it is never taken for another.
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
from rolecall_agent.witness.changes import Heard
from rolecall_agent.witness.cni import Network
from rolecall_agent.witness.cni_report import Noticing
from rolecall_agent.witness.entries import NONE_YET, Query, Statistics
from rolecall_agent.witness.kernel import Kernel
from rolecall_agent.witness.observation import Doubt, Holder, Way
from rolecall_agent.witness.state_file import RecordFile, Surroundings
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, PodUid

log = logging.getLogger(__name__)

GATHER = timedelta(milliseconds=50)  # Changes of a roll-out are written to the record together.

Changed = Callable[[Collection[Address]], None]


def _ignore(addresses: Collection[Address]) -> None: ...


@dataclass(frozen=True, slots=True)
class Report:
    """How the witness stands, for metrics."""

    bindings: Statistics = NONE_YET
    overruns: int = 0
    network: Network = Network.UNKNOWN


class Witness:
    """Follows the kernel, and says whom it vouches for.

    Set *changed* and *moved* before anything happens: the first is told of addresses that stand
    for another pod now, or for none; the second of those that another link may have now, whose
    open connections are somebody's who is gone.
    """

    def __init__(self, kernel: Kernel, bindings: Bindings, file: RecordFile, clock: Clock) -> None:
        self.changed: Changed = _ignore
        self.moved: Changed = _ignore
        self._kernel = kernel
        self._bindings = bindings
        self._file = file
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._timer: asyncio.TimerHandle | None = None
        self._calm = asyncio.Event()  # Time changes nothing.
        self._stirred = asyncio.Event()  # There may be something to record, or to wait for.
        self._overruns = 0
        self._reread()
        self._noticing = Noticing(kernel, clock)

    @property
    def holders(self) -> Mapping[Address, Holder]:
        """Whom each address stands for; one and the same mapping for ever."""
        return self._bindings.holders

    @property
    def needs_each(self) -> bool:
        """Whether a connection can change hands while it is open, as it can behind a bridge."""
        return self._kernel.links.has_ports

    @property
    def network(self) -> Network:
        return self._noticing.network

    def glance(self) -> None:
        """Take in what the kernel has to say, if anything. Cheap: one system call."""
        if self._kernel.has_news:
            self._take(self._kernel.hear())

    def claim(self, claims: Mapping[Address, Collection[PodUid]]) -> set[Address]:
        """Take in who has addresses, as the server says; return where it is another one now."""
        now, changed = self._time(), set[Address]()
        for address, uids in claims.items():
            unseen = self._bindings.sight(address) is None
            changed |= self._bindings.claim(address, uids, now)
            if unseen and uids:
                changed |= self._bindings.see(address, self._kernel.look(address), now)
        self._stirred.set()
        self._arm()
        return changed

    def query(self, addresses: Iterable[Address]) -> Query:
        """Return which pods a server should read anew, because requests wait at *addresses*."""
        self.glance()
        return self._bindings.query(addresses)

    def answer(self, query: Query, read: Mapping[PodUid, Collection[Address]]) -> None:
        """Take in what was read, by a server that was asked after *query* was made."""
        self.glance()
        self._tell(self._bindings.answer(query, read))
        self._arm()

    def report(self) -> Report:
        return Report(self._bindings.statistics(), self._overruns, self.network)

    def told(self) -> None:
        """Note that the server has said everything."""
        self._bindings.told()

    async def settled(self) -> None:
        """Return once nobody waits for time to tell whose an address is; ten seconds at most."""
        await self._calm.wait()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take in news as they come, while the block runs."""
        self._loop.add_reader(self._kernel.fileno(), self.glance)
        try:
            yield
        finally:
            self._loop.remove_reader(self._kernel.fileno())
            if self._timer is not None:
                self._timer.cancel()

    async def run(self) -> None:
        """Keep the record, and an eye on what the node looks like, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_record(), name="keep the record of bindings")
            tasks.create_task(self._noticing.run(), name="notice the node's network")

    async def _keep_record(self) -> NoReturn:
        failed = False
        while True:
            await self._stirred.wait()
            await self._clock.sleep(GATHER)
            self._stirred.clear()
            try:
                self._file.keep(self._bindings.record())
            except OSError as error:
                if not failed:
                    fields = {"reason": error.strerror}
                    log.warning("the record of bindings cannot be written", extra=fields)
                failed = True
            else:
                failed = False

    def _take(self, heard: Heard) -> None:
        if heard.lost:
            self._overruns += 1
            log.warning("the kernel's news were more than could be kept; everything is read anew")
            self._reread()
            self._noticing.changed.set()
            return
        if heard.links:
            self._bindings.know_links(self._kernel.links.ids)
        self._look(self._concerned(heard))
        if heard.looks:
            self._noticing.changed.set()

    def _reread(self) -> None:
        """Read everything, as if nothing had been seen before."""
        self._bindings.begin(self._time())
        found = self._kernel.reread()
        self._bindings.know_links(self._kernel.links.ids)
        self._look(found | set(self._bindings.addresses))
        self._stirred.set()

    def _concerned(self, heard: Heard) -> set[Address]:
        known = self._bindings.addresses
        if heard.routing:
            return heard.addresses | set(known)
        found = set(heard.addresses)
        found |= {at for at, who in self._kernel.hardware.items() if who in heard.hardware}
        found |= set(heard.prefixes.holding(known))
        if heard.links or heard.bridges:
            found |= {address for address in known if self._was_there(address, heard)}
        return found

    def _was_there(self, address: Address, heard: Heard) -> bool:
        sight = self._bindings.sight(address)
        if sight is None:
            return False
        behind = heard.bridges and sight.way in (Way.BRIDGE, Way.SILENT)
        return behind or sight.link in heard.links

    def _look(self, addresses: Collection[Address]) -> None:
        now, changed, moved = self._time(), set[Address](), set[Address]()
        for address in addresses:
            before = self._bindings.sight(address)
            changed |= self._bindings.see(address, self._kernel.look(address), now)
            if before is not None and before.link and before != self._bindings.sight(address):
                moved.add(address)
        self._kernel.forget_all_but(self._bindings.addresses)
        if moved:
            self.moved(moved)
        self._tell(changed)
        self._arm()

    def _tell(self, changed: Collection[Address]) -> None:
        if not changed:
            return
        self._stirred.set()
        for address in changed:
            if self.holders.get(address) is Doubt.SUSPENDED:
                log.info("an address is not vouched for now", extra={"address": str(address)})
        self.changed(changed)

    def _arm(self) -> None:
        """Have time looked at when it next changes anything."""
        if self._timer is not None:
            self._timer.cancel()
        moment = self._bindings.next_moment()
        if moment is None:
            self._timer = None
            self._calm.set()
        else:
            self._timer = self._loop.call_at(moment, self._tick)
            self._calm.clear()

    def _tick(self) -> None:
        self.glance()
        self._tell(self._bindings.tick(self._time()))
        self._arm()


@contextlib.contextmanager
def witnessing(
    record: Path | None, clock: Clock, *, accept: bool, settling: float = SETTLING
) -> Iterator[Witness]:
    """Watch the kernel while the block runs, and begin with what *record* has.

    Raises OSError where there is no kernel that could be asked.
    """
    file = RecordFile(record, Surroundings.here())
    try:
        kept = file.load()
    except OSError as error:
        log.warning("the record of bindings cannot be read", extra={"reason": error.strerror})
        kept = None
    with Kernel() as kernel:
        bindings = Bindings(kept or {}, accept_unwitnessed=accept, settling=settling)
        witness = Witness(kernel, bindings, file, clock)
        log.info("watching the kernel's links", extra={"recorded": len(kept or {})})
        with witness.listening():
            yield witness
