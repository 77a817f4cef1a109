"""Lets waiting connections have the places of those of their pod that have become idle."""

import asyncio

from rolecall_agent.http.connection_limits import ConnectionLimits

SPACING = 0.05  # seconds between two looks, while somebody waits


class IdleEviction:
    """Looks at the idle connections of pods some of whose connections queue, while there are any.

    A connection tells nobody that it is idle: every answer would pay for that.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Look soon, and again until nobody waits."""
        if self._timer is None and self._limits.crowded:
            self._timer = self._loop.call_at(self._loop.time() + SPACING, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._limits.relieve()
        self.watch()
