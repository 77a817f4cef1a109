"""A warden looks again and again, whatever becomes of the machine's clock."""

import asyncio
import itertools
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.warden.node import NodeTools
from core.warden.rig import settings
from rolecall_common.heartbeat_file import Heartbeat, HeartbeatFile
from rolecall_warden.kernel import Kernel
from rolecall_warden.warden import Warden


class Heartbeats(HeartbeatFile):
    """Hands on each stamp."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.heard: asyncio.Queue[Heartbeat] = asyncio.Queue()

    def write(self, heartbeat: Heartbeat) -> None:
        self.heard.put_nowait(heartbeat)


async def test_a_wall_clock_that_is_set_back_does_not_stop_the_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a stamp the agent would be taken for unguarded, and nothing would be repaired."""
    earlier = itertools.count(1_800_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(earlier)))
    told = settings()
    short = replace(told.keeping, check_period=timedelta(milliseconds=10))
    warden = Warden(replace(told, keeping=short), Kernel(NodeTools()), ipv6=True)
    heartbeats = Heartbeats()
    keeping = asyncio.create_task(warden.run(asyncio.Event(), heartbeats), name="keep the rules")
    moments = [(await heartbeats.heard.get()).at for _ in range(4)]
    keeping.cancel()

    assert moments == sorted(set(moments))
