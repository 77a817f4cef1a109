"""The command line of each part of the control plane."""

from dataclasses import dataclass
from pathlib import Path

from testcluster.authority import Authority, KeyPair
from testcluster.binaries import Binaries
from testcluster.machines.addresses import SITE

ISSUER = "https://kubernetes.default.svc"
# Nodes with this annotation are played by kwok; others are nobody's until a test is one.
PLAYED = ("kwok.x-k8s.io/node", "fake")
# The defaults, 20 and 30, make a thousand pods a matter of minutes.
_FAST = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen on loopback."""

    api: int
    etcd: int
    etcd_peer: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What the command lines are made of."""

    folder: Path
    binaries: Binaries
    ports: Ports
    authority: Authority
    # etcd has its own, or whoever has a certificate of the cluster could read all of it.
    etcd_authority: Authority
    token_key: KeyPair
    # More arguments for the API server; they win.
    api_arguments: tuple[str, ...] = ()
    # What each command begins with: it leads into the network of real nodes, if there are some.
    inside: tuple[str | Path, ...] = ()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.ports.api}"

    def kubeconfig(self, name: str) -> Path:
        return self.folder / f"{name}.kubeconfig"


Command = list[str | Path]


def etcd(layout: Layout) -> Command:
    serving = layout.etcd_authority.server("etcd", "127.0.0.1")
    url = f"https://127.0.0.1:{layout.ports.etcd}"
    # Nobody else ever joins, so nobody is asked for a certificate there.
    peer = f"http://127.0.0.1:{layout.ports.etcd_peer}"
    return [
        layout.binaries.etcd,
        f"--data-dir={layout.folder}/etcd",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={serving.certificate}",
        f"--key-file={serving.key}",
        f"--trusted-ca-file={layout.etcd_authority.bundle}",
        "--client-cert-auth",
        "--log-level=warn",
        # What it keeps is thrown away, and the discs of test machines are slow.
        "--unsafe-no-fsync",
    ]


def api_server(layout: Layout) -> Command:
    serving = layout.authority.server(
        "kube-apiserver", *("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1", SITE)
    )
    client = layout.etcd_authority.client("kube-apiserver", "etcd")
    return [
        layout.binaries.kubernetes / "kube-apiserver",
        f"--etcd-servers=https://127.0.0.1:{layout.ports.etcd}",
        f"--etcd-cafile={layout.etcd_authority.bundle}",
        f"--etcd-certfile={client.certificate}",
        f"--etcd-keyfile={client.key}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # A loopback address is not allowed in the endpoints of the service `kubernetes`.
        "--endpoint-reconciler-type=none",
        f"--secure-port={layout.ports.api}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={layout.authority.bundle}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--service-account-issuer={ISSUER}",
        f"--api-audiences={ISSUER}",
        f"--service-account-key-file={layout.token_key.certificate}",
        f"--service-account-signing-key-file={layout.token_key.key}",
        *layout.api_arguments,
    ]


def controller_manager(layout: Layout) -> Command:
    return [
        layout.binaries.kubernetes / "kube-controller-manager",
        f"--kubeconfig={layout.kubeconfig('kube-controller-manager')}",
        f"--root-ca-file={layout.authority.bundle}",
        # Each controller has its own rights, as everywhere.
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.token_key.key}",
        "--leader-elect=false",
        "--secure-port=0",
        # It makes this folder, below /usr where it is not told.
        f"--flex-volume-plugin-dir={layout.folder}/volume-plugins",
        *_FAST,
    ]


def scheduler(layout: Layout) -> Command:
    return [
        layout.binaries.kubernetes / "kube-scheduler",
        f"--kubeconfig={layout.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        "--secure-port=0",
        *_FAST,
    ]


def kwok(layout: Layout) -> Command:
    return [
        layout.binaries.kwok,
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--manage-nodes-with-annotation-selector={'='.join(PLAYED)}",
        "--node-lease-duration-seconds=40",
        *(f"--config={stage}" for stage in layout.binaries.stages),
    ]
