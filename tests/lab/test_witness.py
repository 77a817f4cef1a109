"""The kernel's word about addresses, on a routed and a bridged node.

The stories are in `witness_stories.py`, `witness_connections.py`, `witness_numbers.py`,
`witness_floods.py` and `witness_trades.py`.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from lab import witness_told
from lab.witness_ground import names
from rolecall_cli.lab import LabError, LabNode
from rolecall_cli.lab.addresses import Kind

TESTS = Path(__file__).parents[1]
# Sysfs as the containers of an agent have it: of their own network.
_MOUNTS = 'mount -t tmpfs rolecall-lab /run && mount -t sysfs rolecall-lab /sys && exec "$@"'
CASES = [(kind, name) for kind in Kind for name in names(kind)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, dict[str, str]]:
    """Tell all stories, on one node of each kind; return what went wrong in each."""
    roots = {kind: tmp_path_factory.mktemp(kind) for kind in Kind}
    return asyncio.run(_tell(roots))


async def _tell(roots: dict[Kind, Path]) -> dict[Kind, dict[str, str]]:
    try:
        async with LabNode.opened():
            pass
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")
    async with asyncio.TaskGroup() as tasks:
        telling = {each[0]: tasks.create_task(_on(*each), name=each[0]) for each in roots.items()}
    return {kind: each.result() for kind, each in telling.items()}


async def _on(kind: Kind, root: Path) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--net", "--mount", "--kill-child", "--"),
        *("sh", "-c", _MOUNTS, "sh"),
        *(sys.executable, "-m", witness_told.__name__, kind, str(root)),
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found: dict[str, str] = json.loads(said)
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_the_witness(kind: Kind, name: str, told: dict[Kind, dict[str, str]]) -> None:
    """Each story's own sentence says what is true in the end."""
    assert told[kind][name] == ""
