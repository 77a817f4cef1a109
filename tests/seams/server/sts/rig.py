"""An issuer of ours, and the fake STS that it asks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fakes.aws import USER, Wallet
from fakes.clock import FakeClock
from fakes.running import PATIENCE
from fakes.sts import (
    FakeSts,
)
from rolecall_server.model.identity import Identity
from rolecall_server.sts.client import StsClient
from rolecall_server.sts.error_codes import CallOutcome
from rolecall_server.sts.factory import open_client
from rolecall_server.sts.options import StsOptions

HOUR = timedelta(hours=1)
PATIENT = {"patience": timedelta(seconds=PATIENCE)}  # How long STS may take is one test's subject.
READER = Identity("arn:aws:iam::111122223333:role/reader", "shop.cart", HOUR)


@dataclass
class Rig:
    """An issuer before a fake, and everything that can be changed about the two."""

    clock: FakeClock = field(default_factory=FakeClock)
    wallet: Wallet = field(default_factory=Wallet)
    outcomes: list[CallOutcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fake = FakeSts(USER, any_role=True, region="eu-west-1", clock=self.clock)

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncGenerator[StsClient]:  # noqa: ANN401 (of StsOptions)
        async with self.fake, self.another(**options) as sts:
            yield sts

    @asynccontextmanager
    async def another(self, **options: Any) -> AsyncGenerator[StsClient]:  # noqa: ANN401 (of StsOptions)
        async with open_client(
            StsOptions(region="eu-west-1", endpoint=self.fake.url, **{**PATIENT, **options}),
            self.clock,
            lambda outcome, _: self.outcomes.append(outcome),
            environ={},
            make_session=self.wallet.make_session,
        ) as sts:
            yield sts
