"""The page on compromised nodes says what the tests try."""

from pathlib import Path

import pytest

from cluster.compromised_page import PAGE, written
from cluster.stories import STORIES, Story


def test_the_table_is_current() -> None:
    """Run `PYTHONPATH=tests python -m cluster.compromised_page` when this fails, and commit it."""
    assert PAGE.read_text() == written()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.what)
def test_a_test_that_is_named_is_there(story: Story) -> None:
    """Under its name, in its file."""
    file, _, name = story.test.partition("::")

    assert f"async def {name}(" in (Path(__file__).parent / file).read_text()
