"""What the node's network looks like, said once whenever it has changed."""

import asyncio
import logging
from datetime import timedelta
from typing import NoReturn

from rolecall_agent.witness.cni import ADVICE, Cni, detect_cni
from rolecall_agent.witness.kernel import Kernel
from rolecall_agent.witness.netlink import LostError
from rolecall_common.clock import Clock

log = logging.getLogger(__name__)

# Between two looks: all rules are read for each, and links and rules come and go with pods.
INTERVAL = timedelta(seconds=5)


class CniReporter:
    """Looks at once, and then whenever `changed` is set, but not all the time."""

    def __init__(self, kernel: Kernel, clock: Clock) -> None:
        self.cni = Cni.UNKNOWN
        self.changed = asyncio.Event()
        self._kernel = kernel
        self._clock = clock
        self._has_said = False
        self._look()

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        while True:
            await self.changed.wait()
            self.changed.clear()
            self._look()
            await self._clock.sleep(INTERVAL)

    def _look(self) -> None:
        try:
            cni = detect_cni(self._kernel.links.known, self._kernel.rules())
        except LostError:
            return  # It is told with the next change, and nothing hangs on it.
        if self._has_said and cni is self.cni:
            return
        self.cni, self._has_said = cni, True
        advice = ADVICE[cni]
        level = logging.WARNING if advice.is_warning else logging.INFO
        log.log(level, "the node's network", extra={"cni": cni, "advice": advice.sentence})
