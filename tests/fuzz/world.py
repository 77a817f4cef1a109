"""What is true of a node while a scene is played: its pods, their sessions, and the tokens out.

It is kept in the plainest way, and by nothing of the agent's, to be held against what the agent
makes of the same news.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address

from fakes.endpoint_rig import BASE, KEYS, pod, session
from rolecall_agent.decision import COMMON_ITEMS
from rolecall_agent.metadata.endpoint import MetadataEndpoint
from rolecall_agent.metadata.item_cache import ItemCache, Missed
from rolecall_agent.store.cache import Cache
from rolecall_proto.values import (
    Address,
    Assignment,
    AssignmentUpserted,
    EndpointKeys,
    PodRemoved,
    PodUid,
    Reason,
    Session,
    SessionId,
    SessionRenewed,
    SnapshotEnd,
    State,
    Update,
    plain,
)

# Who asks, as the kernel writes its address. The last one is the first one by another spelling.
HOSTS = (
    *("10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"),
    *("fd00:77::9", "fe80::1%eth0", "::ffff:10.0.0.2"),
)
ADDRESSES = tuple(plain(ip_address(host.partition("%")[0])) for host in HOSTS)
# What the node's items are said to be; no secret is in them.
TOLD = b"told-of-the-node"
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)
_GRANTED, _SHORT, _TOKEN, _DENIED, _NO_ROLE, _PENDING, _HOST, _FAILED = range(8)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an address may be given now."""

    role: str
    session: Session
    needs_token: bool


@dataclass(slots=True)
class Tables:
    """What one stream has said."""

    pods: dict[PodUid, Assignment] = field(default_factory=dict)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    keys: EndpointKeys | None = None


