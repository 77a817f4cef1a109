"""A connection whose address may become another pod's while it is open: behind a bridge, say."""

from rolecall_agent.http.connection import Connection
from rolecall_common.callbacks import reports_os_errors


class WatchedConnection(Connection):
    """One that asks the kernel before each request whether it is still the same pod's."""

    __slots__ = ()

    @reports_os_errors
    def data_received(self, data: bytes) -> None:
        self._server.poll()
        if not self._transport.is_closing():  # It may be this one that was cut.
            super().data_received(data)
