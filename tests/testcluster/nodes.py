"""Nodes without a machine: kwok keeps them ready and runs their pods, in name only."""

from typing import Any

from testcluster.commands import PLAYED


def node(number: int, *, played: bool = True) -> dict[str, Any]:
    """Return the manifest of node *number*, from 1 to 32767, with 254 addresses for pods.

    A node that is not *played* by kwok is whatever a test makes of it with the node's credentials:
    pods that are bound to it stay Pending, and it becomes not ready after a minute.
    """
    high, low = divmod(number, 256)
    name = f"node-{number}"
    # kwok gives pods addresses from here, the lowest that is free or was freed.
    pods = f"10.{128 + high}.{low}.0/24"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": dict([PLAYED]) if played else {},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"172.{16 + high // 256}.{high % 256}.{low}"},
                {"type": "Hostname", "address": name},
            ],
            "allocatable": _ROOM,
            "capacity": _ROOM,
        },
    }


_ROOM = {"cpu": "1k", "memory": "1Ti", "pods": "250"}
