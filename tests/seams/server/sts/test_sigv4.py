"""The signature is botocore's, byte for byte, in a fifth of its time."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # it ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # it ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given
from hypothesis import strategies as st

from rolecall_common.secret import Secret
from rolecall_server.model.identity import Identity
from rolecall_server.sts import requests
from rolecall_server.sts.own_credentials import OwnCredentials
from rolecall_server.sts.sigv4 import FORM_TYPE, Signer

NOW = datetime(2030, 1, 1, 12, 34, 56, tzinfo=UTC)
HOST = "sts.eu-west-1.amazonaws.com"
RICH = Identity(
    role_arn="arn:aws:iam::111122223333:role/team/reader",
    session_name="ns.sa",
    duration=timedelta(minutes=15),
    external_id="a+b:c/d=e@f",
    source_identity="me",
    tags=(("a key", "a+value"), ("é", "ü/%&=")),
    transitive_tags=("a key",),
    policy='{"Statement": []}',
    policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
)


class Pinned(SigV4Auth):  # type: ignore[misc]  # botocore ships no types
    """botocore's signer at a moment of our own."""

    def sign(self, request: AWSRequest) -> str:
        request.context["timestamp"] = NOW.strftime("%Y%m%dT%H%M%SZ")
        request.headers["X-Amz-Date"] = request.context["timestamp"]
        if self.credentials.token:
            request.headers["X-Amz-Security-Token"] = self.credentials.token
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))
        return str(request.headers["Authorization"])


def botocores(body: bytes, keys: OwnCredentials) -> str:
    token = keys.session_token.reveal() if keys.session_token else None
    credentials = Credentials(keys.access_key_id, keys.secret_access_key.reveal(), token)
    request = AWSRequest("POST", f"https://{HOST}/", {"Content-Type": FORM_TYPE}, body)
    return Pinned(credentials, "sts", "eu-west-1").sign(request)


@given(
    body=st.binary(max_size=200),
    secret=st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1),
    token=st.none() | st.from_regex(r"[A-Za-z0-9+/=]{1,80}", fullmatch=True),
)
def test_the_signature_is_botocores(body: bytes, secret: str, token: str | None) -> None:
    """Whatever the body and the keys, with a session token or without."""
    keys = OwnCredentials("AKIAEXAMPLEEXAMPLE00", Secret(secret), Secret(token) if token else None)

    ours = Signer(HOST, "eu-west-1").headers(body, keys, NOW)

    assert ours["Authorization"] == botocores(body, keys)


def test_the_derived_key_follows_the_day_and_the_keys() -> None:
    """One signer signs on: past midnight, and with renewed keys."""
    signer = Signer(HOST, "eu-west-1")
    old = OwnCredentials("AKIAEXAMPLEEXAMPLE00", Secret("old"))
    new = OwnCredentials("AKIAEXAMPLEEXAMPLE00", Secret("new"))
    moments = [(old, NOW), (old, NOW + timedelta(days=1)), (new, NOW), (old, NOW)]

    ours = [signer.headers(b"x", keys, now) for keys, now in moments]

    fresh = [Signer(HOST, "eu-west-1").headers(b"x", keys, now) for keys, now in moments]
    assert ours == fresh


@pytest.mark.parametrize(
    "identity", [RICH, Identity("arn:aws:iam::111122223333:role/a", "b", timedelta(hours=1))]
)
def test_the_form_says_all_that_the_identity_does(identity: Identity) -> None:
    """Every field reaches STS, lists numbered from one."""
    said = dict(parse_qsl(requests.assume_role(identity).decode(), strict_parsing=True))

    expected = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": identity.role_arn,
        "RoleSessionName": identity.session_name,
        "DurationSeconds": str(int(identity.duration.total_seconds())),
    }
    if identity is RICH:
        expected |= {
            "ExternalId": "a+b:c/d=e@f",
            "SourceIdentity": "me",
            "Tags.member.1.Key": "a key",
            "Tags.member.1.Value": "a+value",
            "Tags.member.2.Key": "é",
            "Tags.member.2.Value": "ü/%&=",
            "TransitiveTagKeys.member.1": "a key",
            "Policy": '{"Statement": []}',
            "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        }
    assert said == expected
