"""What can be done to the world, as data: drawn from a seed, replayed, and left out one by one."""

import random
from dataclasses import dataclass

# How often each is drawn. Asking is cheap and is what the others are checked by.
WEIGHTS = {
    "ask": 40,
    "create": 18,
    "delete": 12,
    "finish": 3,
    "change-role": 6,
    "change-rule": 3,
    "toggle-namespace": 1,
    "cut-stream": 3,
    "restart-agent": 2,
    "stop-server": 1,
    "stick-watch": 2,
    "relist": 2,
    "sts-down": 1,
    "sts-throttles": 1,
    "sts-refuses": 1,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that is done: how long after the one before, what, to which, and with what dice."""

    wait: float  # Seconds.
    kind: str
    pick: int  # Chooses among what is there, whatever that is by then.
    other: int  # Chooses the new role, rule or whatever is needed besides.
    seconds: float  # How long it lasts, where it lasts.
    seed: int

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.kind in _LASTING else ""
        return f"after {self.wait:8.2f} s: {self.kind} [{self.pick}, {self.other}]{lasting}"


_LASTING = {"stop-server", "stick-watch", "sts-down", "sts-throttles", "sts-refuses"}


def draw(seed: int, count: int) -> list[Operation]:
    """Return *count* operations, the same ones for the same *seed*."""
    dice = random.Random(seed)  # noqa: S311 (dice, not keys)
    kinds = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [_operation(kind, dice) for kind in kinds]


def _operation(kind: str, dice: random.Random) -> Operation:
    # Mostly bursts, with pauses in which sessions age.
    wait = dice.uniform(300, 2400) if dice.random() < 0.01 else dice.expovariate(1 / 3)
    # Mostly short, at times longer than a session.
    seconds = dice.uniform(60, 5400) if dice.random() < 0.1 else dice.expovariate(1 / 20)
    return Operation(
        wait, kind, dice.randrange(10_000), dice.randrange(10_000), seconds, dice.getrandbits(32)
    )
