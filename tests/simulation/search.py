"""Runs worlds until a promise is broken, and tells how in as few steps as it finds."""

import traceback
from collections import Counter
from dataclasses import dataclass

from simulation.operations import draw
from simulation.server import Brokers, sound_broker
from simulation.shrinking import Trace, shortest
from simulation.violations import NEVER_RAISES, ViolationError
from simulation.world import World

# One world's length: long enough for sessions to be renewed many times, short enough to shrink.
WORLD = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise, and the way there."""

    seed: int
    promise: str
    detail: str
    trace: Trace

    def __str__(self) -> str:
        steps = "\n".join(f"  {step}" for step in self.trace)
        again = f"python -m simulation --seed {self.seed} --operations {WORLD}"
        head = f"{self.detail}\nseed {self.seed}; in tests/: {again}"
        return f"{head}\n{len(self.trace)} steps are enough:\n{steps}"


@dataclass(slots=True)
class Summary:
    """What a search has seen."""

    operations: int
    calls: int
    answers: Counter[str]
    finding: Finding | None = None


def search(operations: int, seed: int, brokers: Brokers = sound_broker) -> Summary:
    """Do *operations* in worlds of consecutive seeds from *seed* on, up to the first finding."""
    summary = Summary(0, 0, Counter())
    while summary.operations < operations and summary.finding is None:
        trace = draw(seed, min(WORLD, operations - summary.operations))
        world = World(brokers)
        violation = _violation(world, trace)
        summary.operations += len(trace)
        summary.calls += world.sts.calls
        summary.answers += world.oracle.counts
        if violation is not None:
            summary.finding = _shrunk(seed, trace, violation, brokers)
        seed += 1
    return summary


def _violation(world: World, trace: Trace) -> ViolationError | None:
    try:
        world.run(trace)
    except ViolationError as violation:
        return violation
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
        where = traceback.extract_tb(error.__traceback__)[-1]
        return ViolationError(NEVER_RAISES, f"{error!r} in {where.filename}:{where.lineno}")
    return None


def _shrunk(seed: int, trace: Trace, violation: ViolationError, brokers: Brokers) -> Finding:
    def breaks(shorter: Trace) -> bool:
        found = _violation(World(brokers), shorter)
        return found is not None and found.promise == violation.promise

    trace = shortest(trace, breaks)
    last = _violation(World(brokers), trace) or violation
    return Finding(seed, last.promise, str(last), trace)
