"""The agent's own heartbeat: its worker says again and again that it works, and how it is.

The kubelet cannot ask by a port: while two agents share a node the other one may answer. And a file
that only is there says nothing of a worker that hangs.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from rolecall_common.admin_http import Readiness
from rolecall_common.clock import Clock
from rolecall_common.heartbeat_file import Condition, Heartbeat, HeartbeatFile

log = logging.getLogger(__name__)

_EVERY = timedelta(seconds=1)
# A stamp that is twice as old is none: the loop may be busy, or the machine slow, for so long.
PERIOD = timedelta(seconds=5)


async def show_life(
    file: HeartbeatFile, clock: Clock, readiness: Callable[[], Readiness]
) -> NoReturn:
    """Write what *readiness* says now, until cancelled."""
    while True:
        now = readiness()
        condition = Condition.READY if now.ready else Condition.NOT_READY
        text = "; ".join(now.lines)
        try:
            file.write(Heartbeat(time.monotonic(), PERIOD.total_seconds(), condition, text=text))
        except OSError as error:
            # The kubelet sees a stamp that grows old; pods are answered all the same.
            log.error("the stamp cannot be written", extra={"reason": error.strerror})  # noqa: TRY400 - the reason is a field
        await clock.sleep(_EVERY)
