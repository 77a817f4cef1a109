"""The metadata endpoint: where pods ask, by their address, for the credentials of their role.

Each answer is a pure decision (`decide.py`). The endpoint joins them with the cache, the clock and
the counters, and wakes those who wait. What is not about metadata is in `http/server.py`.
"""

import asyncio
import os
from collections.abc import Callable, Collection
from datetime import datetime
from typing import assert_never

from rolecall_agent.decision import (
    Answer,
    Decision,
    GiveText,
    GiveToken,
    Item,
    Outcome,
    Refuse,
    Serve,
    Target,
)
from rolecall_agent.http.client import Client
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.host_header import names_of
from rolecall_agent.http.parked_requests import ParkedRequests
from rolecall_agent.http.patience import ParkedRequest, times_out_in_all
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.http.response import DateHeader, Response
from rolecall_agent.http.response_cache import ResponseCache
from rolecall_agent.metadata import responses, routes, tokens
from rolecall_agent.metadata.decide import REFUSALS, SERVED_ROUTES, Stores, decide
from rolecall_agent.metadata.item_cache import ItemCache
from rolecall_agent.metadata.render import Renderer
from rolecall_agent.metadata.rewritten_sources import RewrittenSources
from rolecall_agent.metadata.tally import Tally
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import Address, EndpointKeys

NAME = "metadata"
# The metadata service's own addresses (contract §5).
HOSTS = names_of("169.254.169.254", 80) | names_of("fd00:ec2::254", 80)


def _ignore_unknown(address: Address) -> None: ...
def _ignore_item(item: Item) -> None: ...
def _peer(received: ReceivedRequest) -> Address:
    return received.peer


class MetadataEndpoint:
    """Answers by the metadata protocol.

    Args:
        cache: What this node holds.
        on_unknown: Called when a request waits, or waits on, because its pod or its credentials are
            not here; often, so it must be cheap and ask nobody twice at once.
    """

    name = NAME
    hosts = HOSTS
    pod_of = None  # Here its address is what proves who a pod is.

    def __init__(
        self, cache: Cache, on_unknown: Callable[[Address], None] = _ignore_unknown
    ) -> None:
        time = asyncio.get_running_loop().time
        self.counters = Counters(REFUSALS, SERVED_ROUTES)
        self.responses = ResponseCache(self.counters, cache, time)
        self.stores = Stores(cache, ItemCache())
        self._cache = cache
        self._on_unknown = on_unknown
        self._on_item: Callable[[Item], None] = _ignore_item
        self._keys: EndpointKeys | None = None
        self._parked = ParkedRequests(_peer, self.counters, time)
        self._renderer = Renderer(cache)
        self._date = DateHeader()
        self._rewritten = RewrittenSources()
        self.tally = Tally(self.counters, cache)

    @property
    def held_requests(self) -> int:
        return len(self._parked)

    def wake(self, addresses: Collection[Address]) -> None:
        """Answer those of *addresses* that wait and can be answered now; call it after each change.

        With the first snapshot, and with new keys, everybody is asked again.
        """
        self.responses.clear()
        if self._cache.keys is self._keys:
            self._parked.wake(addresses)
        else:
            self._keys = self._cache.keys
            self._parked.wake_all()

    def offers(self, items: ItemCache, on_item: Callable[[Item], None]) -> None:
        """Answer from *items* what is asked of the node; before that there are none.

        *on_item* is called with each that a pod asks for, at hand or not: it must be cheap, too.
        """
        self.stores = Stores(self._cache, items)
        self._on_item = on_item

    def items_changed(self) -> None:
        """Answer those who wait for an item of the node's.

        Everybody is asked again: that is so seldom that telling them apart would cost more.
        """
        self._parked.wake_all()

    # What its server needs of it (`http/endpoint.py`).

    def find(self, path: bytes) -> Target:
        return routes.find(path)

    def decide(self, received: ReceivedRequest, now: datetime) -> Decision:
        target = received.target
        decision = decide(received.request, target, received.peer, self.stores, now)
        if isinstance(decision, Refuse) and decision.outcome is Outcome.REWRITTEN:
            self._rewritten.note(received.peer)
        item = target.item
        if item is not None and not isinstance(decision, Refuse) and self._cache.synced:
            self._on_item(item)
        return decision

    def render(self, received: ReceivedRequest, answer: Answer, now: datetime) -> bytes:
        self.tally.note(received, answer, now)
        if isinstance(answer, Serve):
            response = self._renderer.role(answer, received.target.route, now)
        else:
            response = _response(received, answer, now)
        close, with_body = not received.keep_alive, received.request.method != b"HEAD"
        return response.rendered(self._date.line(now), close=close, with_body=with_body)

    def is_patient(self, received: ReceivedRequest) -> bool:
        # A token can be had without the pod: then its PUT must not wait until the SDK has no time
        # left for the rest.
        return received.request.method != b"PUT" and not times_out_in_all(received.head)

    def park(self, client: Client, parked: ParkedRequest) -> None:
        self._parked.add(client, parked)
        self.inquire(parked)

    def inquire(self, parked: ParkedRequest) -> None:
        if self._cache.synced and parked.received.target.item is None:
            self._on_unknown(parked.received.peer)

    def unpark(self, client: Client, parked: ParkedRequest) -> None:
        self._parked.remove(client, parked)


def _response(
    received: ReceivedRequest, answer: GiveToken | GiveText | Refuse, now: datetime
) -> Response:
    match answer:
        case GiveToken(keys, ttl):
            nonce = os.urandom(tokens.NONCE_SIZE)
            text = tokens.issue(keys.token_key, received.peer, ttl, now, nonce)
            return responses.token(text, ttl)
        case GiveText(body):
            return responses.plain(body)
        case Refuse(status):
            return responses.error(status, received.target.route)
        case _:
            assert_never(answer)
