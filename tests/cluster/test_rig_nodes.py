"""Real nodes of the test cluster: what other tests may take for granted."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from testcluster.binaries import Binaries
from testcluster.client import Manifest
from testcluster.cluster import Cluster, running
from testcluster.images.pause import PAUSE_IMAGE
from testcluster.machines.addresses import pods_of
from testcluster.machines.cgroups import group_of
from testcluster.machines.machine import Machine
from testcluster.machines.wanted import lacking
from testcluster.processes import StartError, recorded
from testcluster.tools import run, tool

pytestmark = pytest.mark.timeout(400)  # The first one waits for the nodes.

PATIENCE = 120.0  # seconds; a pod waits for its node, which may have just been given its power back


def pod(namespace: str, node: str) -> Manifest:
    """Return a pod that waits on *node*, and is called as that is."""
    container = {"name": "main", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [container]}
    metadata = {"name": node, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def both_run(pods: Mapping[str, Manifest]) -> bool:
    return len(pods) == 2 and all(pod["status"]["phase"] == "Running" for pod in pods.values())


def machines_of(cluster: Cluster) -> list[Machine]:
    fleet = cluster.control_plane.fleet
    assert fleet is not None
    return fleet.machines


async def test_pods_run_and_reach_each_other(real_cluster: Cluster) -> None:
    """Each is a process of its node with an address of that node, which the others reach."""
    first, second = machines_of(real_cluster)
    async with real_cluster.admin() as admin:
        await admin.create_namespace("rig")
        for machine in (first, second):
            await admin.create(pod("rig", machine.name))
        pods = await admin.until("Pod", both_run, "rig", patience=PATIENCE)

        for here, there in ((first, second), (second, first)):
            address = pods[here.name]["status"]["podIP"]
            assert address.startswith(pods_of(here.place.number).removesuffix("0/24"))
            assert "sleep infinity" in here.run("ps", "-A", "-o", "args")
            for node in (here, there):
                # Nobody listens in the pod, which its own kernel is there to say.
                with pytest.raises(StartError, match="Couldn't connect"):
                    node.run("curl", "-sS", "--max-time", "5", address)
        await real_cluster.kubectl("exec", "--namespace=rig", first.name, "--", "/bin/sleep", "0")
        await admin.delete("Namespace", "rig")


def test_a_service_leads_to_the_api_server(real_cluster: Cluster) -> None:
    """Also from a node, by the address that every pod is told and that no computer has."""
    for machine in machines_of(real_cluster):
        trust = ("--cacert", real_cluster.bundle)
        assert machine.run("curl", "-sS", *trust, "https://10.96.0.1/livez") == "ok"


async def test_a_node_comes_back_after_a_loss_of_power(real_cluster: Cluster) -> None:
    """All of its processes and its network are others, what was on its disc is there."""
    first, second = machines_of(real_cluster)
    before = first.processes
    first.run("sh", "-c", "echo kept >/var/lib/note")
    real_cluster.control_plane.reboot(1)

    assert not any(process.is_running for process in before)
    assert first.run("cat", "/var/lib/note") == "kept\n"
    async with real_cluster.admin() as admin:
        await admin.create_namespace("after")
        for machine in (first, second):
            await admin.create(pod("after", machine.name))
        await admin.until("Pod", both_run, "after", patience=PATIENCE)
        await admin.delete("Namespace", "after")


def traces() -> dict[str, object]:
    """Return what this computer has of each kind of thing that a node makes."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    values = ("vm/overcommit_memory", "kernel/panic", "net/ipv4/ip_forward")
    folders = ("/run/netns", "/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods")
    return {
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "routes": run(tool("ip"), "route", "show", "table", "all"),
        "rules": run(tool("nft"), "list", "ruleset"),
        "mounts": sorted(line.split(" ", 2)[2] for line in mounts),
        "kernel": [Path("/proc/sys", value).read_text() for value in values],
        "folders": [name for name in folders if Path(name).exists()],
    }


def test_nothing_is_left(binaries: Binaries) -> None:
    """No process, file, mount, link, rule or control group of a node is there after its end."""
    if reason := lacking():
        pytest.skip(reason)
    before = traces()
    with running(binaries, nodes=0, real_nodes=1) as cluster:
        folder = cluster.kubeconfig.parent
        processes = recorded(folder / "processes.json")
        assert {"real-1", "site"} <= {process.name for process in processes}
        assert all(process.is_running for process in processes)
        assert groups(folder)

    assert traces() == before
    assert not folder.exists()
    assert not any(process.is_running for process in processes)
    assert not groups(folder)


def groups(folder: Path) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"*/{group_of(folder)}"))
