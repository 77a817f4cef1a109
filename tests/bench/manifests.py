"""Writes the pods that the bench talks about, as a directory of manifests holds them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NODE = "bench"
NAMESPACE = "bench"
# Where every role of the bench is; a short name in an annotation means a role below it.
BASE_ARN = "arn:aws:iam::111122223333:role/"


@dataclass(frozen=True, slots=True)
class BenchPod:
    """A pod bound to the bench's node; `role` None: it wants none."""

    name: str
    address: str
    role: str | None


def write(directory: Path, name: str, pods: Iterable[BenchPod]) -> None:
    """Put *pods* into the file NAME.json at once: a reader sees all of them or none.

    JSON, because the time to parse YAML is not what is measured.
    """
    items = [_manifest(pod) for pod in pods]
    half_written = directory.with_suffix(".writing")
    half_written.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    half_written.rename(directory / f"{name}.json")


def write_namespace(directory: Path) -> None:
    """Put the namespace, which permits every role."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "annotations": {"iam.amazonaws.com/permitted": ".*"},
        },
    }
    (directory / "namespace.json").write_text(json.dumps(namespace))


def _manifest(pod: BenchPod) -> dict[str, object]:
    annotations = {} if pod.role is None else {"iam.amazonaws.com/role": pod.role}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": pod.name, "annotations": annotations},
        # A service account each: with the default template, a session name each.
        "spec": {
            "nodeName": NODE,
            "serviceAccountName": pod.role or "default",
            "containers": [{"name": "main", "image": "example"}],
        },
        "status": {"phase": "Running", "podIP": pod.address, "podIPs": [{"ip": pod.address}]},
    }
