"""Where the built binaries of one version of Kubernetes are."""

from dataclasses import dataclass
from pathlib import Path

from testcluster.cache import cache_folder
from testcluster.recipes import (
    ETCD_RECIPE,
    HELM_RECIPE,
    KWOK_RECIPE,
    Recipe,
    kubernetes,
    real_node,
)

# Nodes that keep their lease alive; pods that run once they are bound, and go once deleted.
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The binaries for clusters of one *version*; they need not be there."""

    version: str

    @property
    def kubernetes(self) -> Path:
        """The folder of the control plane's binaries."""
        return _folder(kubernetes(self.version))

    @property
    def node(self) -> Path:
        """The folder of what real nodes run; it is there if they were asked for."""
        return _folder(real_node(self.version))

    @property
    def kubectl(self) -> Path:
        return self.kubernetes / "kubectl"

    @property
    def etcd(self) -> Path:
        return _folder(ETCD_RECIPE) / "etcd"

    @property
    def helm(self) -> Path:
        return _folder(HELM_RECIPE) / "helm"

    @property
    def kwok(self) -> Path:
        return _folder(KWOK_RECIPE) / "kwok"

    @property
    def stages(self) -> list[Path]:
        """The files that say what kwok's nodes and pods do."""
        stages = _folder(KWOK_RECIPE) / "kustomize/stage"
        found = [file for name in _STAGES for file in sorted((stages / name).glob("*.yaml"))]
        return [file for file in found if file.name != "kustomization.yaml"]


def _folder(recipe: Recipe) -> Path:
    return cache_folder() / recipe.folder
