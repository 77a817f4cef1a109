"""Counts calls: what a step costs, told without a clock."""

import gc
import sys
from collections.abc import Callable
from types import FrameType


def python_calls(step: Callable[[], object]) -> int:
    """Return how many functions written in Python *step* calls, itself among them.

    Each turn of a generator is one as well, so a walk counts for as much as it is long.
    """
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    gc.collect()
    gc.disable()  # What others have left behind is called at its end, and would count as well.
    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count
