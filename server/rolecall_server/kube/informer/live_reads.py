"""Reads single pods where an agent asks for more than the watch has told.

The watch tells of an address soon after the pod has it, and its first request may be sooner still.
And where the kernel of a node has given an address to another link, the agent has to know whose it
is now, which the watch may tell too late.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from rolecall_common.clock import Clock
from rolecall_proto.values import Confirmation, NodeName, PodUid
from rolecall_server.kube.api import Api, ApiError, RejectedError
from rolecall_server.kube.informer.resources import Resource
from rolecall_server.model.pods import Pod

log = logging.getLogger(__name__)

# Whoever was just looked at has nothing new to say.
_AGAIN_AFTER = timedelta(seconds=1)
# A node starts few pods at once; what is beyond this waits for the watch.
_MOST_PODS = 16
# Those of which an agent doubts that they have their addresses; a node runs some hundred.
_MOST_CONFIRMED = 64
# Of all nodes together: the rest of the API server's time is for others.
_MOST_AT_ONCE = 16
# Whoever asks has a request in its hand that waits for 0.9 s in all.
_TIMEOUT = 0.6  # seconds
_MOST_REMEMBERED = 10_000


class _Pods(Protocol):
    """What is known of pods: see `engine/broker.py`."""

    def without_address(self, node: NodeName) -> Iterable[Pod]: ...
    def pod(self, uid: PodUid) -> Pod | None: ...


class LiveReads:
    """Asks the API server for pods of a node that are bound to it and have no address yet.

    By name, one at a time, never for a list. Those who ask for the same pod wait for one answer.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource[Pod],
        pods: _Pods,
        found: Callable[[Pod], None],
        clock: Clock,
    ) -> None:
        """*found* is told of each pod that has got an address."""
        self._api = api
        self._resource = resource
        self._pods = pods
        self._found = found
        self._clock = clock
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._asked_at: dict[PodUid, datetime] = {}
        self._confirmed_at: dict[PodUid, datetime] = {}
        self._asking: dict[NodeName, asyncio.Event] = {}

    async def refresh(self, node: NodeName) -> None:
        """Return once the pods of *node* that have no address were read anew, or too late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                await self._refresh(node)

    async def confirm(self, node: NodeName, uids: Iterable[PodUid]) -> dict[PodUid, Confirmation]:
        """Read each of *uids* anew, by a read that begins now; return what each has.

        Who is not of *node*, or could not be read, or was read a moment ago, is left out.
        """
        held: dict[PodUid, Confirmation] = {}
        known = [pod for uid in dict.fromkeys(uids) if (pod := self._pods.pod(uid)) is not None]
        own = [pod for pod in known if pod.node == node]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT), asyncio.TaskGroup() as tasks:
                for pod in self._take_due(self._confirmed_at, own, _MOST_CONFIRMED):
                    name = f"confirm {pod.namespace}/{pod.name}"
                    tasks.create_task(self._confirm(pod, held), name=name)
        return held

    async def _confirm(self, pod: Pod, held: dict[PodUid, Confirmation]) -> None:
        read = await self._get(pod)
        if read is None:
            return
        ends = read.uid != pod.uid or read.node != pod.node or read.terminating or read.finished
        held[pod.uid] = Confirmation(() if ends else read.addresses, read.started_at)

    async def _refresh(self, node: NodeName) -> None:
        if (asking := self._asking.get(node)) is not None:
            await asking.wait()
            return
        wanted = self._without_address(node)
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

    def _without_address(self, node: NodeName) -> list[Pod]:
        return self._take_due(self._asked_at, self._pods.without_address(node), _MOST_PODS)

    def _take_due(
        self, asked_at: dict[PodUid, datetime], pods: Iterable[Pod], most: int
    ) -> list[Pod]:
        """Return those of *pods* that were not asked for just now, and note that they are."""
        now = self._clock.now()
        if len(asked_at) > _MOST_REMEMBERED:
            asked_at.clear()
        due = [pod for pod in pods if _is_due(asked_at.get(pod.uid), now)][:most]
        asked_at.update((pod.uid, now) for pod in due)
        return due

    async def _get(self, pod: Pod) -> Pod | None:
        """Return *pod* as it is, or whoever has its name; None where that cannot be read."""
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        try:
            async with self._slots:
                read = self._resource.decoder.object(await self._api.get(path))
        except ApiError as error:
            if isinstance(error, RejectedError) and error.status == HTTPStatus.NOT_FOUND:
                return replace(pod, finished=True)
            log.debug("a pod could not be read", extra={"pod": pod.name, "reason": str(error)})
            return None
        return read if isinstance(read, Pod) else None

    async def _read(self, pod: Pod) -> None:
        read = await self._get(pod)
        if read is None or read.uid != pod.uid or not read.addresses:
            return
        # The watch may have been quicker, and may have told of the pod's end meanwhile: only a pod
        # that still has no address is told of, so that nothing that is gone comes back.
        if any(
            each.uid == read.uid for each in self._pods.without_address(pod.node or NodeName(""))
        ):
            self._found(read)


def _is_due(asked_at: datetime | None, now: datetime) -> bool:
    # A clock that was set back must not put it off.
    return asked_at is None or not timedelta() <= now - asked_at < _AGAIN_AFTER
