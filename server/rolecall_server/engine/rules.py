"""The engine's rules, which do not change while it runs."""

from dataclasses import dataclass, field
from datetime import timedelta

from rolecall_common.secret import NotPickled
from rolecall_server.credentials.rate_limiter import RateLimits


@dataclass(frozen=True, slots=True)
class BrokerRules(NotPickled):
    """What settings say to the broker; it checks nothing of it, they do."""

    # At least 32 random bytes that all replicas share; each node's token key is derived from it.
    token_secret: bytes = field(repr=False)
    base_arn: str = ""
    imdsv2_required: bool = False  # Where the namespace does not say.
    # How long before their true end pods see credentials end (contract §5).
    reported_early: timedelta = timedelta(minutes=5)
    allow_short_sessions: bool = False  # Take what STS gives, however soon it ends.
    limits: RateLimits = field(default_factory=RateLimits)
