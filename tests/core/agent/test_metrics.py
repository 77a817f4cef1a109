"""The agent's metrics, as they are declared, and as they are before anything has happened."""

from itertools import product

import pytest

from fakes.endpoint_rig import KEYS, ROLES, START, known, pod
from rolecall_agent.decision import (
    COMMON_ITEMS,
    MALFORMED,
    TIMED_OUT,
    Answer,
    Hold,
    Item,
    Missing,
    Outcome,
    Route,
    outcome_of,
    status_of,
)
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.request import Request
from rolecall_agent.metadata.decide import REFUSALS, SERVED_ROUTES, Stores, decide
from rolecall_agent.metadata.item_cache import ItemCache, Missed
from rolecall_agent.metadata.routes import find
from rolecall_agent.metrics import METRICS
from rolecall_agent.store.cache import Cache
from rolecall_agent.witness.observation import Doubt, Holders
from rolecall_proto.values import Reason, SnapshotEnd, State

PATHS = ("/latest/api/token", "/1.0/api/token", "/latest/api/token/", ROLES, "/", "/x", "/%zz")
ITEMS = tuple(f"/latest/{item}" for item in Item)
FOLDERS = ("/latest/dynamic", "/latest/meta-data/iam/info")
PODS = (
    pod("10.0.0.1"),
    pod("10.0.0.2", State.DENIED, Reason.NO_ROLE),
    pod("10.0.0.3", State.DENIED, Reason.NAMESPACE_FORBIDS),
    pod("10.0.0.4", State.FAILED, Reason.ACCESS_DENIED),
    pod("10.0.0.5", State.PENDING, Reason.CREDENTIALS_PENDING),
)
# One item is at hand, two are not to be had, of the others nothing is known yet.
ITEMS_AT_HAND = ItemCache(COMMON_ITEMS)
ITEMS_AT_HAND.put(Item.REGION, b"eu-central-1", START)
ITEMS_AT_HAND.put(Item.DOMAIN, Missed.REFUSED, START)
ITEMS_AT_HAND.put(Item.PARTITION, Missed.UNAVAILABLE, START)
WAITED = (False, True)
COUNTERS = Counters(REFUSALS, SERVED_ROUTES)  # Of an endpoint that was never asked.
End = tuple[Route, int, Outcome]


def test_every_metric_has_its_own_name_and_says_what_it_means() -> None:
    """One table, from which the documentation is written."""
    names = [metric.name for metric in METRICS]

    assert len(set(names)) == len(names)
    assert all(metric.name.startswith("rolecall_") for metric in METRICS)
    assert all(metric.meaning.endswith(".") for metric in METRICS)


def test_no_label_can_name_a_pod_a_role_or_an_address() -> None:
    """Every list of label values is closed."""
    assert all(label.values for metric in METRICS for label in metric.labels)


def requests(path: str) -> list[Request]:
    """Return every kind of request of *path*."""
    return [
        Request(
            method=method,
            path=path.encode(),
            host=b"169.254.169.254",
            tokens=tokens,
            ttl=ttl,
            forwarded=forwarded,
            keep_alive=True,
        )
        for method, tokens, ttl, forwarded in product(
            (b"GET", b"PUT", b"POST"), ((), (b"no token",)), (None, b"60"), (False, True)
        )
    ]


def caches() -> list[Cache]:
    """Return one that has heard nothing yet, and one that knows a pod of each kind."""
    synced = Cache()
    synced.begin()
    for update in (KEYS, *known(*PODS), SnapshotEnd()):
        synced.apply(update, START)
    rewritten = Cache(Holders(), {address for each in PODS for address in each.addresses})
    rewritten.begin()
    for update in (KEYS, SnapshotEnd()):
        rewritten.apply(update, START)
    doubted = map(_vouched, (Doubt.SUSPENDED, Doubt.UNWITNESSED))
    return [Cache(), synced, rewritten, *doubted]


def _vouched(doubt: Doubt) -> Cache:
    """Return one that knows the same pods, and for none of which the kernel vouches."""
    cache = Cache(Holders({address: doubt for each in PODS for address in each.addresses}))
    cache.begin()
    for update in (KEYS, *known(*PODS), SnapshotEnd()):
        cache.apply(update, START)
    return cache


def ends(path: str) -> set[End]:
    """Return every end that some request of *path*, by some pod, has."""
    target = find(path.encode())
    if target.route is Route.MALFORMED:
        return {_end(target.route, MALFORMED)}
    found: set[End] = set()
    for request, cache, each in product(requests(path), caches(), PODS):
        decision = decide(request, target, each.addresses[0], Stores(cache, ITEMS_AT_HAND), START)
        if isinstance(decision, Hold):
            found.add(_end(target.route, TIMED_OUT, waited=True))
        else:
            found.update(_end(target.route, decision, waited=waited) for waited in WAITED)
    return found


def _end(route: Route, answer: Answer, *, waited: bool = False) -> End:
    return route, status_of(answer), outcome_of(answer, waited=waited)


def test_requests_are_counted_from_zero_for_every_end_that_they_can_have() -> None:
    """A rate over the first refusal is right, and no series is there that could never move."""
    possible = set[End]().union(
        *map(ends, (*PATHS, *ITEMS, *FOLDERS, f"{ROLES}/reader", f"{ROLES}/admin", f"{ROLES}//x"))
    )

    assert set(COUNTERS.requests) == possible
    assert not any(COUNTERS.requests.values())


@pytest.mark.parametrize("series", [COUNTERS.durations, COUNTERS.holds], ids=["requests", "holds"])
def test_durations_begin_at_zero(series: dict[Route | Missing, object]) -> None:
    """Each route, and whatever can be waited for, has its distribution from the start."""
    assert set(series) in ({*Route}, {*Missing})
