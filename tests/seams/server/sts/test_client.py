"""Calls of STS against the strict fake: what comes back, and what each failure becomes."""

import asyncio
import random
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.aws import USER, forget_machine
from fakes.clock import FakeClock
from fakes.sts import (
    BODY_CUT,
    DROPPED,
    HEAD_CUT,
    SILENT,
    Answer,
    FakeSts,
    Fault,
    Key,
    Refusal,
    Role,
)
from rolecall_proto.values import Reason
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import RefusedError, ThrottledError, UnavailableError
from rolecall_server.sts.error_codes import CallOutcome
from seams.server.sts.rig import Rig

HOUR = timedelta(hours=1)
READER = Identity("arn:aws:iam::111122223333:role/reader", "shop.cart", HOUR)


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_machine(monkeypatch, tmp_path)


async def test_an_identity_becomes_credentials_that_work() -> None:
    """What is issued is what GetCallerIdentity then knows as that role's session."""
    rig = Rig()
    async with rig.connected() as sts:
        issued = await sts.issue(READER)

        assert issued.credentials.issued_at == rig.clock.now()
        assert issued.credentials.expires_at == rig.clock.now() + HOUR
        assert issued.request_id == rig.fake.calls[-1].request_id
        # Who holds the pod's credentials is the pod: a second issuer stands in for it.
        rig.wallet.key = rig.fake.account.keys[issued.credentials.access_key_id]
        async with rig.another() as pod:
            caller = await pod.caller()

    assert caller.arn == "arn:aws:sts::111122223333:assumed-role/reader/shop.cart"
    assert caller.is_role


async def test_everything_that_an_identity_says_arrives() -> None:
    """External id, tags, source identity and policies pass the strict fake, and are counted."""
    rig = Rig()
    rig.fake.account.roles[READER.role_arn] = Role(READER.role_arn, external_id="a+b:c")
    rich = Identity(
        READER.role_arn,
        "shop.cart",
        HOUR,
        external_id="a+b:c",
        source_identity="me",
        tags=(("cluster", "c one"), ("é", "ü")),
        transitive_tags=("cluster",),
        policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*"}]}',
        policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
        region="eu-west-1",
    )
    async with rig.connected() as sts:
        issued = await sts.issue(rich)

    assert issued.packed_policy_percent is not None
    assert 0 < issued.packed_policy_percent <= 100
    principal = rig.fake.account.keys[issued.credentials.access_key_id].principal
    assert principal.source_identity == "me"
    assert principal.transitive_tags == {"cluster": "c one"}


async def test_tokens_of_several_kilobytes_are_taken() -> None:
    """AWS promises no greatest size of a token."""
    rig = Rig()
    rig.fake.account.mint._token_length = 20_000  # noqa: SLF001 (the fake is ours)
    async with rig.connected() as sts:
        issued = await sts.issue(READER)

    assert len(issued.credentials.session_token.reveal()) == 20_000


async def test_another_region_is_refused_without_a_call() -> None:
    """An identity of another region would silently be issued by the wrong one."""
    rig = Rig()
    async with rig.connected() as sts:
        with pytest.raises(RefusedError, match="eu-west-1, not in us-east-1"):
            await sts.issue(Identity(READER.role_arn, "shop.cart", HOUR, region="us-east-1"))

    assert rig.fake.calls == []


REFUSED = [
    (Role(READER.role_arn, trusts=("444455556666",)), READER, Reason.ACCESS_DENIED, "AccessDenied"),
    (Role(READER.role_arn, external_id="x1"), READER, Reason.ACCESS_DENIED, "sts:AssumeRole"),
    (
        Role(READER.role_arn),
        Identity(READER.role_arn, "shop.cart", 2 * HOUR),
        Reason.REQUEST_INVALID,
        "MaxSessionDuration",
    ),
    (
        Role(READER.role_arn),
        Identity(READER.role_arn, "shop.cart", HOUR, policy="{"),
        Reason.REQUEST_INVALID,
        "MalformedPolicyDocument",
    ),
    (
        Role(READER.role_arn),
        Identity(READER.role_arn, "shop cart", HOUR),
        Reason.REQUEST_INVALID,
        "roleSessionName",
    ),
]


