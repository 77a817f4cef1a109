"""Signature Version 4, the checking side: it finds who signed a request, and whether they did.

Written from AWS's description of the algorithm, on purpose without the server's own code.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from fakes.sts.refusal import RefusalError

# AWS takes a signature for fifteen minutes around its date.
TOLERANCE = timedelta(minutes=15)

_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Z0-9]{16,128})/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)"
    r"/(?P<service>[a-z0-9-]+)/aws4_request, ?SignedHeaders=(?P<signed>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a signature covers. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    has_doubled_header: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What the Authorization header says of itself."""

    access_key_id: str
    day: str
    region: str
    signed: tuple[str, ...]
    signature: str


def read_claim(headers: Mapping[str, str], region: str | None) -> Claim:
    """Return who claims to have signed; *region* None means that any will do."""
    text = headers.get("authorization")
    if text is None:
        raise RefusalError(403, "MissingAuthenticationToken", "Request is missing a token")
    found = _AUTHORIZATION.fullmatch(text)
    if found is None:
        raise RefusalError(400, "IncompleteSignature", "Authorization header is malformed")
    if found["service"] != "sts":
        raise _mismatch("Credential should be scoped to correct service: 'sts'.")
    if region is not None and found["region"] != region:
        raise _mismatch(f"Credential should be scoped to a valid region, not '{found['region']}'.")
    signed = tuple(found["signed"].split(";"))
    _check_signed(signed, headers)
    return Claim(found["key"], found["day"], found["region"], signed, found["signature"])


def _check_signed(signed: tuple[str, ...], headers: Mapping[str, str]) -> None:
    if list(signed) != sorted(set(signed)):
        raise RefusalError(400, "IncompleteSignature", "SignedHeaders are not sorted")
    must = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if "content-type" in headers:
        must.add("content-type")
    if missing := must.difference(signed):
        raise _mismatch(f"Headers must be signed: {sorted(missing)}")


def verify(claim: Claim, request: Request, secret: str, now: datetime) -> None:
    """Raise RefusalError unless *request* was signed with *secret*, about *now*."""
    date = request.headers.get("x-amz-date", "")
    signed_at = _signed_at(date, claim)
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    if signed_at < now - TOLERANCE:
        raise _mismatch(f"Signature expired: {date} is now earlier than {stamp}")
    if signed_at > now + TOLERANCE:
        raise _mismatch(f"Signature not yet current: {date} is still later than {stamp}")
    scope = f"{claim.day}/{claim.region}/sts/aws4_request"
    canonical = _canonical(claim, request)
    digest = sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    key = _signing_key(secret, claim.day, claim.region)
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), claim.signature):
        # AWS quotes the canonical request, headers and all: the session token is in it.
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided. "
            f"The Canonical String for this request should have been\n'{canonical}'"
        )


def _signed_at(date: str, claim: Claim) -> datetime:
    try:
        signed_at = datetime.fromisoformat(date if _DATE.fullmatch(date) else "")
    except ValueError:
        raise RefusalError(400, "IncompleteSignature", "X-Amz-Date is missing or odd") from None
    if date[:8] != claim.day:
        raise _mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version")
    return signed_at


def _canonical(claim: Claim, request: Request) -> str:
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in claim.signed
    )
    query = "&".join(
        sorted(part if "=" in part else f"{part}=" for part in request.query.split("&") if part)
    )
    body = sha256(request.body).hexdigest()
    parts = (request.method, request.path, query, headers, ";".join(claim.signed), body)
    return "\n".join(parts)


@lru_cache(maxsize=1024)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "sts", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _mismatch(message: str) -> RefusalError:
    return RefusalError(403, "SignatureDoesNotMatch", message)
