"""What is wrong with a pod goes to the journal from here: of connected nodes only, and once."""

from rolecall_common.audit import stamp
from rolecall_proto.values import Reason, SessionId
from rolecall_server.credentials.retry import Refusal
from rolecall_server.credentials.store import CredentialStore
from rolecall_server.engine.index import Entry
from rolecall_server.model.decisions import Decision, Denied, Entitled, Pending
from rolecall_server.model.pods import Pod
from rolecall_server.nodes.subscription import NodeSubscription, Subscriptions
from rolecall_server.telemetry.journal import Journal


class PodReporter:
    """Says what became of pods, each cause once."""

    def __init__(
        self, store: CredentialStore, subscriptions: Subscriptions, journal: Journal
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._journal = journal

    def report(self, entry: Entry) -> None:
        """Report the decision on a pod of a connected node, and what STS refuses it, where new."""
        subscriptions = self._subscriptions.get(entry.node)
        if not subscriptions:
            return
        if entry.reported != entry.decision:
            entry.reported = entry.decision
            self._report_decision(entry.pod, entry.decision)
        if isinstance(entry.decision, Entitled):
            self._report_refusal(entry, entry.decision.identity.session_id, subscriptions[0])

    def _report_decision(self, pod: Pod, decision: Decision) -> None:
        match decision:
            case Denied(reason, sentence) if reason is not Reason.NO_ROLE:
                self._journal.denied(pod, reason, sentence)
            case Entitled():
                for note in decision.notes:
                    self._journal.warned(pod, note.reason, note.sentence)
            case Denied() | Pending():
                pass

    def _report_refusal(
        self, entry: Entry, session_id: SessionId, subscription: NodeSubscription
    ) -> None:
        refusal = self._store.refusal(session_id, subscription)
        cause = None if refusal is None else (refusal.reason, refusal.served_until)
        if refusal is not None and cause != entry.refused:
            self._journal.refused(entry.pod, refusal.reason, _sentence(refusal))
        entry.refused = cause


def _sentence(refusal: Refusal) -> str:
    if refusal.served_until is None:
        return refusal.explanation
    until = stamp(refusal.served_until)
    return f"{refusal.explanation}; what the pod has is served until {until}"
