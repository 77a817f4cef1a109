"""What each pod may have: its decision and the state of its identity's supply, put together."""

from collections.abc import Iterable

from rolecall_proto.values import Assignment, NodeName, PodUid, Session, SessionId, State
from rolecall_server.fanout import Connection
from rolecall_server.index import Entry, Index
from rolecall_server.policy import Denied, Entitled, Pending
from rolecall_server.stock import Stock


class Assignments:
    """The view that connections look at. It holds nothing and decides nothing."""

    def __init__(self, index: Index, stock: Stock, *, imdsv2_required: bool) -> None:
        self._index = index
        self._stock = stock
        self._imdsv2_required = imdsv2_required

    def pods_of(self, node: NodeName) -> Iterable[PodUid]:
        return self._index.on_node(node)

    def assignment(self, uid: PodUid, connection: Connection) -> Assignment | None:
        entry = self._index.on_node(connection.node).get(uid)
        return None if entry is None else self._assignment(entry, connection)

    def session(self, session_id: SessionId) -> Session | None:
        return self._stock.session(session_id)

    def lost(self, session_id: SessionId, connection: Connection) -> None:
        self._stock.lose(session_id, connection)

    def _assignment(self, entry: Entry, connection: Connection) -> Assignment:
        decision = entry.decision
        match decision:
            case Entitled():
                return self._entitled(entry, decision, connection)
            case Denied():
                return self._without(entry, State.DENIED, decision)
            case Pending():
                return self._without(entry, State.PENDING, decision)

    def _entitled(self, entry: Entry, decision: Entitled, connection: Connection) -> Assignment:
        pod, identity = entry.pod, decision.identity
        state, reason = self._stock.standing(identity.session_id, connection)
        return Assignment(
            uid=pod.uid,
            namespace=pod.namespace,
            name=pod.name,
            service_account=pod.service_account,
            addresses=pod.addresses,
            state=state,
            role=decision.role_shown,
            role_arn=identity.role_arn,
            session_id=identity.session_id if state is State.GRANTED else None,
            reason=reason,
            host_network=pod.host_network,
            imdsv2_required=self._needs_token(pod.namespace),
        )

    def _without(self, entry: Entry, state: State, decision: Denied | Pending) -> Assignment:
        pod = entry.pod
        return Assignment(
            uid=pod.uid,
            namespace=pod.namespace,
            name=pod.name,
            service_account=pod.service_account,
            addresses=pod.addresses,
            state=state,
            reason=decision.reason,
            host_network=pod.host_network,
            imdsv2_required=self._needs_token(pod.namespace),
        )

    def _needs_token(self, namespace: str) -> bool:
        known = self._index.namespaces.get(namespace)
        return self._imdsv2_required or (known is not None and known.imdsv2_required)
