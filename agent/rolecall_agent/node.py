"""The node as the agent sees it: what the stream tells is kept, and whoever waits is woken."""

from collections.abc import Callable

from rolecall_agent.cache import Cache
from rolecall_agent.container import ContainerDoor
from rolecall_agent.door import Door
from rolecall_common.clock import Clock
from rolecall_common.version import VERSION
from rolecall_proto.values import Hello, Update


class Node:
    """Listens to the stream on behalf of the doors.

    *on_update* is called after each update has been taken in.
    """

    def __init__(self, cache: Cache, clock: Clock, on_update: Callable[[Update], None]) -> None:
        self._cache = cache
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

    def apply(self, update: Update) -> None:
        changed = self._cache.apply(update, self._clock.now())
        if self._door is not None:
            self._door.wake(changed)
        if self._container is not None:
            self._container.told(update)
        self._on_update(update)
