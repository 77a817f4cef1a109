"""How many connections the limit of descriptors leaves room for."""

import resource

import pytest

from rolecall_agent.process.file_limit import room_for

NO_LIMIT = resource.RLIM_INFINITY


class Limit:
    """The kernel's limit, as a test sets it."""

    def __init__(self, soft: int, hard: int, *, is_fixed: bool = False) -> None:
        self.soft, self.hard, self.is_fixed = soft, hard, is_fixed

    def get(self, _: int) -> tuple[int, int]:
        return self.soft, self.hard

    def set(self, _: int, limits: tuple[int, int]) -> None:
        if self.is_fixed:
            raise ValueError("not allowed to raise maximum limit")
        self.soft, self.hard = limits


@pytest.mark.parametrize(
    ("limit", "room", "soft"),
    [
        (Limit(1024, 1_048_576), 8192, 10_752),
        (Limit(1024, NO_LIMIT), 8192, 10_752),
        (Limit(20_000, 20_000), 8192, 20_000),
        (Limit(NO_LIMIT, NO_LIMIT), 8192, NO_LIMIT),
        (Limit(1024, 4096), 2867, 4096),
        (Limit(1024, 1_048_576, is_fixed=True), 512, 1024),
        (Limit(256, 256), 128, 256),
    ],
    ids=["raised", "without end", "enough", "none", "to the hard one", "refused", "hardly any"],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, limit: Limit, room: int, soft: int
) -> None:
    """Never lowered; and where it stays low, some descriptors are left for everything else."""
    monkeypatch.setattr(resource, "getrlimit", limit.get)
    monkeypatch.setattr(resource, "setrlimit", limit.set)

    assert room_for(8192) == room
    assert limit.soft == soft
