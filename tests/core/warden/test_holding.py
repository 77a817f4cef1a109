"""Wardens of one node see one another live and end, and settle on one that has the rules."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.warden.node import NodeTools
from core.warden.rig import settings
from rolecall_common import endpoint_file
from rolecall_common.heartbeat_file import Condition
from rolecall_common.settings.types import Raw
from rolecall_warden.kernel import Kernel
from rolecall_warden.liveness import AbsenceTimer, held_name, is_held
from rolecall_warden.warden import Warden

PERIOD = 10.0


class Node:
    """One node, its time, and the wardens that live on it."""

    def __init__(self) -> None:
        self.tools = NodeTools()
        self.now = 0.0
        self.living: dict[str, Warden] = {}
        self._ends: dict[str, ExitStack] = {}

    def start(self, name: str, **flags: Raw) -> None:
        self.end(name)
        exits = self._ends[name] = ExitStack()
        self.living[name] = Warden(
            settings(**flags),
            Kernel(self.tools),
            ipv6=True,
            holder=exits.enter_context(held_name()),
            monotonic=lambda: self.now,
        )

    def end(self, name: str) -> None:
        if name in self.living:
            del self.living[name]
            self._ends.pop(name).close()

    def look(self, name: str) -> Condition:
        return asyncio.run(self.living[name].reconcile())

    def pass_periods(self, count: int) -> None:
        """Let everybody look, so many periods one after another."""
        for _ in range(count):
            for name in self.living:
                self.look(name)
            self.now += PERIOD


@contextmanager
def node() -> Iterator[Node]:
    opened = Node()
    try:
        yield opened
    finally:
        for name in list(opened.living):
            opened.end(name)


def test_a_name_is_held_as_long_as_its_holder_lives() -> None:
    """Asking takes nothing, and two have never the same."""
    with held_name() as first, held_name() as second:
        assert first != second
        assert [is_held(first), is_held(first), is_held(second)] == [True] * 3
    assert not is_held(first)


def test_who_is_away_is_gone_after_so_long_and_not_before() -> None:
    """Of a table that names nobody it is never said."""
    now, held = 0.0, {"a"}
    timer = AbsenceTimer(timedelta(seconds=20), lambda: now, held.__contains__)
    assert not timer.is_gone("a")
    held.clear()
    now = 5.0
    assert not timer.is_gone("a")
    now = 24.9
    assert not timer.is_gone("a")
    now = 25.0
    assert timer.is_gone("a")
    # Another one's absence begins anew, as does that of one who was back.
    assert not timer.is_gone("b")
    held.add("a")
    assert not timer.is_gone("a")
    held.clear()
    now = 99.0
    assert not timer.is_gone("a")
    assert not timer.is_gone("")


def test_the_rules_of_a_pod_that_is_gone_are_taken_over(tmp_path: Path) -> None:
    """A rollback: the new pod became warm, took the node over, and was deleted."""

    def pod(name: str, port: int) -> dict[str, Raw]:
        (tmp_path / name).mkdir(exist_ok=True)
        endpoint_file.write(tmp_path / name / "endpoint", port)
        return {
            "endpoint_file": str(tmp_path / name / "endpoint"),
            "health_file": str(tmp_path / name / "warden"),
        }

    with node() as one:
        one.start("old", **pod("old", 9803))
        one.look("old")
        one.start("new", **pod("new", 9804))
        taken_over = one.look("new")
        assert (taken_over, one.look("old")) == (Condition.IN_PLACE, Condition.SUPERSEDED)
        one.end("new")
        assert one.look("old") is Condition.SUPERSEDED
        one.pass_periods(2)
        assert one.look("old") is Condition.IN_PLACE
        assert ":9803" in (one.tools.table or "")
        # What comes back is the newer one still.
        one.start("new", **pod("new", 9804))
        assert one.look("new") is Condition.IN_PLACE
        assert one.look("old") is Condition.SUPERSEDED


def test_a_second_installation_leaves_the_first_ones_rules_alone() -> None:
    """It says whose they are, and has them once their warden is gone; then it keeps them."""
    with node() as one:
        one.start("first", generation="1", installation="shop/rolecall")
        one.start("second", generation="2", installation="billing/rolecall")
        one.look("first")
        assert one.look("second") is Condition.SUPERSEDED
        assert "rules of the installation shop/rolecall are in" in one.living["second"].reason
        # An upgrade of the first is its own matter.
        one.start("upgraded", generation="3", installation="shop/rolecall")
        assert one.look("upgraded") is Condition.IN_PLACE
        one.end("first")
        one.end("upgraded")
        one.pass_periods(3)
        assert one.look("second") is Condition.IN_PLACE
        one.start("first", generation="9", installation="shop/rolecall")
        assert one.look("first") is Condition.SUPERSEDED


def test_without_a_name_on_both_sides_the_generation_decides() -> None:
    """As it does where the rules are older than names."""
    for there, ours in (("", "shop/rolecall"), ("shop/rolecall", ""), ("", "")):
        with node() as one:
            one.start("there", generation="1", installation=there)
            one.start("ours", generation="2", installation=ours)
            one.look("there")
            assert one.look("ours") is Condition.IN_PLACE
            assert one.look("there") is Condition.SUPERSEDED


def test_routing_rules_and_addresses_are_everybodys() -> None:
    """Whoever has the packet rules may be gone, and the second guard does not wait for that."""
    with node() as one:
        one.start("new", generation="2")
        one.start("old", generation="1")
        one.look("new")
        one.look("old")
        whole = {family: sorted(lines) for family, lines in one.tools.rules.items()}
        for damage in (one.tools.rules["-4"].clear, one.tools.addresses.clear):
            damage()
            assert one.look("old") is Condition.SUPERSEDED
            assert {family: sorted(lines) for family, lines in one.tools.rules.items()} == whole
            assert len(one.tools.addresses) == 2


def test_a_waiting_warden_keeps_the_rules_of_one_that_is_gone_as_they_were(tmp_path: Path) -> None:
    """Its agent may live and answer by them, and nobody else would mend them."""
    with node() as one:
        one.start("old", generation="1")
        one.look("old")
        was = one.tools.table
        assert was is not None
        files: dict[str, Raw] = {
            "endpoint_file": str(tmp_path / "endpoint"),
            "health_file": str(tmp_path / "warden"),
        }
        one.start("waiting", **files)
        one.look("waiting")
        damaged = "\n".join(line for line in was.splitlines() if "ct original" not in line)
        one.tools.table = damaged
        assert one.look("waiting") is Condition.WAITING
        assert one.tools.table == damaged  # The old one lives, and will see to it.
        one.end("old")
        one.pass_periods(3)
        assert one.look("waiting") is Condition.WAITING
        assert one.tools.table == was


_STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "end", "look", "time"]), st.sampled_from("123")),
    max_size=25,
)


@given(_STEPS, st.permutations("123"), st.booleans())
def test_in_whatever_order_wardens_come_and_go_they_settle(
    steps: list[tuple[str, str]],
    order: list[str],
    equal: bool,  # noqa: FBT001 -- drawn
) -> None:
    """On the highest generation of those that live, or one of equals; then nothing is put."""
    with node() as one:
        for step, name in steps:
            if step == "start":
                one.start(name, generation="0" if equal else name)
            elif step == "end":
                one.end(name)
            elif step == "time":
                one.now += PERIOD
            elif name in one.living:
                one.look(name)
        one.living = {name: one.living[name] for name in order if name in one.living}
        one.pass_periods(5)
        settled = one.tools.puts
        one.pass_periods(3)

        assert one.tools.puts == settled
        if one.living:
            conditions = {name: one.look(name) for name in one.living}
            (owner,) = (name for name, each in conditions.items() if each is Condition.IN_PLACE)
            assert set(conditions.values()) <= {Condition.IN_PLACE, Condition.SUPERSEDED}
            assert equal or owner == max(one.living)
