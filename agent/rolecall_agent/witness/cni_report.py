"""What the node's network looks like, said once whenever it has changed."""

import asyncio
import logging
from datetime import timedelta
from typing import NoReturn

from rolecall_agent.witness.cni import ADVICE, Network, network_of
from rolecall_agent.witness.kernel import Kernel
from rolecall_common.clock import Clock

log = logging.getLogger(__name__)

# Between two looks: all rules are read for each, and links and rules come and go with pods.
NOTICE = timedelta(seconds=5)


class Noticing:
    """Looks at once, and then whenever `changed` is set, but not all the time."""

    def __init__(self, kernel: Kernel, clock: Clock) -> None:
        self.network = Network.UNKNOWN
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
            await self._clock.sleep(NOTICE)

    def _look(self) -> None:
        network = network_of(self._kernel.links.known, self._kernel.rules())
        if self._has_said and network is self.network:
            return
        self.network, self._has_said = network, True
        advice = ADVICE[network]
        level = logging.WARNING if advice.is_warning else logging.INFO
        log.log(level, "the node's network", extra={"cni": network, "advice": advice.sentence})
