"""Judges every answer that a pod gets, by the kernel's truth and by what could be known.

What is checked of "never another pod's credentials": an answer names exactly one pod; by the news
that had reached the agent (or may have, within the lag of its stream) that pod, and no other, has
the address; the credentials are those of the role that this news entitles it to. Where the kernel
has given the address away and the news has not come, the old pod's answer is counted, not failed:
closing that gap is the witness's part, which is not in the agent yet.
"""

from collections import Counter
from datetime import timedelta

from rolecall_agent.store.standing import Granted, Refused
from rolecall_proto.values import Address
from simulation.agent import Agent, Answer
from simulation.scenery import identity_of
from simulation.server import Known, View
from simulation.sts import Sts
from simulation.timeline import Calm, Timeline
from simulation.violations import (
    NEVER_ANOTHERS,
    NEVER_ENDED,
    NEVER_LATE,
    NEVER_LEFT_WAITING,
    NEVER_WRONGLY_REFUSED,
    ViolationError,
)

LEAST_REPORTED_LIFE = timedelta(minutes=10)
# After any trouble: one call that times out (10 s), the longest pause after it (30 s), and its lag.
RECOVERED_AFTER = 60.0
# After any change: two seconds without a stream, the watch, one call, the stream, and some more.
HEARD_AFTER = 5.0
# After a refusal the pause is up to ten minutes.
FORGIVEN_AFTER = 600.0 + RECOVERED_AFTER


class Oracle:
    """Raises ViolationError at the first answer that must not be."""

    def __init__(self, timeline: Timeline, calm: Calm, sts: Sts) -> None:
        self._timeline = timeline
        self._calm = calm
        self._sts = sts
        self.counts: Counter[str] = Counter()

    def judge(self, agent: Agent, answer: Answer) -> None:
        """Look at one answer that *agent* gave."""
        standing = answer.standing
        self.counts["asked"] += 1
        if isinstance(standing, Granted):
            self._judge_grant(agent, answer, standing)
        elif isinstance(standing, Refused):
            self.counts["refused"] += 1
            if not any(self._may_refuse(view, answer) for view in answer.views):
                raise ViolationError(NEVER_WRONGLY_REFUSED, f"{answer.uid} on {agent.node}")
        else:
            self.counts["held in vain"] += 1
            if self._works(agent, answer) and not self._is_forgiven(answer):
                raise ViolationError(NEVER_LEFT_WAITING, f"{answer.uid}: {standing}")

    def _judge_grant(self, agent: Agent, answer: Answer, granted: Granted) -> None:
        now, session = self._timeline.now, granted.session
        self.counts["granted"] += 1
        if session.credentials.expires_at <= now:
            raise ViolationError(NEVER_ENDED, f"{answer.uid} on {agent.node}")
        if not any(self._justifies(view, answer, granted) for view in answer.views):
            whose = self._sts.owners[session.credentials.access_key_id]
            given = f"{answer.uid} at {answer.address} got {whose.role_arn}"
            raise ViolationError(NEVER_ANOTHERS, f"{given} as {granted.assignment.uid}")
        if granted.assignment.uid != answer.uid:
            self.counts["another's, before the news"] += 1
        if self._works(agent, answer) and self._is_obtainable(granted.assignment.role_arn):
            self.counts["granted, all being well"] += 1
            left = session.reported_until - now
            if left < LEAST_REPORTED_LIFE:
                raise ViolationError(NEVER_LATE, f"{left} left of {session.id}")

    def _justifies(self, view: View, answer: Answer, granted: Granted) -> bool:
        known = _only_claimant(view, answer.address)
        if known is None or known.pod.uid != granted.assignment.uid or known.pod.host_network:
            return False
        owner = self._sts.owners[granted.session.credentials.access_key_id]
        return identity_of(known) == (owner.role_arn, owner.session_name)

    def _may_refuse(self, view: View, answer: Answer) -> bool:
        known = _only_claimant(view, answer.address)
        if known is None or known.namespace is None:
            # A namespace that is gone is unknown to a server that has restarted since.
            return known is not None
        identity = identity_of(known)
        return identity is None or not self._is_obtainable(identity[0])

    def _is_obtainable(self, role_arn: str) -> bool:
        return self._calm.lasts(FORGIVEN_AFTER, ("role", role_arn))

    def _is_forgiven(self, answer: Answer) -> bool:
        """Tell whether waiting is right: the role is refused, or its namespace is not there."""
        known = _only_claimant(answer.views[-1], answer.address)
        if known is None:
            return False
        identity = identity_of(known)
        return known.namespace is None or (
            identity is not None and not self._is_obtainable(identity[0])
        )

    def _works(self, agent: Agent, answer: Answer) -> bool:
        """Tell whether everything that this answer depends on has worked for a while."""
        if answer.linked_to is None:
            return False
        here = (
            ("node", agent.node),
            ("pod", answer.uid),
            ("address", agent.node, answer.address),
        )
        around = ("sts", ("server", answer.linked_to))
        return self._calm.lasts(HEARD_AFTER, *here) and self._calm.lasts(RECOVERED_AFTER, *around)


def _only_claimant(view: View, address: Address) -> Known | None:
    claimants = [known for known in view.values() if address in known.pod.addresses]
    return claimants[0] if len(claimants) == 1 else None
