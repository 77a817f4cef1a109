"""What the lab's tests run in pods is built before the clock of any of them ticks."""

import pytest

from lab import programs
from lab.nodejs import NoNodeError
from testcluster.build import BuildError
from testcluster.golang import NoGoError
from testcluster.output import say


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need; a test without it is left out, and says why."""
    chosen = [item.callspec for item in session.items if hasattr(item, "callspec")]
    wanted = [value for each in chosen for value in each.params.values()]
    missing = programs.missing(wanted)
    if session.config.option.collectonly or not missing:
        return
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        for name in missing:
            try:
                programs.build([name])
            except (BuildError, NoGoError, NoNodeError) as error:
                say(f"error: {error}")
