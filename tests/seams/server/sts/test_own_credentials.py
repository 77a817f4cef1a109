"""The server's own credentials: where they come from, and how often they are fetched."""

import asyncio
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest
from botocore.session import Session  # type: ignore[import-untyped]  # it ships no types

from fakes.aws import forget_machine
from fakes.clock import FakeClock
from rolecall_common.secret import Secret
from rolecall_server.model.issuer import IssueError, UnavailableError
from rolecall_server.sts.aws_chain import FETCH_EVERY, LONGEST, AwsChain
from rolecall_server.sts.own_credentials import Fetched, OwnCredentials, OwnCredentialsProvider

OLD = OwnCredentials("AKIAOLD", Secret("old"))
NEW = OwnCredentials("AKIANEW", Secret("new"))
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_machine(monkeypatch, tmp_path)


class Source:
    """Something to fetch from, that a test can stop, change and break."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.keys = OLD
        self.failure: IssueError | None = None
        self.fetches = 0
        self.refused: OwnCredentials | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, refused: OwnCredentials | None = None) -> Fetched:
        self.fetches += 1
        self.refused = refused
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Fetched(self.keys, self.clock.now() + MINUTE)


def provided() -> tuple[Source, OwnCredentialsProvider, FakeClock]:
    clock = FakeClock()
    source = Source(clock)
    return source, OwnCredentialsProvider(source.fetch, clock), clock


async def test_keys_are_held_and_fetched_again_from_time_to_time() -> None:
    """One fetch a minute, however many calls there are."""
    source, provider, clock = provided()
    assert [await provider.current(), await provider.current()] == [OLD, OLD]
    source.keys = NEW
    clock.advance(MINUTE)

    assert [await provider.current(), await provider.current()] == [NEW, NEW]
    assert source.fetches == 2


async def test_a_crowd_shares_one_fetch() -> None:
    """Whoever comes while the first fetch is under way gets its outcome."""
    source, provider, _ = provided()
    source.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        crowd = [tasks.create_task(provider.current(), name=f"call {n}") for n in range(20)]
        await asyncio.sleep(0)
        source.gate.set()

    assert {task.result().access_key_id for task in crowd} == {"AKIAOLD"}
    assert source.fetches == 1


async def test_a_crowd_shares_one_failure() -> None:
    """A chain that finds nothing is not looked through once for each of them."""
    source, provider, _ = provided()
    source.failure = UnavailableError("no credentials")
    source.gate.clear()
    crowd = [asyncio.ensure_future(provider.current()) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()

    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert all(isinstance(result, UnavailableError) for result in results)
    assert source.fetches == 1


async def test_calls_go_on_with_what_is_held_while_a_fetch_is_slow() -> None:
    """A metadata service that hangs delays one call, not all of them."""
    source, provider, clock = provided()
    await provider.current()
    clock.advance(MINUTE)
    source.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(provider.current(), name="slow")
        await asyncio.sleep(0)
        assert await provider.current() == OLD
        assert not slow.done()
        source.gate.set()


async def test_a_failed_fetch_keeps_what_is_held() -> None:
    """Only STS can tell that keys are no good; the next fetch comes soon."""
    source, provider, clock = provided()
    await provider.current()
    clock.advance(MINUTE)
    source.failure = UnavailableError("metadata service away")

    assert [await provider.current(), await provider.current()] == [OLD, OLD]
    assert source.fetches == 2
    clock.advance(timedelta(seconds=10))
    source.failure, source.keys = None, NEW
    assert await provider.current() == NEW


async def test_a_fetch_that_was_cancelled_leaves_the_next_one_free() -> None:
    """The call that fetched may be cancelled; another takes its turn."""
    source, provider, _ = provided()
    source.gate.clear()
    first = asyncio.ensure_future(provider.current())
    second = asyncio.ensure_future(provider.current())
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()

    assert await second == OLD
    assert source.fetches == 2


async def test_refused_keys_that_were_renewed_meanwhile_need_no_fetch() -> None:
    """The fifty-first call to learn of the expiry finds the new keys there."""
    source, provider, _ = provided()
    await provider.current()
    source.keys = NEW

    assert await provider.renewed(OLD) == NEW
    assert await provider.renewed(OLD) == NEW
    assert source.fetches == 2


async def test_static_keys_in_a_file_are_read_again(tmp_path: Path) -> None:
    """A Secret that is mounted may change under the server; no restart is needed."""
    clock = FakeClock()
    chain = AwsChain(clock)
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAOLD\naws_secret_access_key = old\n")
    first = await chain.fetch()
    file.write_text("[default]\naws_access_key_id = AKIANEW\naws_secret_access_key = new\n")
    second = await chain.fetch()

    assert (first.credentials, second.credentials) == (OLD, NEW)
    assert first.fetch_again_at == clock.now() + FETCH_EVERY
    assert chain.method == "shared-credentials-file"


async def test_the_environment_is_part_of_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a session token where there is one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")

    found = await AwsChain(FakeClock()).fetch()

    assert found.credentials == OwnCredentials("ASIAENV", Secret("secret"), Secret("token"))


async def test_no_credentials_at_all_name_the_ways() -> None:
    """The message is what an operator can act on."""
    with pytest.raises(UnavailableError, match=r"web identity .* static keys .* host network"):
        await AwsChain(FakeClock()).fetch()


@pytest.mark.parametrize(
    "profile",
    [
        "[default]\naws_access_key_id = AKIAHALF\n",
        "[default]\ncredential_process = /nowhere/at-all\n",
        "[default]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = nobody\n",
        "[default]\nrole_arn = arn:aws:iam::111122223333:role/x\nweb_identity_token_file = /none\n",
        "[default\n",
    ],
)
async def test_a_broken_chain_is_unavailability(profile: str, tmp_path: Path) -> None:
    """Whatever the chain stumbles over, it is named, and nothing else escapes."""
    (tmp_path / "config").write_text(profile)
    (tmp_path / "credentials").write_text(profile)

    with pytest.raises(UnavailableError, match="credentials"):
        await AwsChain(FakeClock()).fetch()


def process(folder: Path, command: str) -> None:
    """Have the chain find a process that prints credentials."""
    (folder / "config").write_text(f"[default]\ncredential_process = {command}\n")


def printed(key: str, secret: str, ends: datetime) -> str:
    values = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": "t"}
    return json.dumps({**values, "Expiration": f"{ends:%FT%TZ}"})


async def test_refreshable_keys_that_are_refused_are_fetched_anew(tmp_path: Path) -> None:
    """Botocore would go on with them until a quarter of an hour before their end."""
    file, ends = tmp_path / "printed", datetime.now(UTC) + timedelta(hours=6)
    file.write_text(printed("ASIAOLD", "old", ends))
    process(tmp_path, f"cat {file}")
    chain = AwsChain(FakeClock())
    old = (await chain.fetch()).credentials
    file.write_text(printed("ASIANEW", "new", ends))

    assert (await chain.fetch()).credentials == old
    assert (await chain.fetch(old)).credentials.access_key_id == "ASIANEW"


@pytest.mark.parametrize("text", ["[]", "1", '{"Version": 1}', "{", "\\377", ""])
async def test_whatever_a_process_prints_is_unavailability(text: str, tmp_path: Path) -> None:
    """Nothing else escapes: it would be told to pods as a refusal, or end the server."""
    process(tmp_path, f"printf '{text}'")

    with pytest.raises(UnavailableError, match="own AWS credentials"):
        await AwsChain(FakeClock()).fetch()


async def test_keys_that_have_ended_when_they_come_are_unavailability(tmp_path: Path) -> None:
    """Botocore's RuntimeError, of a clock that is wrong or a process that remembers too long."""
    file = tmp_path / "printed"
    file.write_text(printed("ASIAOLD", "old", datetime.now(UTC) - timedelta(hours=1)))
    process(tmp_path, f"cat {file}")

    with pytest.raises(UnavailableError, match="RuntimeError"):
        await AwsChain(FakeClock()).fetch()


