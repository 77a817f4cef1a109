"""What the programs of a node are told: the files that they are configured with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from testcluster.images.pause import PAUSE_IMAGE
from testcluster.machines.addresses import SITE, address_of, gateway_of, name_of, pods_of

_SOCKET = "/run/containerd/containerd.sock"
# Debian's place for the plugins.
PLUGINS = Path("/usr/lib/cni")
KINDS: Final = ("ptp", "bridge")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's own files are, and which node it is."""

    number: int
    folder: Path
    group: str
    bundle: Path
    # How pods are connected: `ptp` routes to each, `bridge` has them side by side.
    kind: str

    @property
    def name(self) -> str:
        return name_of(self.number)

    def file(self, name: str) -> Path:
        return self.folder / name


def write_all(place: Place) -> None:
    """Write the files of all programs but the credentials."""
    place.file("containerd.toml").write_text(_containerd(place))
    place.file("kubelet.yaml").write_text(yaml.safe_dump(_kubelet(place)))
    place.file("kube-proxy.yaml").write_text(yaml.safe_dump(_kube_proxy(place)))
    # Without a name server in it containerd would give pods this computer's, which they cannot
    # reach: each look-up would take ten seconds. Here it is refused at once.
    place.file("resolv.conf").write_text("nameserver 127.0.0.1\n")
    plugins = place.file("net.d")
    plugins.mkdir()
    (plugins / "10-pods.conflist").write_text(json.dumps(_plugins(place)))


def _containerd(place: Place) -> str:
    return f"""\
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  # Root of a virtual machine or a container may lack the right to lower a process's score.
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{PLUGINS}"
  conf_dir = "{place.file("net.d")}"
"""


def _kubelet(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(place.bundle)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        # Nobody answers there, and says so at once.
        "clusterDNS": [SITE],
        "resolvConf": str(place.file("resolv.conf")),
        # The computer's disc is not the node's, and its images are not pulled again.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "volumePluginDir": "/var/lib/kubelet/plugins",
    }


def _kube_proxy(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": place.name,
        "clientConnection": {"kubeconfig": str(place.file("kube-proxy.kubeconfig"))},
        # The table is the computer's: its size is not for a node to set.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def _plugins(place: Place) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": pods_of(place.number), "gateway": gateway_of(place.number)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    kinds = {
        "ptp": {"type": "ptp", "ipam": addresses},
        "bridge": {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": addresses},
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [kinds[place.kind]]}


def kubelet_flags(place: Place) -> list[str]:
    return [
        f"--config={place.file('kubelet.yaml')}",
        f"--kubeconfig={place.file('kubelet.kubeconfig')}",
        f"--hostname-override={place.name}",
        f"--node-ip={address_of(place.number)}",
        f"--node-labels=rolecall.test/pods={place.kind}",
    ]