@pytest.mark.parametrize(("role", "identity", "reason", "text"), REFUSED)
async def test_a_no_is_refused_with_its_reason(
    role: Role, identity: Identity, reason: Reason, text: str
) -> None:
    """Trust, external id, duration, policy: one call, the class, and STS's own words."""
    rig = Rig()
    rig.fake.account.roles[role.arn] = role
    async with rig.connected() as sts:
        with pytest.raises(RefusedError) as caught:
            await sts.issue(identity)

    assert caught.value.reason is reason
    assert text in caught.value.explanation
    assert len(rig.fake.calls) == 1


async def test_a_packed_policy_that_is_too_large_has_its_own_reason() -> None:
    """Tags and policy share a size that only STS can tell."""
    rig = Rig()
    dice = random.Random(0)  # noqa: S311 (text that does not pack well)
    tags = tuple((f"key{n}", dice.randbytes(128).hex()) for n in range(20))
    async with rig.connected() as sts:
        with pytest.raises(RefusedError) as caught:
            await sts.issue(Identity(READER.role_arn, "shop.cart", HOUR, tags=tags))

    assert caught.value.reason is Reason.PACKED_POLICY_TOO_LARGE
    assert "of allotted space" in caught.value.explanation


PASSING: list[tuple[Fault, type[Exception], CallOutcome]] = [
    (Refusal(400, "Throttling"), ThrottledError, CallOutcome.THROTTLED),
    (Answer(b"slow down", 429), ThrottledError, CallOutcome.THROTTLED),
    (Refusal(503, "ServiceUnavailable"), UnavailableError, CallOutcome.UNAVAILABLE),
    (Refusal(500, "InternalFailure"), UnavailableError, CallOutcome.UNAVAILABLE),
    (Refusal(403, "RegionDisabledException"), UnavailableError, CallOutcome.UNAVAILABLE),
    (Answer(b"<html>bad gateway</html>", 502), UnavailableError, CallOutcome.UNAVAILABLE),
    (Answer(b"<html>sign in</html>", 200), UnavailableError, CallOutcome.MALFORMED),
    (Answer(b"<html>forbidden</html>", 403), UnavailableError, CallOutcome.MALFORMED),
    (
        Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}),
        UnavailableError,
        CallOutcome.MALFORMED,
    ),
    (Answer(b"<AssumeRoleResponse/>"), UnavailableError, CallOutcome.MALFORMED),
    (Answer(b"x" * 65_537), UnavailableError, CallOutcome.MALFORMED),
    (DROPPED, UnavailableError, CallOutcome.NETWORK),
    (HEAD_CUT, UnavailableError, CallOutcome.NETWORK),
    (BODY_CUT, UnavailableError, CallOutcome.NETWORK),
    (SILENT, UnavailableError, CallOutcome.TIMEOUT),
]


@pytest.mark.parametrize(("fault", "error", "outcome"), PASSING, ids=str)
async def test_what_may_pass_is_no_refusal(
    fault: Fault, error: type[Exception], outcome: CallOutcome
) -> None:
    """One call, the right error, counted by its class; and the next call succeeds."""
    rig = Rig()
    rig.fake.script(fault)
    # Long enough for the next call, too.
    options = {"patience": timedelta(seconds=3)} if fault is SILENT else {}
    async with rig.connected(**options) as sts:
        with pytest.raises(error):
            await sts.issue(READER)
        assert len(rig.fake.calls) == 1
        await sts.issue(READER)

    assert rig.outcomes == [outcome, CallOutcome.OK]


async def test_nobody_listens() -> None:
    """A refused connection is unavailability, and says which host."""
    rig = Rig()
    async with rig.connected() as sts:
        await rig.fake.close()
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
            await sts.issue(READER)


async def test_expired_own_credentials_are_renewed_once_and_the_call_made_again() -> None:
    """Nobody above notices."""
    rig = Rig()
    ends = rig.clock.now() + timedelta(seconds=30)
    old = Key("ASIAOLDOLDOLDOLDOLD0", "old", USER.principal, "token", ends)
    rig.fake.account.keys[old.access_key_id] = old
    rig.wallet.key = old
    async with rig.connected() as sts:
        await sts.issue(READER)
        rig.clock.advance(timedelta(seconds=30))
        rig.wallet.key = USER
        await sts.issue(READER)

    assert rig.outcomes == [CallOutcome.OK, CallOutcome.OWN_CREDENTIALS, CallOutcome.OK]
    assert [call.outcome for call in rig.fake.calls] == ["ok", "ExpiredToken", "ok"]


