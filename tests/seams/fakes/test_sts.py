"""The strict fake itself: real boto3 is served, and what AWS refuses is refused."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # it ships no types
import pytest
from aiohttp import ClientSession
from botocore.config import Config  # type: ignore[import-untyped]  # it ships no types
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # it ships no types
from moto.server import ThreadedMotoServer

from fakes.aws import USER, forget_machine, holding
from fakes.sts import FakeSts, Key, Principal, Role
from rolecall_common.clock import SystemClock
from rolecall_server.model.identity import Identity
from rolecall_server.sts.factory import open_client
from rolecall_server.sts.options import StsOptions

READER = "arn:aws:iam::111122223333:role/team/reader"
POLICY = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_machine(monkeypatch, tmp_path)


def client(url: str, key: Key, **config: Any) -> Any:  # noqa: ANN401 (boto3's clients have no type)
    return boto3.client(
        "sts",
        region_name=config.pop("region", "eu-west-1"),
        endpoint_url=url,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret,
        aws_session_token=key.token,
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, **config),
    )


def issued_key(answer: dict[str, Any]) -> Key:
    given = answer["Credentials"]
    return Key(given["AccessKeyId"], given["SecretAccessKey"], Principal(""), given["SessionToken"])


async def refusal(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(call)
    said = caught.value.response
    return said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]


async def test_real_boto3_assumes_a_role_and_is_it() -> None:
    """The whole round: user, session, GetCallerIdentity, and a chained second role."""
    async with FakeSts(USER, any_role=True) as fake:
        user = client(fake.url, USER)
        assert (await asyncio.to_thread(user.get_caller_identity))["Arn"] == USER.principal.arn
        first = await asyncio.to_thread(
            lambda: user.assume_role(
                RoleArn=READER,
                RoleSessionName="a.b",
                Policy=POLICY,
                Tags=[{"Key": "k", "Value": "v"}],
            )
        )
        session = client(fake.url, issued_key(first))
        caller = await asyncio.to_thread(session.get_caller_identity)
        second = await asyncio.to_thread(
            lambda: session.assume_role(RoleArn=READER, RoleSessionName="c.d")
        )

    assert caller["Arn"] == "arn:aws:sts::111122223333:assumed-role/reader/a.b"
    assert caller["Account"] == "111122223333"
    assert first["PackedPolicySize"] > 0
    assert second["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert [call.outcome for call in fake.calls] == ["ok"] * 4


TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"RoleArn": "garbage"}, "ValidationError"),
    ({"RoleArn": "garbage-of-twenty-letters"}, "ValidationError"),
    ({"RoleArn": "arn:aws:s3:::bucket-of-a-good-length"}, "ValidationError"),
    ({"RoleArn": "arn:aws:iam::111122223333:role/" + "x" * 2048}, "ValidationError"),
    ({"RoleArn": "arn:aws:iam::111122223333:role/missing"}, "AccessDenied"),
    ({"RoleArn": "arn:aws:iam::111122223333:role/untrusting"}, "AccessDenied"),
    ({"RoleSessionName": "x"}, "ValidationError"),
    ({"RoleSessionName": "x" * 65}, "ValidationError"),
    ({"RoleSessionName": "two words"}, "ValidationError"),
    ({"RoleSessionName": "é-é"}, "ValidationError"),
    ({"DurationSeconds": 899}, "ValidationError"),
    ({"DurationSeconds": 43_201}, "ValidationError"),
    ({"DurationSeconds": 3601}, "ValidationError"),
    ({"ExternalId": "x"}, "ValidationError"),
    ({"ExternalId": "x" * 1225}, "ValidationError"),
    ({"ExternalId": "a b"}, "ValidationError"),
    ({"RoleArn": "arn:aws:iam::111122223333:role/external"}, "AccessDenied"),
    (
        {"RoleArn": "arn:aws:iam::111122223333:role/external", "ExternalId": "other"},
        "AccessDenied",
    ),
    ({"SourceIdentity": "a b"}, "ValidationError"),
    ({"Policy": "{"}, "MalformedPolicyDocument"),
    ({"Policy": "[]"}, "MalformedPolicyDocument"),
    ({"Policy": '{"Statement": [{"Effect": "Maybe"}]}'}, "MalformedPolicyDocument"),
    ({"Policy": POLICY + " " * 2048}, "ValidationError"),
    ({"Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(51)]}, "ValidationError"),
    ({"Tags": [{"Key": "k", "Value": "v"}, {"Key": "K", "Value": "v"}]}, "InvalidParameterValue"),
    ({"Tags": [{"Key": "k" * 129, "Value": "v"}]}, "ValidationError"),
    ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "ValidationError"),
    ({"Tags": [{"Key": "aws:k", "Value": "v"}]}, "ValidationError"),
    ({"Tags": [{"Key": "k", "Value": "<"}]}, "ValidationError"),
    ({"TransitiveTagKeys": ["k"]}, "InvalidParameterValue"),
    ({"RoleArn": "arn:aws:iam::111122223333:role/plain", "SourceIdentity": "me"}, "AccessDenied"),
    (
        {
            "RoleArn": "arn:aws:iam::111122223333:role/plain",
            "Tags": [{"Key": "k", "Value": "v"}],
        },
        "AccessDenied",
    ),
    ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/x"}] * 11}, "ValidationError"),
    ({"PolicyArns": [{"arn": "arn:aws:iam::aws:role/x"}]}, "ValidationError"),
]

ROLES = (
    Role(READER),
    Role("arn:aws:iam::111122223333:role/untrusting", trusts=("arn:aws:iam::444455556666:root",)),
    Role("arn:aws:iam::111122223333:role/external", external_id="the-one"),
    Role("arn:aws:iam::111122223333:role/plain", allows_tags=False, allows_source_identity=False),
)


@pytest.mark.parametrize(("asked", "code"), TOO_MUCH)
async def test_what_aws_refuses_is_refused(asked: dict[str, Any], code: str) -> None:
    """Every limit of AssumeRole, one by one, through real boto3."""
    request = {"RoleArn": READER, "RoleSessionName": "a.b"} | asked
    async with FakeSts(USER, roles=ROLES) as fake:
        said = await refusal(lambda: client(fake.url, USER).assume_role(**request))

    assert said == (code, 403 if code == "AccessDenied" else 400)


@pytest.mark.parametrize(
    ("trusts", "allowed"),
    [
        (("*",), True),
        (("111122223333",), True),
        (("arn:aws:iam::111122223333:root",), True),
        (("arn:aws:iam::111122223333:user/rolecall",), True),
        (("arn:aws:iam::111122223333:user/other",), False),
        (("arn:aws:iam::444455556666:root",), False),
        ((), False),
    ],
)
def test_a_trust_policy_names_its_principals(
    trusts: tuple[str, ...],
    allowed: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    """Everyone, an account by number or root, or one principal."""
    assert Role(READER, trusts=trusts).is_trusting(USER.principal) is allowed


async def test_a_signature_that_does_not_fit_is_refused() -> None:
    """Wrong secret, wrong region, unknown key, foreign token, no signature at all."""
    async with FakeSts(USER, any_role=True, region="eu-west-1") as fake:
        wrong = Key(USER.access_key_id, "wrong", USER.principal)
        unknown = Key("AKIANOBODYNOBODY0000", "x", USER.principal)
        foreign = Key(USER.access_key_id, USER.secret, USER.principal, "token")
        said = [
            await refusal(client(fake.url, wrong).get_caller_identity),
            await refusal(client(fake.url, USER, region="eu-west-2").get_caller_identity),
            await refusal(client(fake.url, unknown).get_caller_identity),
            await refusal(client(fake.url, foreign).get_caller_identity),
        ]
        async with ClientSession() as http, http.post(fake.url, data={"Action": "x"}) as answer:
            unsigned = await answer.text()

    assert said == [
        ("SignatureDoesNotMatch", 403),
        ("SignatureDoesNotMatch", 403),
        ("InvalidClientTokenId", 403),
        ("InvalidClientTokenId", 403),
    ]
    assert "MissingAuthenticationToken" in unsigned


async def test_a_chained_session_has_one_hour_and_keeps_what_is_transitive() -> None:
    """Longer ones, other source identities and inherited tags are refused."""
    async with FakeSts(USER, any_role=True) as fake:
        first = await asyncio.to_thread(
            lambda: client(fake.url, USER).assume_role(
                RoleArn=READER,
                RoleSessionName="a.b",
                SourceIdentity="me",
                Tags=[{"Key": "team", "Value": "x"}],
                TransitiveTagKeys=["team"],
            )
        )
        session = client(fake.url, issued_key(first))
        more: list[dict[str, Any]] = [
            {"DurationSeconds": 3601},
            {"SourceIdentity": "you"},
            {"Tags": [{"Key": "Team", "Value": "y"}]},
        ]
        said = [
            await refusal(
                lambda extra=extra: session.assume_role(  # type: ignore[misc]  # a default argument
                    RoleArn=READER, RoleSessionName="c.d", **extra
                )
            )
            for extra in more
        ]

    assert [code for code, _ in said] == [
        "ValidationError",
        "AccessDenied",
        "InvalidParameterValue",
    ]


async def test_whoever_runs_it_as_a_process_can_change_the_weather_and_count() -> None:
    """The fake's own paths serve benchmarks and the lab."""
    async with FakeSts(USER, any_role=True) as fake, ClientSession(fake.url) as http:
        await asyncio.to_thread(client(fake.url, USER).get_caller_identity)
        async with http.get("/_fake/calls") as answer:
            counted = await answer.json()
        weather = {"latency": 0.25, "outage": 1, "rate": 10}
        async with http.put("/_fake/weather", json=weather) as answer:
            assert answer.status == 200
        async with http.delete("/_fake/calls") as answer:
            assert answer.status == 200

    assert counted == {"total": 1, "outcomes": {"GetCallerIdentity:ok": 1}, "roles": {}}
    assert (fake.latency, fake.outage, fake.calls) == (timedelta(seconds=0.25), True, [])


