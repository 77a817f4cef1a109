"""What is noted of each answer of the metadata endpoint: what is refused, and who has no token."""

import logging
from datetime import datetime

from rolecall_agent.decision import Answer, Outcome, Refuse, Route, Serve
from rolecall_agent.http.counters import Counters
from rolecall_agent.http.request import ReceivedRequest
from rolecall_agent.metadata.path_class import class_of
from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import Rewritten, Unconfirmed, Unknown
from rolecall_proto.values import Assignment, PodUid

log = logging.getLogger(__name__)

# Paths of the node's own metadata, which another setting might have pods told.
_OF_THE_NODE = frozenset({Route.ITEM, Route.LISTING, Route.OTHER})
# How requests end that a token would not have helped, or that the lack of one has ended.
_NOT_FOR_WANT = frozenset({Outcome.UNAUTHORIZED, Outcome.MALFORMED, Outcome.METHOD})
_MOST_PODS = 4096  # of which it is known that they were named; a node has some hundred


class Tally:
    """Counts refused paths by their class, and requests that only IMDSv1 lets pass."""

    def __init__(self, counters: Counters, cache: Cache) -> None:
        self._counters = counters
        self._cache = cache
        self._named: set[PodUid] = set()

    def note(self, received: ReceivedRequest, answer: Answer, now: datetime) -> None:
        """Note that *received* gets *answer*."""
        request = received.request
        if isinstance(answer, Refuse):
            if answer.outcome is Outcome.NOT_FOUND and received.target.route in _OF_THE_NODE:
                self._counters.refused_paths[class_of(request.path)] += 1
            if answer.outcome in _NOT_FOR_WANT:
                return
        if not request.tokens and request.method != b"PUT":
            self._counters.tokenless += 1
            # Nearly all of them are of pods that were named, and on the way of each warm answer.
            if not isinstance(answer, Serve) or answer.assignment.uid not in self._named:
                self._name(received, answer, now)

    def _name(self, received: ReceivedRequest, answer: Answer, now: datetime) -> None:
        """Name the pod in the log, once."""
        pod = answer.assignment if isinstance(answer, Serve) else self._pod_of(received, now)
        if pod is None or pod.uid in self._named:
            return
        if len(self._named) >= _MOST_PODS:
            self._named.clear()  # To name one twice is better than a leak.
        self._named.add(pod.uid)
        fields = {"namespace": pod.namespace, "pod": pod.name}
        fields |= {"pod_uid": pod.uid, "service_account": pod.service_account}
        log.info("a pod asks for metadata without a token, as IMDSv1 does", extra=fields)

    def _pod_of(self, received: ReceivedRequest, now: datetime) -> Assignment | None:
        standing = self._cache.standing(received.peer, now)
        return (
            None if isinstance(standing, Unknown | Unconfirmed | Rewritten) else standing.assignment
        )