async def test_a_crowd_with_expired_credentials_renews_once() -> None:
    """Fifty calls fail together; the chain is looked through once, and each is made again once."""
    rig = Rig()
    bad = Key("AKIANOBODYKNOWSIT000", "bad", USER.principal)
    rig.wallet.key = bad
    async with rig.connected() as sts:
        with pytest.raises(UnavailableError):
            await sts.caller()
        looks, calls = rig.wallet.looks, len(rig.fake.calls)
        rig.wallet.key = USER
        rig.clock.advance(timedelta(seconds=5))
        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                identity = Identity(f"{READER.role_arn}{number}", "shop.cart", HOUR)
                tasks.create_task(sts.issue(identity), name=f"issue {number}")

    assert rig.wallet.looks == looks + 1
    assert len(rig.fake.calls) == calls + 100


async def test_own_credentials_that_are_the_same_again_are_not_tried_again() -> None:
    """Where the chain has nothing newer, a second call would only be a second refusal."""
    rig = Rig()
    rig.wallet.key = Key(USER.access_key_id, "wrong", USER.principal)
    async with rig.connected() as sts:
        with pytest.raises(UnavailableError, match="SignatureDoesNotMatch"):
            await sts.issue(READER)

    assert len(rig.fake.calls) == 1


async def test_credentials_that_were_renewed_in_vain_are_unavailability() -> None:
    """One renewal, one more call, and then the scheduler's back-off takes over."""
    rig = Rig()
    rig.fake.script(Refusal(403, "ExpiredToken"), times=None)
    newer = Key("AKIANEWERNEWERNEWER0", "newer", USER.principal)
    rig.fake.account.keys[newer.access_key_id] = newer
    async with rig.connected() as sts:
        rig.fake.clear()
        await sts.caller()
        rig.fake.script(Refusal(403, "ExpiredToken"), times=None)
        rig.wallet.key = newer
        with pytest.raises(UnavailableError, match="renewed"):
            await sts.issue(READER)

    assert [call.outcome for call in rig.fake.calls] == ["ok", "ExpiredToken", "ExpiredToken"]


async def test_a_clock_that_is_wrong_is_named() -> None:
    """The operator learns by how much, and own credentials are left alone."""
    rig = Rig()
    theirs = FakeClock(rig.clock.now() + timedelta(minutes=20))
    rig.fake = FakeSts(USER, any_role=True, clock=theirs)
    async with rig.connected() as sts:
        with pytest.raises(UnavailableError, match="clock is 1200 s behind STS's"):
            await sts.issue(READER)

    assert rig.outcomes == [CallOutcome.CLOCK_SKEW]
    assert len(rig.fake.calls) == 1


async def test_no_secret_is_in_any_error() -> None:
    """STS quotes the signed request, session token and all, when a signature does not match."""
    rig = Rig()
    secret, token = "canary-secret-key", "canary-session-token"
    rig.wallet.key = Key("ASIAEXAMPLEEXAMPLE00", secret, USER.principal, token)
    known = Key("ASIAEXAMPLEEXAMPLE00", "another", USER.principal, token)
    rig.fake.account.keys[known.access_key_id] = known
    faults: list[Fault | None] = [
        None,
        Refusal(400, "ValidationError", f"you said {token} and {secret}"),
        Answer(f"{token} {secret}".encode(), 400),
        HEAD_CUT,
    ]
    texts = []
    async with rig.connected() as sts:
        for fault in faults:
            if fault is not None:
                rig.fake.account.keys[known.access_key_id] = rig.wallet.key
                rig.fake.script(fault)
            with pytest.raises((RefusedError, UnavailableError)) as caught:
                await sts.issue(READER)
            texts.append("".join(traceback.format_exception(caught.value)) + repr(caught.value))

    assert len(texts) == len(faults)
    assert not [text for text in texts if "canary" in text]


async def test_200_cold_calls_go_out_at_once() -> None:
    """None waits for another: all 200 are at STS before one is answered."""
    rig = Rig()
    rig.fake.latency = timedelta(milliseconds=100)
    async with rig.connected() as sts, asyncio.TaskGroup() as tasks:
        calls = [
            tasks.create_task(
                sts.issue(replace(READER, role_arn=f"{READER.role_arn}{n}")), name=f"{n}"
            )
            for n in range(200)
        ]
        await rig.clock.asleep(200)
        rig.clock.advance(timedelta(milliseconds=100))

    assert len({call.result().credentials.access_key_id for call in calls}) == 200
