"""What one node is told: the newest state of its pods and sessions, computed when it is asked for."""

from collections.abc import Callable

from rolecall_proto.values import NodeName, Update


class Connection:
    """One agent's stream, as the broker sees it."""

    def __init__(self, node: NodeName, version: str, wake: Callable[[], None]) -> None:
        self.node = node
        self.version = version
        self._wake = wake

    def take(self) -> list[Update]:
        """Return what the agent must be told to be up to date; empty when it is.

        The first call returns the snapshot, `SnapshotEnd` last. Later calls return what has changed
        since the call before: of several changes to one pod or session only the last. A session
        always precedes an assignment that refers to it.
        """
        raise NotImplementedError
