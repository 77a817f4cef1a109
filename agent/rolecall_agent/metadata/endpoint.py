"""The metadata endpoint: where pods ask, by their address, for the credentials of their role.

Each answer is a pure decision (`decide.py`). The endpoint joins them with the cache, the clock and
the counters, and wakes those who wait. What is not about metadata is in `http/server.py`.
"""

import os
from collections.abc import Callable, Collection
from datetime import datetime
from typing import assert_never

from rolecall_agent.http.counters import Tally
from rolecall_agent.http.endpoint import Asked, Client, Parked
from rolecall_agent.http.host_header import METADATA_HOSTS
from rolecall_agent.http.parked_requests import WaitingRoom
from rolecall_agent.http.server import EndpointRules, FirstServe, Hall
from rolecall_agent.metadata import responses, tokens
from rolecall_agent.metadata.decide import (
    Ending,
    GiveToken,
    Refuse,
    Serve,
    Stores,
    Tell,
    Verdict,
    decide,
    ending_of,
)
from rolecall_agent.metadata.item_cache import Shelf
from rolecall_agent.metadata.items import Item
from rolecall_agent.metadata.responses import Answer
from rolecall_agent.metadata.routes import Route
from rolecall_agent.store.cache import Cache
from rolecall_common.clock import Clock
from rolecall_proto.values import Address, Assignment, EndpointKeys, Session

__all__ = ["NAME", "EndpointRules", "MetadataEndpoint"]

NAME = "metadata"


def _ignore_unknown(address: Address) -> None: ...
def _ignore_item(item: Item) -> None: ...
def _ignore_serve(assignment: Assignment, session: Session, endpoint: str) -> None: ...


class MetadataEndpoint(Hall):
    """Serves the metadata protocol on any number of addresses.

    Args:
        cache: What this node holds.
        clock: Wall-clock time: of tokens, credentials, and the Date header.
        rules: Hosts and hold.
        on_unknown: Called when a request waits, or waits on, because its pod or its credentials are
            not here; often, so it must be cheap and ask nobody twice at once.
        first_serve: Called with the first answer that carries a session's credentials to a pod.
    """

    name = NAME

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        rules: EndpointRules | None = None,
        *,
        on_unknown: Callable[[Address], None] = _ignore_unknown,
        first_serve: FirstServe = _ignore_serve,
    ) -> None:
        super().__init__(cache, clock, rules or EndpointRules(), Tally(), first_serve)
        self.stores = Stores(cache, Shelf())
        self._on_unknown = on_unknown
        self._on_item: Callable[[Item], None] = _ignore_item
        self._hosts |= METADATA_HOSTS
        self._keys: EndpointKeys | None = None
        self._waiting: WaitingRoom[Address] = WaitingRoom()

    @property
    def held_requests(self) -> int:
        return len(self._waiting)

    def wake(self, addresses: Collection[Address]) -> None:
        """Answer those of *addresses* that wait and can be answered now; call it after each change.

        With the first snapshot, and with new keys, everybody is asked again.
        """
        self.memory.forget()
        if self.cache.keys is self._keys:
            self._waiting.wake(addresses)
        else:
            self._keys = self.cache.keys
            self._waiting.wake_all()

    def offers(self, shelf: Shelf, on_item: Callable[[Item], None]) -> None:
        """Tell the node's own items from *shelf*; before that there are none.

        *on_item* is called with each that a pod asks for, at hand or not: it must be cheap, too.
        """
        self.stores = Stores(self.cache, shelf)
        self._on_item = on_item

    def items_told(self) -> None:
        """Answer those who wait for an item of the node's; call it after each change of the shelf.

        Everybody is asked again: that is so seldom that telling them apart would cost more.
        """
        self._waiting.wake_all()

    def verdict(self, asked: Asked, now: datetime) -> Verdict:
        verdict = decide(asked.request, asked.target, asked.peer, self.stores, now)
        item = asked.target.item
        if item is not None and not isinstance(verdict, Refuse) and self.cache.synced:
            self._on_item(item)
        return verdict

    def park(self, client: Client, parked: Parked) -> None:
        self._waiting.enter(client, parked.asked.peer)
        self.inquire(parked)

    def inquire(self, parked: Parked) -> None:
        if self.cache.synced and parked.asked.target.item is None:
            self._on_unknown(parked.asked.peer)

    def unpark(self, client: Client, parked: Parked) -> None:
        self._waiting.leave(client, parked.asked.peer)
        self._tally.held(parked.missing, self.loop.time() - parked.asked.at)

    def answer(self, asked: Asked, ending: Ending, now: datetime, *, waited: bool) -> bytes:
        """Return the bytes that *ending* is, and count them."""
        request, route = asked.request, asked.target.route
        close, with_body = not request.keep_alive, request.method != b"HEAD"
        status, outcome = ending_of(ending, waited=waited)
        self._tally.answered(route, status, outcome, self.loop.time() - asked.at)
        self._renderer.turn(now, self.cache.generation)
        if isinstance(ending, Serve):
            if route is Route.ROLE_DOCUMENT:
                self._note_serve(ending, now)
            return self._renderer.render_role(ending, route, close=close, with_body=with_body)
        answer = self._small_answer(asked, ending, now)
        return self._renderer.render(answer, close=close, with_body=with_body)

    def _small_answer(
        self, asked: Asked, ending: GiveToken | Tell | Refuse, now: datetime
    ) -> Answer:
        match ending:
            case GiveToken(keys, ttl):
                nonce = os.urandom(tokens.NONCE_SIZE)
                text = tokens.issue(keys.token_key, asked.peer, ttl, now, nonce)
                return responses.token(text, ttl)
            case Tell(body):
                return responses.plain(body)
            case Refuse(status):
                return responses.error(status, asked.target.route)
            case _:
                assert_never(ending)
