"""Makes the pods of a workload, named as Kubernetes' controllers would name them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from rolecall_proto.values import NodeName
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import ObjectUnusable, Pod

# What makes pods. Every other kind but Pod, Namespace and lists is none of our business.
KINDS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"})
# Kubernetes' alphabet of generated names: no vowels, so no words; nothing that looks alike.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
# More pods than the largest cluster that Kubernetes supports (150,000) come of a typing error.
MOST_PODS = 200_000


_Kind = TypeVar("_Kind")


class WorkloadError(Exception):
    """An object that Kubernetes would refuse, with the reason in one line."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pod that a manifest asks for, before it has a uid, and maybe before it has a place."""

    name: str
    # What a pod of the same name must share to be the same pod: nothing here changes in place.
    identity: str
    # The pod but for its name and uid, with the node and addresses that it says itself; all pods
    # of one workload share it.
    model: Pod
    # The node of a daemon.
    daemon_of: NodeName | None = None

    @property
    def node(self) -> NodeName | None:
        """The node that is known beforehand."""
        return self.daemon_of or self.model.node


def pods_of(
    value: Mapping[str, Any], nodes: Sequence[NodeName], keys: AnnotationKeys
) -> Iterator[Wanted]:
    """Yield the pods of the workload *value*, as its controller would make them on *nodes*.

    A new template makes new pods: a rollout without its order. A Job and a CronJob are one pod.

    Raises: WorkloadError.
    """
    workload = _convert(value, kube_objects.Workload)
    owner, namespace = _named(workload.metadata)
    spec = workload.spec or kube_objects.WorkloadSpec()
    template = _template(workload.kind or "", spec)
    model = _model(template, owner, namespace, keys)
    digest = _digest(_raw_template(value))
    for name, daemon_of in _names(workload.kind, owner, spec, digest, nodes):
        yield Wanted(name, digest, model, daemon_of)


def single_pod(value: Mapping[str, Any], keys: AnnotationKeys) -> Wanted:
    """Return the Pod *value* itself. Raises: WorkloadError."""
    pod = _convert(value, kube_objects.Pod)
    name, namespace = _named(pod.metadata)
    model = _model(pod, name, namespace, keys)
    # Its annotations may change in place; the node that it is bound to never does.
    return Wanted(name, f"bound to {model.node}" if model.node else "", model)


def _convert(value: Mapping[str, Any], kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise WorkloadError(str(error)) from error


def _named(metadata: kube_objects.Metadata | None) -> tuple[str, str]:
    if metadata is None or not metadata.name:
        raise WorkloadError("metadata.name is missing")
    return metadata.name, metadata.namespace or "default"


def _model(pod: kube_objects.Pod, name: str, namespace: str, keys: AnnotationKeys) -> Pod:
    metadata = msgspec.structs.replace(
        pod.metadata or kube_objects.Metadata(), name=name, namespace=namespace, uid="model"
    )
    model = Pod.parse(msgspec.structs.replace(pod, metadata=metadata), keys)
    if isinstance(model, ObjectUnusable):
        raise WorkloadError(model.reason)
    return model


def _template(kind: str, spec: kube_objects.WorkloadSpec) -> kube_objects.Pod:
    template = spec.template
    if kind == "CronJob":
        job = spec.job_template.spec if spec.job_template else None
        template = job.template if job else None
    if template is None:
        raise WorkloadError(f"a {kind} needs the template of its pods")
    return kube_objects.Pod(metadata=template.metadata, spec=template.spec)


def _raw_template(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- as the file has it
    """Return the template with the fields that we do not read: they too make pods anew."""
    spec = value["spec"]
    return spec["jobTemplate"] if value["kind"] == "CronJob" else spec["template"]


def _names(
    kind: str | None,
    owner: str,
    spec: kube_objects.WorkloadSpec,
    digest: str,
    nodes: Sequence[NodeName],
) -> Iterator[tuple[str, NodeName | None]]:
    match kind:
        case "StatefulSet":
            yield from ((f"{owner}-{number}", None) for number in range(_replicas(spec)))
        case "DaemonSet":
            yield from ((f"{owner}-{_word(owner, digest, node)}", node) for node in nodes)
        case "Job" | "CronJob":
            if kind == "CronJob" or not spec.suspend:
                yield f"{owner}-{_word(owner, digest)}", None
        case "Deployment":
            replica_set = f"{owner}-{_word(digest, length=10)}"
            yield from ((name, None) for name in _replica_names(replica_set, spec, digest))
        case _:
            yield from ((name, None) for name in _replica_names(owner, spec, digest))


def _replica_names(owner: str, spec: kube_objects.WorkloadSpec, digest: str) -> Iterator[str]:
    seen: set[str] = set()
    for number in range(_replicas(spec)):
        # Five letters are 14 million words: among thousands of replicas two may be the same.
        attempt = 0
        while (name := f"{owner}-{_word(owner, digest, str(number), str(attempt))}") in seen:
            attempt += 1
        seen.add(name)
        yield name


def _replicas(spec: kube_objects.WorkloadSpec) -> int:
    replicas = 1 if spec.replicas is None else spec.replicas
    if not 0 <= replicas <= MOST_PODS:
        raise WorkloadError(f"replicas is {replicas}: from 0 to {MOST_PODS} are accepted")
    return replicas


def _digest(template: Any) -> str:  # noqa: ANN401 -- as the file has it
    # Keys that are no strings cannot be sorted among strings; they are not in Kubernetes' objects.
    text = json.dumps(_sortable(template), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _sortable(value: Any) -> Any:  # noqa: ANN401 -- as the file has it
    if isinstance(value, dict):
        return {str(key): _sortable(each) for key, each in value.items()}
    return [_sortable(each) for each in value] if isinstance(value, list) else value


def _word(*parts: str, length: int = 5) -> str:
    number = int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest())
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)
