"""The node as the agent sees it: what the stream tells is kept, and whoever waits is woken."""

from collections.abc import Callable, Collection, Iterable

from rolecall_agent.cache import Cache
from rolecall_agent.container import ContainerDoor
from rolecall_agent.door import Door
from rolecall_agent.witness.watch import Witness
from rolecall_common.clock import Clock
from rolecall_common.version import VERSION
from rolecall_proto.values import Address, Hello, SnapshotEnd, Update


def _ignore(addresses: Iterable[Address]) -> None: ...


class Node:
    """Listens to the stream on behalf of the doors.

    *on_update* is called after each update has been taken in.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        on_update: Callable[[Update], None],
        witness: Witness | None = None,
    ) -> None:
        self._cache = cache
        self._witness = witness
        self._doubt: Callable[[Iterable[Address]], None] = _ignore
        self._clock = clock
        self._on_update = on_update
        self._door: Door | None = None
        self._container: ContainerDoor | None = None

    def wakes(self, door: Door) -> None:
        """Have *door* woken from now on. The door, too, wants to know whom to ask."""
        self._door = door

    def tells(self, door: ContainerDoor) -> None:
        """Have *door* told of every update from now on."""
        self._container = door

    def hello(self) -> Hello:
        """Open with what is held: a server that knows it need not ask STS again."""
        return Hello(VERSION, self._cache.held(self._clock.now()))

    def begin(self) -> None:
        self._cache.begin()

    def doubts(self, doubt: Callable[[Iterable[Address]], None]) -> None:
        """Have *doubt* called with addresses of which the server is to be asked again."""
        self._doubt = doubt

    def vouched(self, addresses: Collection[Address]) -> None:
        """Note that the kernel vouches for other pods than before, or for none, at *addresses*."""
        self._cache.vouched_anew()
        self._doubt(addresses)
        if self._door is not None:
            self._door.wake(addresses)

    def apply(self, update: Update) -> None:
        if self._witness is not None:
            self._witness.glance()  # What happened before the server spoke.
        changed = self._cache.apply(update, self._clock.now())
        if self._witness is not None:
            claims = {address: self._cache.claimants(address) for address in changed}
            self._doubt(self._witness.claim(claims))
            if isinstance(update, SnapshotEnd):
                self._witness.told()
        if self._door is not None:
            self._door.wake(changed)
        if self._container is not None:
            self._container.told(update)
        self._on_update(update)
