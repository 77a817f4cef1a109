"""What the operator says of STS. Apart from the rest, so that settings load without botocore."""

from dataclasses import dataclass
from datetime import timedelta

from rolecall_common.settings import types

# However it is named: it becomes a part of a host's name.
REGION = types.matching(
    r"[a-z]{2,8}(-[a-z]{2,12}){1,3}-\d{1,2}", "a region, such as eu-west-1", "REGION"
)


@dataclass(frozen=True, slots=True)
class StsOptions:
    """What the operator chose. What is None is found as botocore finds it."""

    region: str | None = None
    endpoint: str | None = None
    fips: bool | None = None
    assume_role_arn: str | None = None
    # As many connections: one for each call in flight.
    concurrency: int = 256
    # STS answers in 50 to 500 ms; whoever waits longer had better ask anew.
    patience: timedelta = timedelta(seconds=10)
