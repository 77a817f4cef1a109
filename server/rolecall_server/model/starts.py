"""When a pod is known to have had its sandbox: what a kubelet posts of its starts.

A status says which addresses a pod has, and stands in the API until another one is posted. When it
was true is said by what started: the sandbox, or a container in it. A kubelet writes these times by
its node's own clock, in whole seconds, the rest cut off.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from rolecall_server.model import kube_objects

# Kubelets post it where the feature gate PodReadyToStartContainersCondition is on, as it is by
# default from 1.29 on.
SANDBOX_READY = "PodReadyToStartContainers"


def started_at(status: kube_objects.PodStatus) -> datetime | None:
    """Return the latest start that *status* tells of; None where it tells of none."""
    return max(chain(_sandbox_starts(status), _container_starts(status)), default=None)


def posts_sandbox(status: kube_objects.PodStatus) -> bool:
    """Whether *status* was posted by a kubelet that tells of sandboxes."""
    return any(each.type == SANDBOX_READY for each in status.conditions or ())


def _sandbox_starts(status: kube_objects.PodStatus) -> Iterator[datetime]:
    for each in status.conditions or ():
        if each.type == SANDBOX_READY and each.status == "True":
            yield from _moment(each.last_transition_time)


def _container_starts(status: kube_objects.PodStatus) -> Iterator[datetime]:
    kinds = (
        status.init_container_statuses,
        status.container_statuses,
        status.ephemeral_container_statuses,
    )
    for container in chain.from_iterable(each or () for each in kinds):
        for state in (container.state, container.last_state):
            for start in (state.running, state.terminated) if state else ():
                yield from _moment(start.started_at if start else None)


def _moment(text: object) -> Iterator[datetime]:
    """Yield the time that *text* says, if it is one; a time without a zone is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return
    if moment is not None and moment.tzinfo is not None:
        yield moment
