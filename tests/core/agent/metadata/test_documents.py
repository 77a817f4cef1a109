"""The role document."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.metadata.documents import role_document
from rolecall_common.secret import Secret
from rolecall_proto.values import Credentials, Session, SessionId

ISSUED = datetime(2026, 5, 4, 12, 0, 0, 999_999, tzinfo=UTC)


def test_the_document_has_seven_fields_in_ec2s_order() -> None:
    """Its end is the reported one, in whole seconds."""
    credentials = Credentials("ASIA", Secret("s"), Secret("t"), ISSUED, ISSUED + timedelta(hours=1))
    document = role_document(Session(SessionId("x"), credentials, ISSUED + timedelta(minutes=55)))

    assert list(json.loads(document).items()) == [
        ("Code", "Success"),
        ("LastUpdated", "2026-05-04T12:00:00Z"),
        ("Type", "AWS-HMAC"),
        ("AccessKeyId", "ASIA"),
        ("SecretAccessKey", "s"),
        ("Token", "t"),
        ("Expiration", "2026-05-04T12:55:00Z"),
    ]


@given(st.text(), st.text())
def test_no_credential_breaks_the_document(secret: str, token: str) -> None:
    """Whatever STS sent is quoted."""
    credentials = Credentials("ASIA", Secret(secret), Secret(token), ISSUED, ISSUED)
    document = json.loads(role_document(Session(SessionId("x"), credentials, ISSUED)))

    assert (document["SecretAccessKey"], document["Token"]) == (secret, token)
