"""Settings: how the server reaches STS, and how often."""

from collections.abc import Iterator
from dataclasses import dataclass

from rolecall_common.settings import types
from rolecall_common.settings.declare import Conflict, setting
from rolecall_server.policy.role_arns import BaseArn, Malformed, RoleArn
from rolecall_server.sts.options import REGION


def _read_role(text: str) -> str:
    role = RoleArn.parse(text)
    if isinstance(role, Malformed):
        raise ValueError  # noqa: TRY004 - the input is wrong, not the caller
    return role.text


_ROLE_ARN = types.of_text(
    _read_role, "the ARN of a role, such as arn:aws:iam::111122223333:role/rolecall", "ARN"
)
_BASE_ARN = types.of_text(
    BaseArn.parse,
    "the beginning of a role's ARN, such as arn:aws:iam::111122223333:role/",
    "ARN",
    write=lambda base: base.prefix,
)
_URL = types.matching(
    r"https?://[A-Za-z0-9.\[\]:_-]{1,253}/?", "a URL without a path: https://host[:port]", "URL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """How the server reaches STS. Its own credentials come from AWS's default chain."""

    region: str | None = setting(
        types.optional(REGION),
        "The region whose STS is asked. Else AWS_REGION, AWS_DEFAULT_REGION, the profile or the "
        "instance's metadata say it.",
        default=None,
    )
    base_arn: BaseArn | None = setting(
        types.optional(_BASE_ARN),
        "What short role names are completed with. Else the server's own account says it.",
        default=None,
    )
    sts_endpoint: str | None = setting(
        types.optional(_URL), "Another endpoint of STS than the region's own.", default=None
    )
    fips: bool = setting(types.SWITCH, "Use the region's FIPS endpoint.", default=False)
    assume_role_arn: str | None = setting(
        types.optional(_ROLE_ARN),
        "A role that the server itself assumes first, and assumes every other role from. "
        "STS then limits sessions to one hour.",
        default=None,
    )
    sts_calls_per_second: float = setting(
        types.number(0.1, 10_000),
        "How many calls of STS a second the server allows itself, over time.",
        default=100.0,
    )
    sts_burst: int = setting(
        types.whole(1, 100_000), "How many calls it may make at once after a rest.", default=300
    )
    sts_concurrency: int = setting(
        types.whole(1, 10_000), "How many calls may wait for their answer.", default=256
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.fips and self.sts_endpoint:
            yield Conflict("fips", "stsEndpoint already says which endpoint to use: give one")
