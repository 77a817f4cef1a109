"""Pods and namespaces as a cluster would describe them, on the one node of the tests."""

NODE = "node-a"
_PREFIX = "iam.amazonaws.com/"


def namespace(name: str = "apps", **annotations: str) -> dict[str, object]:
    """Return a namespace that permits every role, or what *annotations* say."""
    rules = annotations or {"allowed_roles": '["**", "arn:**"]'}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "annotations": _keys(rules)},
    }


def pod(
    name: str, address: str, role: str | None = None, space: str = "apps", **annotations: str
) -> dict[str, object]:
    """Return a pod of the node; its uid is drawn from its name."""
    asked = annotations if role is None else {"role": role, **annotations}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "annotations": _keys(asked)},
        "spec": {"nodeName": NODE, "containers": [{"name": "app", "image": "app"}]},
        "status": {"podIP": address},
    }


def _keys(annotations: dict[str, str]) -> dict[str, str]:
    return {_PREFIX + key.replace("_", "-"): text for key, text in annotations.items()}
