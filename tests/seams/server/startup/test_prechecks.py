"""What the server reads and asks before it serves, and what it refuses to start with."""

import asyncio
import logging
import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.clock import START, FakeClock
from rolecall_common.lifecycle import StartError
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_server.model.issuer import ThrottledError, UnavailableError
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.settings import Settings
from rolecall_server.startup import prechecks
from rolecall_server.sts.replies import Caller

HOUR = timedelta(hours=1)
USER = "arn:aws:iam::111122223333:user/rolecall"
ROLE = "arn:aws:sts::111122223333:assumed-role/rolecall/i-0123456789"
BASE = "arn:aws:iam::444455556666:role/"


def settings(**flags: Raw) -> Settings:
    required: Mapping[str, Raw] = {
        "manifests": "pods",
        "tls_certificate": "tls.crt",
        "tls_key": "tls.key",
    }
    return load_settings(Settings, {**required, **flags}, {}, None)


class ScriptedSts:
    """Says who the server is, after as many failures as the test wants."""

    def __init__(self, arn: str, *failures: Exception) -> None:
        self.asked = 0
        self._answer = Caller(arn)
        self._failures = list(failures)

    async def caller(self) -> Caller:
        self.asked += 1
        if self._failures:
            raise self._failures.pop(0)
        return self._answer


async def asked(
    sts: ScriptedSts, clock: FakeClock | None = None, **flags: Raw
) -> tuple[BaseArn, timedelta]:
    dice = random.Random(1)  # noqa: S311 - dice, not keys
    return await prechecks.base_and_duration(settings(**flags), sts, clock or FakeClock(), dice)  # type: ignore[arg-type]  # it asks who the caller is, and nothing else


async def test_sts_is_not_asked_where_its_answer_would_change_nothing() -> None:
    """A base that is set and an hour that everybody may have: the start depends on nobody."""
    sts = ScriptedSts(USER)

    assert await asked(sts, base_arn=BASE) == (BaseArn.parse(BASE), HOUR)
    assert sts.asked == 0


async def test_short_names_are_of_the_servers_own_account_unless_a_base_is_set() -> None:
    """Most clusters have their roles where the server's is."""
    base, _ = await asked(ScriptedSts(USER))

    assert base.prefix == "arn:aws:iam::111122223333:role/"


async def test_long_sessions_are_for_those_that_are_no_role_themselves() -> None:
    """STS gives a role's session an hour at most, however long is asked for."""
    for arn, lasts in ((USER, 4 * HOUR), (ROLE, HOUR)):
        flags: dict[str, Raw] = {"base_arn": BASE, "session_duration": "4h"}
        assert await asked(ScriptedSts(arn), **flags) == (BaseArn.parse(BASE), lasts)


async def test_a_cap_that_breaks_the_promise_is_refused_with_the_sum() -> None:
    """What was asked for would keep it, and what can be had does not."""
    flags: dict[str, Raw] = {"session_duration": "4h", "reported_early": "25m"}
    with pytest.raises(StartError, match="is itself a role: sessions last 1h at most") as caught:
        await asked(ScriptedSts(ROLE), **flags)

    assert str(caught.value).startswith("reportedEarly: ")
    assert "0.52 x 1h - 25m (reportedEarly) = 6m12s" in str(caught.value)
    assert (await asked(ScriptedSts(USER), **flags))[1] == 4 * HOUR
    allowed = await asked(ScriptedSts(ROLE), **flags, allow_short_sessions="true")
    assert allowed[1] == HOUR


