"""What the broker reports: the seam for log, audit, Events and counters."""

import enum
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from rolecall_proto.values import Reason
from rolecall_server.model.identity import Identity
from rolecall_server.model.issuer import Issued, IssueError
from rolecall_server.model.pods import Pod


class Why(enum.StrEnum):
    """Why an identity was issued, in order of urgency."""

    WAITING = "waiting"  # A pod has asked, and its request is held.
    NEW = "new"  # A pod needs it and its node holds nothing.
    RENEWAL = "renewal"


class Journal(Protocol):
    """Records what happened. Synchronous and quick: what takes time is queued behind it.

    A replica reports only on the nodes that are connected to it, so that two replicas do not
    report everything twice. Everything about a pod is reported once per cause.
    """

    def denied(self, pod: Pod, reason: Reason, sentence: str) -> None:
        """Record that policy says no to *pod*. Not called for a pod without a role."""

    def warned(self, pod: Pod, reason: Reason, sentence: str) -> None:
        """Record that *pod* is served, and what somebody should know of it."""

    def refused(self, pod: Pod, reason: Reason, sentence: str) -> None:
        """Record that STS says no to the role of *pod*; *sentence* says what it has until when."""

    def issued(self, identity: Identity, issued: Issued, why: Why, waited: timedelta) -> None:
        """Record that STS gave credentials, *waited* after they were due."""

    def failed(self, identity: Identity, error: IssueError) -> None:
        """Record that one call of STS failed; it will be asked again."""

    def quarantined(self, kind: str, key: str, reason: str) -> None:
        """Record that an object is unusable and left out; everything else is served on."""

    def bug(self, kind: str, key: str, error: Exception) -> None:
        """Record an unforeseen *error* around one object, now quarantined. Log its traceback."""


class Journals:
    """Several journals as one: each records everything, in the order in which they are given."""

    def __init__(self, journals: Iterable[Journal]) -> None:
        self._journals = tuple(journals)

    def denied(self, pod: Pod, reason: Reason, sentence: str) -> None:
        for each in self._journals:
            each.denied(pod, reason, sentence)

    def warned(self, pod: Pod, reason: Reason, sentence: str) -> None:
        for each in self._journals:
            each.warned(pod, reason, sentence)

    def refused(self, pod: Pod, reason: Reason, sentence: str) -> None:
        for each in self._journals:
            each.refused(pod, reason, sentence)

    def issued(self, identity: Identity, issued: Issued, why: Why, waited: timedelta) -> None:
        for each in self._journals:
            each.issued(identity, issued, why, waited)

    def failed(self, identity: Identity, error: IssueError) -> None:
        for each in self._journals:
            each.failed(identity, error)

    def quarantined(self, kind: str, key: str, reason: str) -> None:
        for each in self._journals:
            each.quarantined(kind, key, reason)

    def bug(self, kind: str, key: str, error: Exception) -> None:
        for each in self._journals:
            each.bug(kind, key, error)
