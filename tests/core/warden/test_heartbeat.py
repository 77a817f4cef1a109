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
from rolecall_common.heartbeat_file import Beat, Pulse
from rolecall_warden.kernel import Kernel
from rolecall_warden.warden import Warden


class Beats(Pulse):
    """Hands on each stamp."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.heard: asyncio.Queue[Beat] = asyncio.Queue()

    def beat(self, beat: Beat) -> None:
        self.heard.put_nowait(beat)


async def test_a_wall_clock_that_is_set_back_does_not_stop_the_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a stamp the agent would be taken for unguarded, and nothing would be repaired."""
    earlier = itertools.count(1_800_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(earlier)))
    told = settings()
    short = replace(told.keeping, check_period=timedelta(milliseconds=10))
    warden = Warden(replace(told, keeping=short), Kernel(NodeTools()), ipv6=True)
    beats = Beats()
    keeping = asyncio.create_task(warden.keep(asyncio.Event(), beats), name="keep the rules")
    moments = [(await beats.heard.get()).at for _ in range(4)]
    keeping.cancel()

    assert moments == sorted(set(moments))
