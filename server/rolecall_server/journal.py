"""What the broker tells the outside: the seam for log, audit, Events and counters."""

import enum
from datetime import timedelta
from typing import Protocol

from rolecall_proto.values import Reason
from rolecall_server.identity import Identity
from rolecall_server.issuer import Issued, IssueError
from rolecall_server.pods import Pod


class Why(enum.StrEnum):
    """Why an identity was issued, in order of urgency."""

    WAITING = "waiting"  # A pod has asked, and its request is held.
    NEW = "new"  # A pod needs it and its node holds nothing.
    RENEWAL = "renewal"


class Journal(Protocol):
    """Hears what happened. Synchronous and quick: what takes time is queued behind it.

    A replica speaks only for the nodes that are connected to it, so that two replicas do not say
    everything twice. Everything about a pod is said once per cause.
    """

    def denied(self, pod: Pod, reason: Reason, sentence: str) -> None:
        """The policy says no to *pod*; never called for a pod that has no role to begin with."""

    def warned(self, pod: Pod, reason: Reason, sentence: str) -> None:
        """*pod* is served, and somebody should know this of it."""

    def refused(self, pod: Pod, reason: Reason, sentence: str) -> None:
        """STS says no to the role of *pod*, and nothing valid is held for it."""

    def issued(self, identity: Identity, issued: Issued, why: Why, waited: timedelta) -> None:
        """STS gave credentials, *waited* after they were due."""

    def failed(self, identity: Identity, error: IssueError) -> None:
        """One call of STS failed; it will be asked again."""

    def quarantined(self, kind: str, key: str, reason: str) -> None:
        """An object is unusable and is left out; everything else is served on."""

    def bug(self, kind: str, key: str, error: Exception) -> None:
        """An unforeseen *error* around one object, which is now quarantined. Log its traceback."""
