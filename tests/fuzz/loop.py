"""An event loop whose time passes only when nothing else can happen, or when it is told."""

import asyncio
import selectors


class StalledError(Exception):
    """Somebody waits for what can never come."""


class Selector(selectors.SelectSelector):
    """Never waits: what the loop would sleep is skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StalledError
        self.moment += max(0.0, timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """Reads its time from its selector."""

    def __init__(self) -> None:
        self._skipping = Selector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.moment

    def pass_time(self, seconds: float) -> None:
        """Let *seconds* be over at once; what is due by then happens in the next turns."""
        self._skipping.moment += seconds


async def turns(count: int = 3) -> None:
    """Let the loop turn, so that what is due and what follows from it happens."""
    for _ in range(count):
        await asyncio.sleep(0)
