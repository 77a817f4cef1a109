"""What a request at the container endpoint gets: decided from its token, the cache and the time.

The order is well-formed, path, method, token, pod. Whatever the metadata endpoint refuses to a pod
for good, this one refuses as well: some SDKs ask there next.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

from rolecall_agent.container.pod_tokens import Claims, PodTokens, Undecided, token_of
from rolecall_agent.decision import (
    MALFORMED,
    POD_REFUSALS,
    TIMED_OUT,
    Decision,
    Hold,
    Missing,
    Outcome,
    Refuse,
    Route,
    Serve,
    Target,
    refusal_of,
)
from rolecall_agent.http.request import Request
from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import Granted, Refused, Standing, Unknown, Waiting
from rolecall_proto.values import Assignment

CREDENTIALS = Target(Route.ROLE_DOCUMENT)
_OTHER = Target(Route.OTHER)
_PATH = b"/v1/credentials"
_METHOD = Refuse(405, Outcome.METHOD)
_UNAUTHORIZED = Refuse(401, Outcome.UNAUTHORIZED)
_NOT_FOUND = Refuse(404, Outcome.NOT_FOUND)
# Every way in which a request can be refused, by its path: so that metrics can count from zero.
REFUSALS: Mapping[Route, tuple[Refuse, ...]] = MappingProxyType(
    {
        Route.ROLE_DOCUMENT: (TIMED_OUT, _UNAUTHORIZED, _METHOD, *POD_REFUSALS),
        Route.OTHER: (_NOT_FOUND,),
        Route.MALFORMED: (MALFORMED,),
    }
)
SERVED_ROUTES = frozenset({Route.ROLE_DOCUMENT})
_NO_SNAPSHOT = Hold(Missing.SNAPSHOT)
_NO_KEYS = Hold(Missing.KEYS)
_NO_POD = Hold(Missing.POD)
_NO_CREDENTIALS = Hold(Missing.CREDENTIALS)


def find(path: bytes) -> Target:
    """Return where *path* leads: there is one, and it has one spelling."""
    return CREDENTIALS if path == _PATH else _OTHER


def decide(
    request: Request, target: Target, tokens: PodTokens, cache: Cache, now: datetime
) -> Decision:
    """Return what *request* gets at *now*."""
    if target is not CREDENTIALS:
        return _NOT_FOUND
    if request.method not in (b"GET", b"HEAD"):
        return _METHOD
    if cache.keys is None:
        return _NO_SNAPSHOT
    claims = tokens.verify(token_of(request.authorizations), cache.keys, now)
    match claims:
        case Claims():
            return _credentials(claims, cache.standing_of_pod(claims.pod, now))
        case Undecided():
            return _NO_KEYS
        case None:
            return _UNAUTHORIZED
        case _:
            assert_never(claims)


def _credentials(claims: Claims, standing: Standing) -> Decision:
    if isinstance(standing, Unknown):
        return _NO_POD
    if not _agree(claims, standing.assignment):
        return _UNAUTHORIZED
    match standing:
        case Granted(assignment, session):
            return Serve(assignment, session, claims.ends)
        case Refused(assignment):
            return refusal_of(assignment)
        case Waiting():
            return _NO_CREDENTIALS
        case _:
            assert_never(standing)


def _agree(claims: Claims, assignment: Assignment) -> bool:
    # A uid says it all, unless one of the two who speak of it is wrong.
    said = (claims.namespace, claims.pod_name, claims.service_account)
    return said == (assignment.namespace, assignment.name, assignment.service_account)
