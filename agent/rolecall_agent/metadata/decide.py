"""What a request gets: decided from the request, the cache and the time, without I/O.

The order is the contract's (§5): well-formed, method, token, path. Well-formed is settled before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

from rolecall_agent.decision import (
    MALFORMED,
    POD_REFUSALS,
    TIMED_OUT,
    Decision,
    GiveText,
    GiveToken,
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
from rolecall_agent.metadata import tokens
from rolecall_agent.metadata.item_cache import ItemCache, Missed
from rolecall_agent.metadata.routes import CREDENTIAL_ROUTES, NO_DOCUMENT, PUT_ROUTES, is_role_of
from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import (
    AddressStanding,
    Granted,
    Refused,
    Rewritten,
    Unconfirmed,
    Unknown,
    Unwitnessed,
    Waiting,
)
from rolecall_proto.values import Address, EndpointKeys

_METHOD = Refuse(405, Outcome.METHOD)
_FORBIDDEN = Refuse(403, Outcome.FORBIDDEN)
_INVALID = Refuse(400, Outcome.INVALID)
_UNAUTHORIZED = Refuse(401, Outcome.UNAUTHORIZED)
_NOT_FOUND = Refuse(404, Outcome.NOT_FOUND)
_UNWITNESSED = Refuse(404, Outcome.UNWITNESSED)
_REWRITTEN = Refuse(404, Outcome.REWRITTEN)
_UNAVAILABLE = Refuse(503, Outcome.UNAVAILABLE)
_NO_WITNESS = (_UNWITNESSED, _REWRITTEN)
# What is asked for with GET, before its path decides.
_ASKED = (TIMED_OUT, _UNAUTHORIZED, _METHOD)
# Every way in which a request can be refused, by its path: so that metrics can count from zero.
REFUSALS: Mapping[Route, tuple[Refuse, ...]] = MappingProxyType(
    {
        Route.TOKEN: (TIMED_OUT, _METHOD, _FORBIDDEN, _INVALID),
        Route.DATED_TOKEN: (*_ASKED, _FORBIDDEN, _NOT_FOUND),
        Route.TOKEN_SLASH: (*_ASKED, _NOT_FOUND),
        Route.ROLE_LIST: (*_ASKED, *POD_REFUSALS, *_NO_WITNESS),
        Route.ROLE_DOCUMENT: (*_ASKED, *POD_REFUSALS, *_NO_WITNESS, _NOT_FOUND),
        Route.ROLE_INFO: (*_ASKED, *POD_REFUSALS, *_NO_WITNESS),
        Route.ITEM: (*_ASKED, _NOT_FOUND, _UNAVAILABLE),
        Route.LISTING: (*_ASKED, _NOT_FOUND),
        Route.OTHER: (*_ASKED, _NOT_FOUND),
        Route.MALFORMED: (MALFORMED,),
    }
)
# Every path that can be answered with something.
SERVED_ROUTES = CREDENTIAL_ROUTES | {Route.TOKEN, Route.ITEM, Route.LISTING}
_NO_SNAPSHOT = Hold(Missing.SNAPSHOT)
_NO_POD = Hold(Missing.POD)
_NO_CREDENTIALS = Hold(Missing.CREDENTIALS)
_NO_LINK = Hold(Missing.LINK)
_NOBODY: Mapping[type, Decision] = {
    Unknown: _NO_POD,
    Unconfirmed: _NO_LINK,
    Unwitnessed: _UNWITNESSED,
    Rewritten: _REWRITTEN,
}
_NO_ITEM = Hold(Missing.ITEM)
# What each request looks at has a name of its own: an attribute of an enumeration, and a union that
# is made anew, cost as much as a call.
_TOKEN, _DOCUMENT = Route.TOKEN, Route.ROLE_DOCUMENT
_READING = (b"GET", b"HEAD")
_WITHOUT_POD = (Unknown, Unconfirmed, Rewritten)


@dataclass(frozen=True, slots=True)
class Stores:
    """All that an answer can come from."""

    cache: Cache
    items: ItemCache


def decide(
    request: Request, target: Target, peer: Address, stores: Stores, now: datetime
) -> Decision:
    """Return what *request* of the pod at *peer* gets at *now*."""
    cache, keys = stores.cache, stores.cache.keys
    if request.method == b"PUT":
        return _put(request, target, peer, cache, now)
    route = target.route
    if request.method not in _READING or route is _TOKEN:
        return _METHOD
    if keys is None:
        return _NO_SNAPSHOT
    standing = cache.standing(peer, now)
    proof = _proof(request, standing, keys, peer, now)
    if isinstance(proof, Refuse):
        return proof
    if route in CREDENTIAL_ROUTES and target is not NO_DOCUMENT:
        return _credentials(target, standing, keys, proof)
    return _of_the_node(target, stores.items, now)


def _of_the_node(target: Target, items: ItemCache, now: datetime) -> Decision:
    if target.route is Route.LISTING:
        body = items.listings.get(target.folder)
        return _NOT_FOUND if body is None else GiveText(body)
    if target.item is None:
        return _NOT_FOUND
    match items.find(target.item, now):
        case None:
            return _NO_ITEM
        case Missed.REFUSED:
            return _NOT_FOUND
        case Missed.UNAVAILABLE:
            return _UNAVAILABLE
        case bytes() as body:
            return GiveText(body)


def _put(request: Request, target: Target, peer: Address, cache: Cache, now: datetime) -> Decision:
    if target.route not in PUT_ROUTES:
        return _METHOD
    if target.route is Route.TOKEN_SLASH:
        return _NOT_FOUND
    if target.route is Route.DATED_TOKEN or request.forwarded:
        return _FORBIDDEN
    ttl = tokens.parse_ttl(request.ttl)
    if ttl is None:
        return _INVALID
    if cache.keys is None:
        return _NO_SNAPSHOT
    return _token(GiveToken(cache.keys, ttl), cache.standing(peer, now))


def _token(token: GiveToken, standing: AddressStanding) -> Decision:
    """Return *token*: its proof is the address alone. But who is not known yet waits here already.

    What an SDK waits for its token is not taken from what it waits for its role.
    """
    if isinstance(standing, Unknown):
        return Hold(Missing.POD, token)
    return Hold(Missing.LINK, token) if isinstance(standing, Unconfirmed) else token


def _proof(
    request: Request, standing: AddressStanding, keys: EndpointKeys, peer: Address, now: datetime
) -> datetime | Refuse | None:
    """Return the end of the token; None where none was sent and none is needed."""
    if not request.tokens:
        if isinstance(standing, _WITHOUT_POD):
            return _UNAUTHORIZED if keys.imdsv2_required else None
        return _UNAUTHORIZED if standing.assignment.imdsv2_required else None
    if len(request.tokens) > 1:
        return _UNAUTHORIZED
    return tokens.valid_until(keys.token_key, peer, request.tokens[0], now) or _UNAUTHORIZED


def _credentials(
    target: Target, standing: AddressStanding, keys: EndpointKeys, good_until: datetime | None
) -> Decision:
    match standing:
        case Granted(assignment, session):
            if target.route is _DOCUMENT and not is_role_of(target.role, assignment, keys.base_arn):
                return _NOT_FOUND
            return Serve(assignment, session, good_until)
        case Refused(assignment):
            return refusal_of(assignment)
        case Waiting(assignment):
            is_another = target.route is _DOCUMENT and assignment.role_arn
            if is_another and not is_role_of(target.role, assignment, keys.base_arn):
                return _NOT_FOUND
            return _NO_CREDENTIALS
        case Unknown() | Unconfirmed() | Unwitnessed() | Rewritten():
            return _NOBODY[type(standing)]
        case _:
            assert_never(standing)