async def test_a_chain_that_hangs_is_unavailability_and_is_not_begun_again(tmp_path: Path) -> None:
    """However often it is asked for, until it gives an answer after all."""
    pipe, begun = tmp_path / "pipe", tmp_path / "begun"
    os.mkfifo(pipe)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho once >>{begun}\nexec cat {pipe}\n")
    program.chmod(0o755)
    process(tmp_path, str(program))
    clock = FakeClock()
    chain = AwsChain(clock)
    for _ in range(3):
        fetching = asyncio.ensure_future(chain.fetch())
        await clock.asleep()
        clock.advance(LONGEST)
        with pytest.raises(UnavailableError, match="within 20 s"):
            await fetching
    ends = datetime.now(UTC) + timedelta(hours=6)
    await asyncio.to_thread(pipe.write_text, printed("ASIANEW", "new", ends))

    assert (await chain.fetch()).credentials.access_key_id == "ASIANEW"
    assert begun.read_text() == "once\n"


async def test_keys_that_are_refused_again_are_not_fetched_again_at_once() -> None:
    """What STS refuses however new it is would be fetched for each call."""
    source, provider, clock = provided()
    await provider.current()
    for _ in range(10):
        assert await provider.renewed(OLD) == OLD
    assert (source.fetches, source.refused) == (2, OLD)
    clock.advance(timedelta(seconds=5))
    source.keys = NEW

    assert await provider.renewed(OLD) == NEW


async def test_an_unforeseen_error_of_the_chain_is_unavailability(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its traceback is on the error output, and the next fetch begins anew."""

    class PlantedError(BaseException):
        pass

    def broken() -> Session:
        raise PlantedError

    said: SimpleQueue[threading.ExceptHookArgs] = SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", said.put)
    chain = AwsChain(FakeClock(), broken)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="unforeseen"):
            await chain.fetch()
        assert (await asyncio.to_thread(said.get, timeout=60)).exc_type is PlantedError
