"""What is built for the test cluster: published Go modules, by name, and what to take from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from testcluster.versions import ETCD, HELM, KWOK

_STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Binaries that one version of one module gives."""

    name: str
    version: str
    module: str
    # The package of each binary.
    binaries: Mapping[str, str]
    # Values that the linker puts into variables of the binaries.
    stamps: Mapping[str, str] = field(default_factory=dict)
    # Folders of the module that are wanted as they are, besides the binaries.
    folders: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The name of the folder of the cache that it is kept in."""
        return f"{self.name}-{self.version}"


def kubernetes(version: str) -> Recipe:
    """Return the control plane and kubectl of *version*."""
    commands = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    return _kubernetes("kubernetes", version, commands)


def real_node(version: str) -> Recipe:
    """Return what a node that is not played runs, besides what Debian has for it."""
    return _kubernetes("kubernetes-node", version, ("kubelet", "kube-proxy"))


def _kubernetes(name: str, version: str, commands: tuple[str, ...]) -> Recipe:
    major, minor, _ = version.split(".")
    facts = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return Recipe(
        name,
        version,
        "k8s.io/kubernetes",
        {command: f"k8s.io/kubernetes/cmd/{command}" for command in commands},
        # kubectl refuses to compare itself with a server whose version it cannot read.
        {f"{package}.{fact}": value for package in _STAMPED for fact, value in facts.items()},
    )


ETCD_RECIPE = Recipe(
    "etcd", ETCD, "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}
)
KWOK_RECIPE = Recipe(
    "kwok",
    KWOK,
    "sigs.k8s.io/kwok",
    {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    # The binary has no behaviour built in: these files say what its nodes and pods do.
    folders=("kustomize/stage",),
)
HELM_RECIPE = Recipe(
    "helm",
    HELM,
    "helm.sh/helm/v3",
    {"helm": "helm.sh/helm/v3/cmd/helm"},
    {"helm.sh/helm/v3/internal/version.version": f"v{HELM}"},
)


def recipes(versions: tuple[str, ...], real: tuple[str, ...] = ()) -> list[Recipe]:
    """Return all that clusters of these *versions* need, and the nodes of those that are *real*."""
    first, *others = map(kubernetes, versions)
    nodes = map(real_node, real)
    return [first, *nodes, ETCD_RECIPE, KWOK_RECIPE, HELM_RECIPE, *others]
