"""What may come back from STS, and what is made of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_proto.values import Reason
from rolecall_server.sts.error_codes import REFUSALS, CallOutcome, classify
from rolecall_server.sts.replies import (
    MalformedReplyError,
    read_caller,
    read_error,
    read_session,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CREDENTIALS = (
    "<Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId>"
    "<SecretAccessKey>secret/+=</SecretAccessKey><SessionToken>token/+=</SessionToken>"
    "<Expiration>2030-01-01T01:00:00Z</Expiration></Credentials>"
)


def session(
    inside: str = CREDENTIALS, space: str = "https://sts.amazonaws.com/doc/2011-06-15/"
) -> str:
    return (
        f'<AssumeRoleResponse xmlns="{space}"><AssumeRoleResult>{inside}</AssumeRoleResult>'
        "<ResponseMetadata><RequestId>abc-1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )


def test_an_answer_of_sts_is_read_whole() -> None:
    """Credentials, their end, the request id and the packed size all arrive."""
    issued = read_session(
        session(CREDENTIALS + "<PackedPolicySize>6</PackedPolicySize>").encode(), NOW
    )

    assert issued.credentials.access_key_id == "ASIAEXAMPLEEXAMPLE00"
    assert issued.credentials.secret_access_key.reveal() == "secret/+="
    assert issued.credentials.session_token.reveal() == "token/+="
    assert issued.credentials.issued_at == NOW
    assert issued.credentials.expires_at == NOW + timedelta(hours=1)
    assert (issued.request_id, issued.packed_policy_percent) == ("abc-1", 6)


def test_the_successor_of_the_packed_size_is_read_as_well() -> None:
    """PackedPolicySize is deprecated in favour of SessionTokenUtilization."""
    body = session(CREDENTIALS + "<SessionTokenUtilization>7</SessionTokenUtilization>")

    assert read_session(body.encode(), NOW).packed_policy_percent == 7


def test_a_missing_request_id_spoils_nothing() -> None:
    """Credentials are worth more than the id of the call that brought them."""
    body = session().replace("<RequestId>abc-1</RequestId>", "")

    assert read_session(body.encode(), NOW).request_id == ""


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<",
        "<html><body>Sign in to the Wi-Fi</body></html>",
        '{"Credentials": {}}',
        session()[:200],
        session(""),
        session("<Credentials/>"),
        session(CREDENTIALS.replace("ASIAEXAMPLEEXAMPLE00", "short")),
        session(CREDENTIALS.replace("token/+=", "")),
        session(CREDENTIALS.replace("token/+=", "tok en")),
        session(CREDENTIALS.replace("token/+=", "tok&#10;en")),
        session(CREDENTIALS.replace("secret/+=", 'sec"ret')),
        session(CREDENTIALS.replace("secret/+=", "s\u00e9cret")),
        session(CREDENTIALS.replace("<Expiration>2030-01-01T01:00:00Z</Expiration>", "")),
        f"<!DOCTYPE x [<!ENTITY a 'b'>]>{session()}",
        session(CREDENTIALS.replace("secret/+=", "<![CDATA[secret]]>")),
        session().replace("AssumeRoleResponse", "AssumeRoleWithSAMLResponse"),
    ],
)
def test_what_sts_does_not_write_is_malformed(body: str) -> None:
    """Half answers, other documents, missing and odd fields are named, not believed."""
    with pytest.raises(MalformedReplyError):
        read_session(body.encode(), NOW)


@pytest.mark.parametrize(
    "end",
    [
        "2030-01-01T01:00:00",
        "2030-01-01 01:00:00Z",
        "2030-01-01T01:00:00+01:00",
        "2030-02-30T01:00:00Z",
        "2030-13-01T01:00:00Z",
        "٢٠٣٠-01-01T01:00:00Z",
        "1893459600",
        "2029-12-31T23:59:59Z",
        "2030-01-01T00:00:00Z",
        "2030-01-01T14:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_an_end_that_cannot_be_is_malformed(end: str) -> None:
    """Neither an odd date nor one outside of what AssumeRole gives is believed."""
    with pytest.raises(MalformedReplyError):
        read_session(session(CREDENTIALS.replace("2030-01-01T01:00:00Z", end)).encode(), NOW)


def test_other_name_spaces_are_read_too() -> None:
    """An STS of another make may name another space, or none."""
    assert read_session(session(space="urn:other").encode(), NOW).request_id == "abc-1"
    assert read_session(session(space="").encode(), NOW).request_id == "abc-1"


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    """The readers are total: no bytes at all make them raise anything else."""
    for read in (lambda b: read_session(b, NOW), read_caller, read_error):
        with pytest.raises(MalformedReplyError):
            read(body)


@given(
    st.text(max_size=60), st.sampled_from(["token/+=", "secret/+=", "2030-01-01T01:00:00Z", "ASIA"])
)
def test_any_text_in_any_field_is_read_or_malformed(text: str, field: str) -> None:
    """Text in a good document is as harmless as bytes outside of one."""
    body = session(CREDENTIALS.replace(field, text)).encode("utf-8", "replace")
    try:
        issued = read_session(body, NOW)
    except MalformedReplyError:
        return

    assert issued.credentials.session_token.reveal().isascii()


@pytest.mark.parametrize(
    ("arn", "is_role"),
    [
        ("arn:aws:iam::111122223333:user/rolecall", False),
        ("arn:aws:iam::111122223333:root", False),
        ("arn:aws-cn:sts::111122223333:assumed-role/server/i-0", True),
    ],
)
def test_the_caller_tells_who_it_is_and_whether_it_chains(
    arn: str,
    is_role: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    """A role's session issues chained ones."""
    caller = read_caller(
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>{arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>".encode()
    )

    assert (caller.arn, caller.is_role) == (arn, is_role)


@pytest.mark.parametrize(
    ("status", "code", "message", "outcome"),
    [
        (403, "AccessDenied", "", CallOutcome.ACCESS_DENIED),
        (400, "ValidationError", "", CallOutcome.INVALID),
        (400, "MalformedPolicyDocument", "", CallOutcome.INVALID),
        (400, "PackedPolicyTooLarge", "", CallOutcome.PACKED_POLICY_TOO_LARGE),
        (400, "Throttling", "", CallOutcome.THROTTLED),
        (503, "SlowDown", "", CallOutcome.THROTTLED),
        (429, "SomethingNew", "", CallOutcome.THROTTLED),
        (403, "ExpiredToken", "", CallOutcome.OWN_CREDENTIALS),
        (400, "ExpiredTokenException", "", CallOutcome.OWN_CREDENTIALS),
        (403, "InvalidClientTokenId", "", CallOutcome.OWN_CREDENTIALS),
        (403, "SignatureDoesNotMatch", "The request signature…", CallOutcome.OWN_CREDENTIALS),
        (403, "SignatureDoesNotMatch", "Signature expired: …", CallOutcome.CLOCK_SKEW),
        (403, "SignatureDoesNotMatch", "Signature not yet current: …", CallOutcome.CLOCK_SKEW),
        (403, "RegionDisabledException", "", CallOutcome.UNAVAILABLE),
        (500, "InternalFailure", "", CallOutcome.UNAVAILABLE),
        (502, "SomethingNew", "", CallOutcome.UNAVAILABLE),
        (400, "SomethingNew", "", CallOutcome.INVALID),
        (403, "SomethingNew", "", CallOutcome.ACCESS_DENIED),
    ],
)
def test_each_error_has_its_class(
    status: int, code: str, message: str, outcome: CallOutcome
) -> None:
    """The code decides; unknown ones go by their status."""
    assert classify(status, code, message) is outcome


def test_only_refusals_concern_the_identity() -> None:
    """Three outcomes deny an identity, each with its own reason."""
    assert set(REFUSALS.values()) == {
        Reason.ACCESS_DENIED,
        Reason.REQUEST_INVALID,
        Reason.PACKED_POLICY_TOO_LARGE,
    }
