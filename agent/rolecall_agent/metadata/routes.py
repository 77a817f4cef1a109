"""Which paths there are at the metadata endpoint, and which spellings name a pod's role."""

import re
from datetime import date

from rolecall_agent.decision import Item, Route, Target
from rolecall_agent.metadata.items import FOLDERS, ROOT
from rolecall_proto.values import Assignment

CREDENTIAL_ROUTES = frozenset({Route.ROLE_LIST, Route.ROLE_DOCUMENT, Route.ROLE_INFO})
PUT_ROUTES = frozenset({Route.TOKEN, Route.DATED_TOKEN, Route.TOKEN_SLASH})
_OTHER = Target(Route.OTHER)
# A path among the credentials that no pod's role can have.
NO_DOCUMENT = Target(Route.ROLE_DOCUMENT)
_MALFORMED = Target(Route.MALFORMED)
_VERSIONED = re.compile(rb"//?(latest|1\.0|[0-9]{4}-[0-9]{2}-[0-9]{2})((?:/.*)?)")
_ROLES = b"/meta-data/iam/security-credentials"
_ROOT = Target(Route.LISTING, folder=ROOT)


def _both(path: str, target: Target) -> dict[bytes, Target]:
    """Lead to *target* with a slash at the end and without: some SDKs write it, some do not."""
    plain = path.encode()
    return {plain: target, plain + b"/": target}


def _constant() -> dict[bytes, Target]:
    """Return what follows /{version}, where it is one constant path: whole, in this case only."""
    paths = {b"/api/token": Target(Route.TOKEN), b"/api/token/": Target(Route.TOKEN_SLASH)}
    for folder in FOLDERS - {ROOT}:
        paths |= _both(f"/{folder}" if folder else "", Target(Route.LISTING, folder=folder))
    for item in Item:
        paths |= _both(f"/{item}", Target(Route.ITEM, item=item))
    paths |= _both("/meta-data/iam/info", Target(Route.ROLE_INFO))
    return paths | _both(_ROLES.decode(), Target(Route.ROLE_LIST))


_CONSTANT = _constant()
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")


def find(path: bytes) -> Target:
    """Return where *path* leads: no dots resolved, nothing decoded but the role. Never raises.

    A doubled first slash, which SDKs send when their endpoint ends in one, is read as one.
    """
    if path in (b"/", b"//"):
        return _ROOT
    versioned = _VERSIONED.fullmatch(path)
    if versioned is None or not _is_version(versioned[1]):
        return _MALFORMED if b"%" in path else _OTHER
    version, rest = versioned.groups()
    if rest.startswith(_ROLES + b"/") and len(rest) > len(_ROLES) + 1:
        return _document(rest[len(_ROLES) + 1 :])
    if b"%" in rest:
        return _MALFORMED
    target = _CONSTANT.get(rest, NO_DOCUMENT if rest.startswith(_ROLES) else _OTHER)
    if target.route is Route.TOKEN and version != b"latest":
        return Target(Route.DATED_TOKEN)
    return target


def is_role_of(asked: bytes, assignment: Assignment, base_arn: str) -> bool:
    """Whether *asked* is a spelling of the assignment's role (contract §2).

    It is the role's ARN (with `arn` in any case), or what follows the base, with or without one
    leading slash; and either with one slash behind it, which EC2 takes and some clients always add.
    """
    try:
        text = asked.decode("ascii")
    except UnicodeDecodeError:
        return False
    text = text.removesuffix("/")
    if not text or not assignment.role_arn:
        return False
    if text[:4].lower() == "arn:":
        return "arn" + text[3:] == assignment.role_arn
    return bool(base_arn) and base_arn + text.removeprefix("/") == assignment.role_arn


def _document(segment: bytes) -> Target:
    if b"//" in segment or segment.startswith(b"/"):
        return NO_DOCUMENT
    if b"%" not in segment:
        return Target(Route.ROLE_DOCUMENT, segment)
    if segment.count(b"%") != len(_ENCODED.findall(segment)):
        return _MALFORMED
    return Target(
        Route.ROLE_DOCUMENT, _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), segment)
    )


def _is_version(text: bytes) -> bool:
    if not text[:4].isdigit():
        return True
    try:
        date.fromisoformat(text.decode("ascii"))
    except ValueError:
        return False
    return True