class World:
    """The node, told of to an agent by and by. *now* is the only clock."""

    def __init__(self, endpoint: MetadataEndpoint, cache: Cache) -> None:
        self._endpoint = endpoint
        self._cache = cache
        self._items = ItemCache(COMMON_ITEMS)
        endpoint.offers(self._items, lambda _: None)
        self._made = 0
        self._true = Tables(keys=KEYS)  # As the server knows it.
        self._told = Tables()  # As the agent was told, the last whole snapshot and since.
        self._staged: Tables | None = Tables()
        # Which token is good for which address: until when, and by which key.
        self._tokens: dict[tuple[Address, bytes], tuple[datetime, bytes]] = {}

    @property
    def token_key(self) -> bytes | None:
        return self._told.keys.token_key if self._told.keys else None

    def entitlement(self, address: Address, now: datetime) -> Entitlement | None:
        """Return what *address* may be given at *now*."""
        claimants = [each for each in self._told.pods.values() if address in each.addresses]
        if len(claimants) != 1:
            return None
        (only,) = claimants
        if only.state is not State.GRANTED or only.host_network or only.session_id is None:
            return None
        session = self._told.sessions.get(only.session_id)
        if session is None or now >= session.credentials.expires_at:
            return None
        return Entitlement(only.role, session, only.imdsv2_required)

    def gave(self, address: Address, token: bytes, until: datetime) -> None:
        """Note that *address* was given *token*."""
        assert self.token_key is not None
        self._tokens[address, token] = (until, self.token_key)

    def is_good(self, address: Address, token: bytes, now: datetime) -> bool:
        until, key = self._tokens.get((address, token), (now, b""))
        return now < until and key == self.token_key

    def begin(self, now: datetime) -> None:
        """Have a pod of each kind, and nobody at the addresses that are left."""
        for kind, address in enumerate(ADDRESSES[: _HOST + 1]):
            self._add(kind, address, now)

    def sync(self, now: datetime, *, with_sessions: bool = True) -> None:
        """Tell a whole snapshot."""
        self._open(now)
        for known in self._true.sessions.values() if with_sessions else ():
            self._tell(SessionRenewed(known), now)
        for each in self._true.pods.values():
            self._tell(AssignmentUpserted(each), now)
        self._tell(SnapshotEnd(), now)

    def change(self, number: int, address: Address, other: Address, now: datetime) -> None:
        """Let something happen at *address*, and tell of it."""
        kind, what = number % 8, number // 8 % 8
        match what:
            case 0 | 1:
                self._clear(address, now)
                self._add(kind, address, now)
            case 2:
                self._clear(address, now)
            case 3:
                self._add(kind, address, now)  # Beside whoever is there.
            case 4:
                self._renew(address, now)
            case 5:
                self._move(address, other, now)
            case 6:
                self._resync(kind, now)
            case _:
                self._tell_item(kind, now)

    def _add(self, kind: int, address: Address, now: datetime) -> None:
        self._made += 1
        name = f"s{self._made}"
        states = {
            _DENIED: State.DENIED,
            _NO_ROLE: State.DENIED,
            _PENDING: State.PENDING,
            _FAILED: State.FAILED,
        }
        reasons = {
            _DENIED: Reason.NAMESPACE_FORBIDS,
            _NO_ROLE: Reason.NO_ROLE,
            _FAILED: Reason.ACCESS_DENIED,
        }
        state = states.get(kind, State.GRANTED)
        role = "" if kind == _NO_ROLE else f"role-{self._made}"
        made = pod(
            str(address),
            state,
            reasons.get(kind, None if state is State.GRANTED else Reason.CREDENTIALS_PENDING),
            uid=f"uid-{self._made}",
            role=role,
            role_arn=BASE + role if role else "",
            host_network=kind == _HOST,
            imdsv2_required=kind == _TOKEN,
        )
        if state is State.GRANTED:
            made = replace(made, session_id=SessionId(name))
            self._tell_session(name, _MINUTE if kind == _SHORT else _HOUR, now)
        self._tell_pod(made, now)

    def _renew(self, address: Address, now: datetime) -> None:
        for each in self._at(address):
            if each.session_id is not None:
                self._tell_session(each.session_id, _HOUR, now)

    def _move(self, address: Address, other: Address, now: datetime) -> None:
        moving = self._at(address)
        self._clear(other, now)
        for each in moving:
            self._tell_pod(replace(each, addresses=(other,)), now)

    def _resync(self, kind: int, now: datetime) -> None:
        if kind == 0:
            self._open(now)  # And the stream ends there.
            return
        if kind == 1:
            turned = bytes(reversed(self._true.keys.token_key)) if self._true.keys else b""
            self._true.keys = replace(KEYS, token_key=turned)
            self._tell(self._true.keys, now)
        else:
            self.sync(now, with_sessions=kind % 2 == 0)

    def _tell_item(self, kind: int, now: datetime) -> None:
        items = list(COMMON_ITEMS)
        told = (TOLD, Missed.REFUSED, Missed.UNAVAILABLE)[kind % 3]
        self._items.put(items[kind % len(items)], told, now)
        self._endpoint.items_changed()

    def _at(self, address: Address) -> list[Assignment]:
        return [each for each in self._true.pods.values() if address in each.addresses]

    def _clear(self, address: Address, now: datetime) -> None:
        for each in self._at(address):
            del self._true.pods[each.uid]
            self._tell(PodRemoved(each.uid), now)

    def _tell_pod(self, made: Assignment, now: datetime) -> None:
        self._true.pods[made.uid] = made
        self._tell(AssignmentUpserted(made), now)

    def _tell_session(self, name: str, lasts: timedelta, now: datetime) -> None:
        self._made += 1
        fresh = session(name, key=f"ASIA{self._made}")
        until = now + lasts
        credentials = replace(fresh.credentials, issued_at=now, expires_at=until)
        fresh = replace(fresh, credentials=credentials, reported_until=until)
        self._true.sessions[fresh.id] = fresh
        self._tell(SessionRenewed(fresh), now)

    def _open(self, now: datetime) -> None:
        self._cache.begin()
        self._staged = Tables()
        assert self._true.keys is not None
        self._tell(self._true.keys, now)

    def _tell(self, update: Update, now: datetime) -> None:
        self._note(self._told if self._staged is None else self._staged, update)
        self._endpoint.wake(self._cache.apply(update, now))

    def _note(self, tables: Tables, update: Update) -> None:
        match update:
            case AssignmentUpserted(assignment):
                tables.pods[assignment.uid] = assignment
            case PodRemoved(uid):
                tables.pods.pop(uid, None)
            case SessionRenewed(renewed):
                tables.sessions[renewed.id] = renewed
            case EndpointKeys():
                tables.keys = update
            case SnapshotEnd() if self._staged is not None:
                # Sessions that were not sent again stay; the agent said that it has them.
                self._staged.sessions = self._told.sessions | self._staged.sessions
                self._told, self._staged = self._staged, None
            case _:
                pass
