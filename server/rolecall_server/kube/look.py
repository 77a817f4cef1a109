"""Reads single pods where an agent asks for an address that the watch has not told of yet.

The watch tells of an address soon after the pod has it, and its first request may be sooner still.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from rolecall_common.clock import Clock
from rolecall_proto.values import NodeName, PodUid
from rolecall_server.kube.api import Api, ApiError
from rolecall_server.kube.kinds import Kind
from rolecall_server.pods import Pod

log = logging.getLogger(__name__)

# Whoever was just looked at has nothing new to say.
_AGAIN_AFTER = timedelta(seconds=1)
# A node starts few pods at once; what is beyond this waits for the watch.
_MOST_PODS = 16
# Of all nodes together: the rest of the API server's time is for others.
_MOST_AT_ONCE = 16
# Whoever asks has a request in its hand that waits for 0.9 s in all.
_PATIENCE = 0.6  # seconds
_MOST_REMEMBERED = 10_000


class _Pods(Protocol):
    """What is known of pods: see `broker.py`."""

    def without_address(self, node: NodeName) -> Iterable[Pod]: ...


class LiveLook:
    """Asks the API server for pods of a node that are bound to it and have no address yet.

    By name, one at a time, never for a list. Those who ask for the same pod wait for one answer.
    """

    def __init__(
        self,
        api: Api,
        kind: Kind[Pod],
        pods: _Pods,
        found: Callable[[Pod], None],
        clock: Clock,
    ) -> None:
        """*found* is told of each pod that has got an address."""
        self._api = api
        self._kind = kind
        self._pods = pods
        self._found = found
        self._clock = clock
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._asked_at: dict[PodUid, datetime] = {}
        self._asking: dict[NodeName, asyncio.Event] = {}

    async def look(self, node: NodeName) -> None:
        """Return once the pods of *node* that have no address were read anew, or too late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._look(node)

    async def _look(self, node: NodeName) -> None:
        if (asking := self._asking.get(node)) is not None:
            await asking.wait()
            return
        wanted = self._wanted(node)
        if not wanted:
            return
        done = self._asking[node] = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                for pod in wanted:
                    tasks.create_task(self._read(pod), name=f"read {pod.namespace}/{pod.name}")
        finally:
            del self._asking[node]
            done.set()

    def _wanted(self, node: NodeName) -> list[Pod]:
        now = self._clock.now()
        if len(self._asked_at) > _MOST_REMEMBERED:
            self._asked_at.clear()
        pods = self._pods.without_address(node)
        wanted = [pod for pod in pods if self._is_due(pod.uid, now)][:_MOST_PODS]
        self._asked_at.update((pod.uid, now) for pod in wanted)
        return wanted

    def _is_due(self, uid: PodUid, now: datetime) -> bool:
        asked_at = self._asked_at.get(uid)
        return asked_at is None or now - asked_at >= _AGAIN_AFTER

    async def _read(self, pod: Pod) -> None:
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        try:
            async with self._slots:
                read = self._kind.reader.object(await self._api.get(path))
        except ApiError as error:
            log.debug("a pod could not be read", extra={"pod": pod.name, "reason": str(error)})
            return
        if not isinstance(read, Pod) or read.uid != pod.uid or not read.addresses:
            return
        # The watch may have been quicker, and may have told of the pod's end meanwhile: only a pod
        # that still has no address is told of, so that nothing that is gone comes back.
        if any(
            each.uid == read.uid for each in self._pods.without_address(pod.node or NodeName(""))
        ):
            self._found(read)
