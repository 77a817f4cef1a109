"""Objects that are left out because they cannot be used, while everything else is served."""

from collections.abc import Container

from rolecall_proto.values import Reason
from rolecall_server.telemetry.journal import Journal


class Quarantine:
    """Which objects are left out, by kind and key, until they are read or decided anew."""

    def __init__(self, journal: Journal) -> None:
        self.bugs = 0  # Ever.
        self._reasons: dict[tuple[str, str], str] = {}
        self._journal = journal

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, kind: str, key: str, reason: str) -> None:
        """Leave out an object that cannot be read."""
        self._reasons[kind, key] = reason
        self._journal.quarantined(kind, key, reason)

    def add_for_bug(self, kind: str, key: str, error: Exception) -> None:
        """Leave out an object around which an unforeseen *error* came up."""
        self.bugs += 1
        self._reasons[kind, key] = str(Reason.BUG)
        self._journal.bug(kind, key, error)

    def release(self, kind: str, key: str) -> bool:
        """Leave the object out no more; tell whether it was."""
        return self._reasons.pop((kind, key), None) is not None

    def release_absent(self, kind: str, listed: Container[str]) -> None:
        """Release what is not *listed*: what is there and unusable is reported next."""
        for each in [key for key in self._reasons if key[0] == kind and key[1] not in listed]:
            del self._reasons[each]
