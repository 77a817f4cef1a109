"""What a cluster's kubelets post of their pods' sandboxes, said where it is little."""

import logging
from collections.abc import Iterable

from rolecall_server.model.pods import Pod
from rolecall_server.model.source import PodsListed
from rolecall_server.model.starts import SANDBOX_READY

log = logging.getLogger(__name__)


class SandboxNotice:
    """Looks at each listing, and says once that no kubelet tells when a pod's sandbox came."""

    def __init__(self) -> None:
        self._has_said = False

    def listed(self, pods: Iterable[Pod]) -> PodsListed:
        """Return the listing of *pods*."""
        found = tuple(pods)
        if not self._has_said and _tell_of_containers_alone(found):
            self._has_said = True
            log.warning(
                "kubelets post no condition of sandboxes; the starts of containers are used",
                extra={"condition": SANDBOX_READY},
            )
        return PodsListed(found)


def _tell_of_containers_alone(pods: Iterable[Pod]) -> bool:
    started = [pod for pod in pods if pod.started_at is not None]
    return bool(started) and not any(pod.posts_sandbox for pod in started)
