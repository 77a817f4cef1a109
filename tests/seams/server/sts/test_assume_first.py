"""A role that the server assumes first, and assumes every other role from."""

from datetime import timedelta
from pathlib import Path

import pytest

from fakes.aws import forget_machine
from fakes.running import PATIENCE
from fakes.sts import (
    Key,
    Principal,
    Role,
)
from fakes.sts.throttle import Throttle
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import RefusedError, UnavailableError
from seams.server.sts.rig import Rig

HOUR = timedelta(hours=1)
PATIENT = {"patience": timedelta(seconds=PATIENCE)}  # How long STS may take is one test's subject.
READER = Identity("arn:aws:iam::111122223333:role/reader", "shop.cart", HOUR)


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_machine(monkeypatch, tmp_path)


async def test_the_first_hop_is_taken_once_and_renewed_at_half_its_life() -> None:
    """With `assumeRoleArn` every call is signed as that role, which is assumed in time again."""
    rig = Rig()
    hop = "arn:aws:iam::999900001111:role/rolecall"
    async with rig.connected(assume_role_arn=hop) as sts:
        await sts.issue(READER)
        await sts.issue(READER)
        caller = await sts.caller()
        assert len(rig.fake.calls_of("AssumeRole", hop)) == 1
        rig.clock.advance(timedelta(minutes=31))
        await sts.issue(READER)

    assert caller.arn == "arn:aws:sts::999900001111:assumed-role/rolecall/rolecall-server"
    assert len(rig.fake.calls_of("AssumeRole", hop)) == 2


async def test_a_refused_first_hop_is_nobodys_identitys_fault() -> None:
    """No pod is denied because the server's own role is not to be had."""
    rig = Rig()
    hop = Role("arn:aws:iam::999900001111:role/rolecall", trusts=("444455556666",))
    rig.fake.account.roles[hop.arn] = hop
    async with rig.connected(assume_role_arn=hop.arn) as sts:
        with pytest.raises(UnavailableError, match=r"assumeRoleArn .*AccessDenied"):
            await sts.issue(READER)


async def test_a_throttled_first_hop_is_nobodys_accounts_fault() -> None:
    """It is no reason to ask for the roles of a pod's account more slowly."""
    rig = Rig()
    rig.fake.throttle = Throttle(0.001, 0)
    async with rig.connected(assume_role_arn="arn:aws:iam::999900001111:role/rolecall") as sts:
        with pytest.raises(UnavailableError, match="assumeRoleArn"):
            await sts.issue(READER)


async def test_what_a_role_issues_is_chained() -> None:
    """A server that runs on a role gets one hour at most; STS says so of longer ones."""
    rig = Rig()
    role = Principal(
        "arn:aws:sts::111122223333:assumed-role/server/i-0",
        role_arn="arn:aws:iam::111122223333:role/server",
    )
    key = Key("ASIAEXAMPLEEXAMPLE00", "a-secret-key", role, "token")
    rig.fake.account.keys[key.access_key_id] = key
    rig.wallet.key = key
    async with rig.connected() as sts:
        assert (await sts.caller()).is_role
        with pytest.raises(RefusedError, match="role chaining"):
            await sts.issue(Identity(READER.role_arn, "shop.cart", 2 * HOUR))
