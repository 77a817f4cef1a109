"""The node in the lab with the strict STS, which can be told how slow it is and what it gives."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.rig import Rig, emptied_layout
from rolecall_cli.demo.layout import Layout
from rolecall_cli.demo.processes import clean_environment, running
from rolecall_cli.demo.stage import Stage
from rolecall_cli.lab import LabNode
from testcluster.ports import free_ports

# The demo's server has these credentials of its own.
_KEYS = ("--access-key-id", "AKIADEMODEMODEMODEMO", "--secret-access-key", "demo")
_FAIR = {"latency": 0.0, "longest": 43200.0}
_PUT = """
import sys, urllib.request as web
web.urlopen(web.Request(sys.argv[1], sys.argv[2].encode(), method="PUT"), timeout=20)
"""


@dataclass(slots=True)
class StrictRig(Rig):
    """A rig whose STS is the strict one."""

    @asynccontextmanager
    async def weather(self, **weather: float) -> AsyncGenerator[None]:
        """Have STS behave so for a while; see `fakes/sts/remote.py`."""
        await self._tell_sts(weather)
        try:
            yield
        finally:
            await self._tell_sts(_FAIR)

    async def _tell_sts(self, weather: Mapping[str, float]) -> None:
        words = (f"{self.sts_url}/_fake/weather", json.dumps(weather))
        process = await asyncio.create_subprocess_exec(
            *self.node.command(sys.executable, "-I", "-S", "-c", _PUT, *words)
        )
        assert await process.wait() == 0

    async def has_held(self, more_than: int) -> bool:
        """Whether the agent has held more requests than that so far."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):  # Its metrics are up to a second old.
                while await self.holds() <= more_than:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.1)
                return True
        return False

    async def holds(self) -> int:
        """Return how many requests the agent has held so far, and does not hold any more."""
        port = self.stage.layout.agent_admin_port
        status, text = await self.node.fetch(f"http://127.0.0.1:{port}/metrics")
        assert status == 200
        lines = text.splitlines()
        name = "rolecall_agent_hold_duration_seconds_count"
        return sum(int(float(each.split()[-1])) for each in lines if each.startswith(name))


@asynccontextmanager
async def strict_rig(root: Path, **settings: object) -> AsyncGenerator[StrictRig]:
    """Open a lab whose server has *settings*, too. Raise LabError where there is none."""
    async with LabNode.opened() as node:
        layout = emptied_layout(root)
        (port,) = free_ports(1)
        url = f"http://{layout.node_address}:{port}"
        _change(layout, stsEndpoint=url, **settings)
        words = ("--any-role", "--host", str(layout.node_address), "--port", str(port), *_KEYS)
        command = node.command(sys.executable, "-m", "fakes.sts", *words)
        environment = clean_environment(root / "home", PYTHONPATH=str(Path(__file__).parents[1]))
        async with (
            running("strict STS", command, environment, layout.log("strict-sts")),
            Stage.opened(node, layout, {}) as stage,
        ):
            yield StrictRig(node, stage, sts_url=url)


def _change(layout: Layout, **settings: object) -> None:
    file = layout.config("server")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | settings))
