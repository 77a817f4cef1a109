"""Which pod has an address, and which addresses a pod has, as a node asks for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rolecall_common.clock import Clock
from rolecall_proto.values import Address, Confirmation, NodeName, PodUid, Resolution
from rolecall_server.engine.broker import Broker


class PodReader(Protocol):
    """Reads pods of a node anew, as far as that can be done in a moment."""

    async def refresh(self, node: NodeName) -> None: ...
    async def confirm(
        self, node: NodeName, uids: Sequence[PodUid]
    ) -> Mapping[PodUid, Confirmation]: ...


class PodResolver:
    """Answers from what the source has told, and by a live read where that does not do."""

    def __init__(self, broker: Broker, pod_reader: PodReader | None, clock: Clock) -> None:
        """*pod_reader* is None where nobody can read pods anew."""
        self._broker = broker
        self._pod_reader = pod_reader
        self._clock = clock

    async def resolve(self, node: NodeName, addresses: Sequence[Address]) -> list[Resolution]:
        """Return what each of *addresses* is on *node*; an unknown one is looked for once."""
        resolved = self._known(node, addresses)
        if self._pod_reader is not None and Resolution.UNKNOWN in resolved:
            await self._pod_reader.refresh(node)
            resolved = self._known(node, addresses)
        return resolved

    async def confirm(self, node: NodeName, uids: Sequence[PodUid]) -> list[Confirmation | None]:
        """Return what each of *uids* has now; None where that could not be read."""
        if self._pod_reader is None:
            return [self._said(node, uid) for uid in uids]
        read = await self._pod_reader.confirm(node, uids) if uids else {}
        return [read.get(uid) for uid in uids]

    def _said(self, node: NodeName, uid: PodUid) -> Confirmation | None:
        """Return what a source without kubelets says: it reports nothing, it decides."""
        addresses = self._broker.addresses_of(node, uid)
        return None if addresses is None else Confirmation(addresses, self._clock.now())

    def _known(self, node: NodeName, addresses: Iterable[Address]) -> list[Resolution]:
        now = self._clock.now()
        return [self._broker.resolve(node, address, now) for address in addresses]
