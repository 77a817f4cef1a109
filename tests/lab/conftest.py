"""What the lab's tests run in pods is built before any clock ticks; and nodes with guards."""

import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab import programs
from lab.guarded import Guarded, guarded
from lab.nodejs import NoNodeError
from rolecall_cli.lab import Kind, LabError
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
    # The standard output of one of several processes that run tests leads nowhere.
    with capture.global_and_fixture_disabled(), contextlib.redirect_stdout(sys.stderr):
        for name in missing:
            try:
                programs.build([name])
            except (BuildError, NoGoError, NoNodeError) as error:
                say(f"error: {error}")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(Kind))
async def bare(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Guarded]:
    """Open a node of each kind for all tests, without a warden that stays."""
    kind: Kind = request.param
    root: Path = tmp_path_factory.mktemp(f"guards-{kind}")
    try:
        async with guarded(kind, root) as opened:
            yield opened
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest_asyncio.fixture(loop_scope="module")
async def node(bare: Guarded) -> AsyncIterator[Guarded]:
    """Give the node one warden, and forget what was written down. No request may leak."""
    if not bare.wardens or bare.wardens[-1].process.returncode is not None:
        await bare.warden()
    bare.leaked()
    bare.served()
    yield bare
    assert bare.leaked() == []
