"""What of the node's own metadata a pod may be told: a closed list, and the listings to it."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from rolecall_agent.decision import Item

# The folder above the versions; all others are named as they follow a version, without slashes.
ROOT = "/"
_VERSIONS = b"1.0\nlatest"
_OURS = ("meta-data/iam/info", "meta-data/iam/security-credentials/")


def listings(offered: Collection[Item]) -> Mapping[str, bytes]:
    """Return what each folder holds, where *offered* is all that there is of the node's items.

    Folders end in a slash, as EC2 writes them, but those just below a version.
    """
    found: dict[str, set[str]] = {}
    paths: tuple[str, ...] = (*_OURS, *offered)
    for path in paths:
        folder = ""
        for part in path.removesuffix("/").split("/"):
            found.setdefault(folder, set()).add(part)
            folder = f"{folder}/{part}" if folder else part
    folders = found.keys() | {path.removesuffix("/") for path in _OURS if path.endswith("/")}

    def written(folder: str, name: str) -> str:
        return f"{name}/" if folder and f"{folder}/{name}" in folders else name

    bodies = {
        folder: "\n".join(sorted(written(folder, name) for name in names)).encode()
        for folder, names in found.items()
    }
    return MappingProxyType({ROOT: _VERSIONS, **bodies})


FOLDERS = frozenset(listings([*Item]))
