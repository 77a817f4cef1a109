"""Settings: where the server learns of pods."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rolecall_common.settings import types
from rolecall_common.settings.declare import Conflict, setting

NODE = types.matching(
    r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "the name of a node, in lower case", "NODE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where pods and namespaces come from."""

    manifests: Path | None = setting(
        types.optional(types.PATH),
        "A directory of Kubernetes manifests: its pods and namespaces are the cluster. "
        "Read again whenever a file changes. Else the Kubernetes API says what there is.",
        default=None,
    )
    manifest_nodes: tuple[tuple[str, types.Network], ...] = setting(
        types.pairs(NODE, types.NETWORK),
        "The nodes that pods of the manifests are placed on, and where their addresses come from, "
        "such as node-a=10.1.0.0/24. A node may have several networks.",
        default=(),
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.manifests is None and self.manifest_nodes:
            yield Conflict("manifest_nodes", "it places pods of manifests: name their directory")
        networks = [network for _, network in self.manifest_nodes]
        for index, network in enumerate(networks):
            if any(_overlap(network, other) for other in networks[:index]):
                yield Conflict("manifest_nodes", f"{network} overlaps with another node's network")


def _overlap(one: types.Network, other: types.Network) -> bool:
    return one.version == other.version and one.overlaps(other)
