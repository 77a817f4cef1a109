"""How fast STS may be asked: a token bucket that gives way when STS asks for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """The limits of a budget.

    AWS does not publish STS's quota as a number per region that one could rely on; the defaults
    stay under what accounts are known to have, and a throttled budget finds its own level.
    """

    calls_per_second: float = 100.0
    burst: int = 300
    concurrency: int = 256  # Calls in flight at once.
