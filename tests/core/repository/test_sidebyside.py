"""How tests are divided among processes that run side by side."""

import pytest

from sidebyside import part_of

CLUSTER = "tests/cluster/"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/core/cli/test_a.py::test_a", "tests/core/cli/test_a.py::test_b[x::y]"),
        (f"{CLUSTER}test_a.py::test_a[1.37.2]", f"{CLUSTER}test_b.py::test_b[1.37.2-x]"),
        (f"{CLUSTER}test_a.py::test_a[1.37.2]", f"{CLUSTER}test_b.py::test_b[x-1.37.2]"),
        (f"{CLUSTER}test_real_a.py::test_a[1.37.2]", f"{CLUSTER}test_real_b.py::test_b[1.37.2]"),
    ],
)
def test_what_shares_something_stays_together(one: str, other: str) -> None:
    """A file's tests may share what it starts; clusters are shared by files."""
    assert part_of(one) == part_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/core/cli/test_a.py::test_a", "tests/core/proto/test_a.py::test_a"),
        (f"{CLUSTER}test_a.py::test_a[1.37.2]", f"{CLUSTER}test_a.py::test_a[1.34.4]"),
        (f"{CLUSTER}test_a.py::test_a[1.37.2]", f"{CLUSTER}test_real_a.py::test_a[1.37.2]"),
        (f"{CLUSTER}test_a.py::test_a", f"{CLUSTER}test_b.py::test_b"),
    ],
)
def test_what_shares_nothing_may_be_parted(one: str, other: str) -> None:
    """Each version has a cluster of its own, and so have real nodes."""
    assert part_of(one) != part_of(other)
