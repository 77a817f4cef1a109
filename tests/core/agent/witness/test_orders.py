"""The witness against a model of kernel, kubelet, API server and watch, in any order."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.agent.witness.rig import HERE
from core.agent.witness.world import LAPSES, OPERATIONS, Program, World
from rolecall_agent.witness.observation import Doubt

STEPS = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, len(LAPSES) - 1))


@settings(max_examples=300, deadline=None)
@given(program=st.lists(STEPS, max_size=40))
def test_nobody_is_taken_for_another_in_any_order(program: Program) -> None:
    """Stale, doubled and lost messages of everybody, addresses used again, restarts."""
    World().run(program)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_taken_for_another_in_long_runs(seed: int) -> None:
    """The same, where all has a history: thousands of steps, drawn by the seed."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    names, choices = sorted(OPERATIONS), range(len(LAPSES))
    for _ in range(150):
        program = [(dice.choice(names), dice.choice(choices)) for _ in range(40)]
        try:
            World().run(program)
        except AssertionError:
            pytest.fail(f"after {program}")


def test_a_pod_that_was_forgotten_is_not_mistaken() -> None:
    """It was seen, and not named yet, when there were more links than are remembered."""
    world = World()
    world.run([("come", 0), ("start", 0), ("post", 0), ("pass_by", 0), ("replace", 0), ("tell", 0)])

    assert world.bindings.holders[HERE] is Doubt.SUSPENDED


def test_a_pod_with_a_new_address_is_not_taken_for_whoever_has_its_old_one() -> None:
    """Its sandbox was made anew, and the API goes on saying what was so before."""
    world = World()
    world.run([("wait", 3), ("come", 0), ("start", 0), ("post", 0), ("tell", 0)])
    assert world.bindings.holders[HERE] == "pod-1"

    world.run([("wait", 3), ("replace", 0), ("tell", 0), ("ask", 0), ("look_up", 0), ("answer", 0)])
    assert world.bindings.holders[HERE] is Doubt.SUSPENDED
    world.run([("wait", 5)])
    assert world.bindings.holders[HERE] is Doubt.SUSPENDED
    world.run([("calm", 0)])
    assert world.bindings.holders[HERE] == "pod-2"