async def test_a_silent_sts_is_asked_until_it_says_who_the_server_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A network that comes up late is no reason to crash; each failure is a line with its cause."""
    clock = FakeClock()
    failures = [UnavailableError("no answer"), ThrottledError("slower"), UnavailableError("no")]
    sts = ScriptedSts(USER, *failures)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(asked(sts, clock))
        waits = []
        for _ in failures:
            await clock.asleep()
            assert clock.next_wake is not None
            waits.append(clock.next_wake - clock.now())
            clock.advance_to(clock.next_wake)

    assert asking.result()[0].prefix == "arn:aws:iam::111122223333:role/"
    assert sts.asked == 4
    assert caplog.messages == ["STS does not say who the server is"] * 3
    for wait, most in zip(waits, (0.5, 1, 2), strict=True):
        assert 0.8 * most <= wait.total_seconds() <= most


async def test_a_start_that_is_given_up_while_it_asks_ends_at_once() -> None:
    """SIGTERM does not wait for STS."""
    clock = FakeClock()
    sts = ScriptedSts(USER, *[UnavailableError("no answer")] * 100)
    asking = asyncio.create_task(asked(sts, clock))
    await clock.asleep()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert clock.now() == START
    assert sts.asked == 1


def test_without_a_file_each_process_has_a_secret_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Which is said, for tokens end with it."""
    caplog.set_level(logging.INFO, logger="rolecall_server.startup.prechecks")

    assert len({prechecks.token_secret(None) for _ in range(3)}) == 3
    assert caplog.messages[0] == "metadata tokens end with this process: no tokenSecretFile is set"


def test_a_secrets_file_is_the_same_on_every_replica(tmp_path: Path) -> None:
    """All of its bytes count, whatever they are."""
    file = tmp_path / "secret"
    file.write_bytes(bytes(range(32)))

    assert prechecks.token_secret(file) == bytes(range(32))


@pytest.mark.parametrize("size", [0, 31])
def test_a_secret_that_is_too_short_is_refused(tmp_path: Path, size: int) -> None:
    """The message names the file, and none of its bytes."""
    file = tmp_path / "secret"
    file.write_bytes(b"k" * size)
    with pytest.raises(StartError) as caught, prechecks.refusing("tokenSecretFile"):
        prechecks.token_secret(file)

    assert str(caught.value) == f"tokenSecretFile: {file} has less than 32 bytes"


def test_a_device_is_not_read_for_ever() -> None:
    """Somebody may take /dev/urandom for a good idea; the process starts, at least."""
    assert len(prechecks.token_secret(Path("/dev/zero"))) == 64 * 1024


def test_a_file_that_cannot_be_read_is_named_with_the_systems_reason(tmp_path: Path) -> None:
    """And with the setting that led to it."""
    with pytest.raises(StartError) as caught, prechecks.refusing("tokenSecretFile"):
        prechecks.token_secret(tmp_path / "absent")

    reason = "No such file or directory"
    assert str(caught.value) == f"tokenSecretFile: {tmp_path / 'absent'}: {reason}"


def test_a_bug_is_no_refusal() -> None:
    """Only what a setting can lead to is turned into a line; all else keeps its traceback."""
    with pytest.raises(ZeroDivisionError), prechecks.refusing("listen"):
        raise ZeroDivisionError("nobody foresaw this")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, []),
        ({"session_name": "{pod}"}, ["STS"]),
        ({"session_duration": "30m"}, ["sessions under 1h"]),
        (
            {
                "session_duration": "2h",
                "assume_role_arn": "arn:aws:iam::111122223333:role/rolecall",
            },
            ["sessionDuration is capped at 1h"],
        ),
    ],
    ids=["none", "a session a pod", "short", "chained"],
)
def test_what_works_and_has_a_consequence_is_said_at_the_start(
    flags: dict[str, Raw], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A sentence each, and none where all is as most people want it."""
    prechecks.log_cautions(settings(**flags))

    sentences = [str(vars(record)["sentence"]) for record in caplog.records]
    assert len(sentences) == len(said)
    for sentence, word in zip(sentences, said, strict=True):
        assert word in sentence


@pytest.mark.parametrize(
    "flags",
    [
        {"session_name": "{nobody}"},
        {"session_tags": "team={nobody}"},
        {"session_tags": "team=a,TEAM=b"},
        {"default_role": "a//b"},
    ],
)
def test_rules_that_cannot_be_are_refused_before_sts_is_asked(flags: dict[str, Raw]) -> None:
    """A mistake is said at once, not when the network is up."""
    with pytest.raises(StartError), prechecks.refusing():
        prechecks.log_cautions(settings(**flags))
