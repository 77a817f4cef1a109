"""Keeps the state file: what changes together is written together."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NoReturn

from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.state_file import StateFile
from rolecall_common.clock import Clock
from rolecall_proto.values import Address

log = logging.getLogger(__name__)

SAVE_DELAY = timedelta(milliseconds=50)  # Changes of a roll-out are written together.


class StateKeeper:
    """Writes *state* to *file* a moment after `changed` was set, where it is another one."""

    def __init__(
        self, file: StateFile, state: Callable[[], Mapping[Address, Binding]], clock: Clock
    ) -> None:
        self.changed = asyncio.Event()
        self._file = file
        self._state = state
        self._clock = clock

    async def run(self) -> NoReturn:
        """Write until cancelled."""
        failed = False
        while True:
            await self.changed.wait()
            await self._clock.sleep(SAVE_DELAY)
            self.changed.clear()
            try:
                self._file.save(self._state())
            except OSError as error:
                if not failed:
                    fields = {"reason": error.strerror}
                    log.warning("the state file cannot be written", extra=fields)
                failed = True
            else:
                failed = False
