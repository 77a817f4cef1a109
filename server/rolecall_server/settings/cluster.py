"""Settings: the Kubernetes API, and which of its pods are agents."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rolecall_common.settings import types
from rolecall_common.settings.declare import Conflict, setting

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE = types.matching(_LABEL, "the name of a namespace", "NAMESPACE")
_OBJECT = types.matching(
    r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "the name of an object, in lower case", "NAME"
)
_AUDIENCE = types.matching(r"[!-~]{1,253}", "an audience: no blanks, ASCII only", "AUDIENCE")
_CONTEXT = types.matching(r"[ -~]{1,253}", "the name of a context", "CONTEXT")


class EventReasons(StrEnum):
    """What the Events on pods are called."""

    ROLECALL = "rolecall"
    KIAM = "kiam"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """The API server is the one whose pod this is, unless a kubeconfig names another."""

    kubeconfig: Path | None = setting(
        types.optional(types.PATH),
        "A kubeconfig, for a server that runs outside of its cluster.",
        default=None,
    )
    kube_context: str | None = setting(
        types.optional(_CONTEXT),
        "The context of the kubeconfig. Else the one it names as current.",
        default=None,
    )
    kube_lenient_tls: bool = setting(
        types.SWITCH,
        "Accept an API server whose certificate authority lacks what RFC 5280 wants. Python 3.13 "
        "and later refuse it otherwise.",
        default=False,
    )
    agent_namespace: str | None = setting(
        types.optional(_NAMESPACE),
        "The namespace of the agents' pods. Else the server's own.",
        default=None,
    )
    agent_service_account: str = setting(
        _OBJECT, "The service account of the agents' pods.", default="rolecall-agent"
    )
    agent_audience: str = setting(
        _AUDIENCE, "The audience of the agents' tokens.", default="rolecall"
    )
    container_audience: tuple[str, ...] = setting(
        types.several(_AUDIENCE, least=1),
        "The audiences of tokens that pods show at the container endpoint; one of them is enough.",
        default=("rolecall-credentials",),
    )
    node_guard: str = setting(
        _OBJECT,
        "The ValidatingAdmissionPolicy that keeps nodes from writing role annotations, and its "
        "binding. The server says so where it is missing.",
        default="rolecall-node-guard",
    )
    events: bool = setting(
        types.SWITCH, "Write an Event on a pod that is refused its role.", default=True
    )
    event_reasons: EventReasons = setting(
        types.choice(EventReasons),
        "What these Events are called. kiam: as kiam calls them.",
        default=EventReasons.ROLECALL,
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.agent_audience in self.container_audience:
            yield Conflict(
                "container_audience",
                "agentAudience is the same, and a token that pods show to a node must not be one "
                "that a server takes",
            )
