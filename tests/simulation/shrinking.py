"""Finds a short list of operations that still breaks the same promise."""

from collections.abc import Callable, Sequence

from simulation.operations import Operation

Trace = Sequence[Operation]
Breaks = Callable[[Trace], bool]


def shortest(trace: Trace, breaks: Breaks, runs: int = 400) -> Trace:
    """Leave out whatever *breaks* does without, in big pieces first, by at most *runs* tries.

    Returns *trace* itself where nothing can be left out; what it returns always *breaks*.
    """
    size = len(trace) // 2
    while size and runs:
        start = 0
        while start < len(trace) and runs:
            runs -= 1
            shorter = [*trace[:start], *trace[start + size :]]
            if breaks(shorter):
                trace = shorter
            else:
                start += size
        size = size // 2
    return trace
