"""The two resources that are watched, and what is made of their objects."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from rolecall_proto.values import PodUid
from rolecall_server.kube.informer.decoder import ObjectDecoder
from rolecall_server.kube.informer.kubelets import SandboxNotice
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.model.source import (
    Change,
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodGone,
)

V = TypeVar("V")

PODS, NAMESPACES = "pods", "namespaces"


@dataclass(frozen=True, slots=True)
class Resource(Generic[V]):
    """How the objects of one resource are asked for, read, and made into changes."""

    name: str
    path: str
    selector: Mapping[str, str]
    decoder: ObjectDecoder[V]
    key: Callable[[V], str]
    listed: Callable[[Iterable[V]], Change]
    changed: Callable[[V], Change]
    gone: Callable[[str], Change]


def pods(keys: AnnotationKeys) -> Resource[Pod]:
    """Return the pods that may have credentials: those that have finished are spared."""
    return Resource(
        PODS,
        "/api/v1/pods",
        {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"},
        ObjectDecoder("Pod", kube_objects.Pod, lambda read: Pod.parse(read, keys)),
        lambda pod: pod.uid,
        SandboxNotice().listed,
        PodChanged,
        lambda uid: PodGone(PodUid(uid)),
    )


def namespaces(keys: AnnotationKeys) -> Resource[Namespace]:
    """Return all namespaces."""
    return Resource(
        NAMESPACES,
        "/api/v1/namespaces",
        {},
        ObjectDecoder(
            "Namespace", kube_objects.Namespace, lambda read: Namespace.parse(read, keys)
        ),
        lambda namespace: namespace.name,
        lambda listed: NamespacesListed(tuple(listed)),
        NamespaceChanged,
        NamespaceGone,
    )