async def test_moto_takes_the_same_requests() -> None:
    """A second STS, of other people's making, reads our requests and knows what it issued."""
    server = ThreadedMotoServer("127.0.0.1", port=0)
    await asyncio.to_thread(server.start)
    try:
        host, port = server.get_host_and_port()
        options = StsOptions(region="eu-west-1", endpoint=f"http://{host}:{port}")
        identity = Identity(
            READER,
            "shop.cart",
            timedelta(hours=1),
            external_id="the-one",
            tags=(("k", "v"),),
            policy=POLICY,
        )
        async with open_client(
            options, SystemClock(), environ={}, make_session=holding(USER)
        ) as sts:
            issued = await sts.issue(identity)
        got = issued.credentials
        pod = Key(
            got.access_key_id,
            got.secret_access_key.reveal(),
            Principal(""),
            got.session_token.reveal(),
        )
        async with open_client(
            options, SystemClock(), environ={}, make_session=holding(pod)
        ) as sts:
            caller = await sts.caller()
    finally:
        await asyncio.to_thread(server.stop)

    # moto keeps the role's path, which AWS drops.
    assert caller.arn.startswith("arn:aws:sts::")
    assert caller.arn.endswith("reader/shop.cart")
    assert timedelta(hours=1) <= got.expires_at - got.issued_at < timedelta(hours=1, minutes=1)
