"""Documents are written once for each session, and kept no longer than it."""

from datetime import timedelta

from fakes.endpoint_rig import KEYS, START, known, pod, session
from rolecall_agent.decision import Route, Serve
from rolecall_agent.metadata.render import Renderer
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import (
    AssignmentUpserted,
    PodRemoved,
    Reason,
    SessionRenewed,
    SnapshotEnd,
    State,
)

POD = pod("10.0.0.1")
LATER = START + timedelta(minutes=1)


def synced() -> Cache:
    cache = Cache()
    cache.begin()
    for update in (KEYS, *known(POD), SnapshotEnd()):
        cache.apply(update, START)
    return cache


def serve(cache: Cache) -> Serve:
    held = cache._live.sessions  # noqa: SLF001 - which object it is matters here
    return Serve(POD, next(iter(held.values())), None)


def test_a_document_is_written_once_for_its_session() -> None:
    """Neither a second nor a change of another pod has it written anew."""
    cache = synced()
    renderer = Renderer(cache)
    first = renderer.role(serve(cache), Route.ROLE_DOCUMENT, START)
    other = pod("10.0.0.2", State.DENIED, Reason.NO_ROLE)
    cache.apply(AssignmentUpserted(other), LATER)

    assert renderer.role(serve(cache), Route.ROLE_DOCUMENT, LATER) is first


def test_a_renewed_session_has_a_document_of_its_own() -> None:
    """At once, however short a time ago the last one was written."""
    cache = synced()
    renderer = Renderer(cache)
    renderer.role(serve(cache), Route.ROLE_DOCUMENT, START)
    cache.apply(SessionRenewed(session(key="ASIA2")), START)

    assert b"ASIA2" in renderer.role(serve(cache), Route.ROLE_DOCUMENT, START).body


def test_what_is_held_no_more_is_not_kept() -> None:
    """No secret stays in a document that nobody may have."""
    cache = synced()
    renderer = Renderer(cache)
    gone = serve(cache)
    first = renderer.role(gone, Route.ROLE_DOCUMENT, START)
    cache.apply(PodRemoved(POD.uid), START)
    cache.begin()
    cache.apply(SnapshotEnd(), START)
    renderer.role(gone, Route.ROLE_LIST, LATER)

    assert renderer.role(gone, Route.ROLE_DOCUMENT, LATER) is not first
