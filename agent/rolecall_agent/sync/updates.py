"""What the stream tells is kept, and requests that wait for it are woken."""

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from rolecall_agent.store.cache import Cache
from rolecall_agent.witness.service import Witness
from rolecall_common.clock import Clock
from rolecall_common.version import VERSION
from rolecall_proto.values import Address, Hello, Update


class Endpoint(Protocol):
    """Where requests wait."""

    def wake(self, addresses: Collection[Address], /) -> None:
        """Look again at the requests that wait at *addresses*."""
        ...


class UpdateHandler:
    """Listens to the stream on behalf of the endpoints.

    Args:
        cache: What this node holds.
        clock: Wall-clock time.
        endpoint: The metadata endpoint, which is woken by each change.
        invalidate: Called with addresses of which the server is to be asked again.
        on_update: Called after each update has been taken in.
        witness: The kernel, where it is asked.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it is made of
        self,
        cache: Cache,
        clock: Clock,
        endpoint: Endpoint,
        invalidate: Callable[[Iterable[Address]], None],
        on_update: Callable[[Update], None],
        witness: Witness | None = None,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._endpoint = endpoint
        self._invalidate = invalidate
        self._on_update = on_update
        self._witness = witness

    def hello(self) -> Hello:
        """Open with what is held: a server that knows it need not ask STS again."""
        return Hello(VERSION, self._cache.held(self._clock.now()))

    def begin(self) -> None:
        self._cache.begin()

    def holders_changed(self, addresses: Collection[Address]) -> None:
        """Note that the kernel vouches for other pods than before, or for none, at *addresses*."""
        self._cache.holders_changed()
        self._invalidate(addresses)
        self._endpoint.wake(addresses)

    def apply(self, update: Update) -> None:
        if self._witness is not None:
            self._witness.poll()  # What happened before the server spoke.
        changed = self._cache.apply(update, self._clock.now())
        if self._witness is not None:
            claims = {address: self._cache.claims(address) for address in changed}
            self._invalidate(self._witness.claim(claims))
        self._endpoint.wake(changed)
        self._on_update(update)
