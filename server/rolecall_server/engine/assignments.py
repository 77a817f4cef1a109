"""What each pod may have: its decision and the state of its identity, put together."""

from collections.abc import Iterable

from rolecall_proto.values import Assignment, NodeName, PodUid, Reason, Session, SessionId, State
from rolecall_server.credentials.store import CredentialStore
from rolecall_server.engine.index import Entry, Index
from rolecall_server.model.decisions import Denied, Entitled, Pending
from rolecall_server.nodes.subscription import NodeSubscription


class Assignments:
    """What subscriptions read. It holds nothing and decides nothing."""

    def __init__(self, index: Index, store: CredentialStore, *, imdsv2_required: bool) -> None:
        self._index = index
        self._store = store
        self._imdsv2_required = imdsv2_required

    def pods_of(self, node: NodeName) -> Iterable[PodUid]:
        return self._index.on_node(node)

    def assignment(self, uid: PodUid, subscription: NodeSubscription) -> Assignment | None:
        entry = self._index.on_node(subscription.node).get(uid)
        return None if entry is None else self._assignment(entry, subscription)

    def session(self, session_id: SessionId) -> Session | None:
        return self._store.session(session_id)

    def drop_held(self, session_id: SessionId, subscription: NodeSubscription) -> None:
        self._store.drop_held(session_id, subscription)

    def _assignment(self, entry: Entry, subscription: NodeSubscription) -> Assignment:
        decision = entry.decision
        match decision:
            case Entitled(identity):
                state, reason = self._store.status(identity.session_id, subscription)
                return self._described(entry, state, reason, decision)
            case Denied():
                return self._described(entry, State.DENIED, decision.reason)
            case Pending():
                return self._described(entry, State.PENDING, decision.reason)

    def _described(
        self, entry: Entry, state: State, reason: Reason | None, entitled: Entitled | None = None
    ) -> Assignment:
        pod, identity = entry.pod, entitled.identity if entitled else None
        return Assignment(
            uid=pod.uid,
            namespace=pod.namespace,
            name=pod.name,
            service_account=pod.service_account,
            addresses=pod.addresses,
            started_at=pod.started_at,
            state=state,
            role=entitled.role_shown if entitled else "",
            role_arn=identity.role_arn if identity else "",
            session_id=identity.session_id if identity and state is State.GRANTED else None,
            reason=reason,
            host_network=pod.host_network,
            imdsv2_required=self._needs_token(pod.namespace),
        )

    def _needs_token(self, namespace: str) -> bool:
        known = self._index.namespaces.get(namespace)
        return self._imdsv2_required or (known is not None and known.imdsv2_required)
