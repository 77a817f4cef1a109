"""Session tags: which keys there are, where their values come from, and what STS takes."""

import enum
from collections.abc import Iterable, Iterator

import re2  # type: ignore[import-untyped]  # google-re2 ships no types.

from rolecall_server.pods import Pod
from rolecall_server.wording import quoted

MOST = 50  # STS's limits: tags of a session, and characters of a key and of a value.
_LONGEST_KEY = 128
_LONGEST_VALUE = 256
# Letters, separators and digits of any script: Python's `re` has no such classes.
_TEXT = re2.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")

Tags = tuple[tuple[str, str], ...]


class TagSource(enum.StrEnum):
    """What the server knows of a pod by itself, and can say in a tag."""

    CLUSTER = "cluster"
    NAMESPACE = "namespace"
    SERVICE_ACCOUNT = "service-account"
    POD = "pod"
    NODE = "node"

    @property
    def key(self) -> str:
        """The key of the tag: EKS Pod Identity's where it has one, so that policies carry over."""
        return _KEYS[self]


_KEYS = {
    TagSource.CLUSTER: "kubernetes-cluster-name",
    TagSource.NAMESPACE: "kubernetes-namespace",
    TagSource.SERVICE_ACCOUNT: "kubernetes-service-account",
    TagSource.POD: "kubernetes-pod-name",
    TagSource.NODE: "kubernetes-node-name",
}


def tags_of(pod: Pod, sources: Iterable[TagSource], cluster: str) -> Tags:
    """Return the tags of a session for *pod*, sorted by key, unchecked.

    Of an annotation's tags those count whose keys were let in when the pod was parsed.
    """
    found = dict(pod.wish.tags + pod.wish.labels) if pod.wish else {}
    values = {
        TagSource.CLUSTER: cluster,
        TagSource.NAMESPACE: pod.namespace,
        TagSource.SERVICE_ACCOUNT: pod.service_account,
        TagSource.POD: pod.name,
        TagSource.NODE: pod.node or "",
    }
    found |= {source.key: values[source] for source in sources}
    return tuple(sorted(found.items()))


def fault_of_values(tags: Tags) -> str | None:
    """Return what STS would not take in the values of *tags*, in one sentence."""
    for key, value in tags:
        if len(value) > _LONGEST_VALUE or not _is_text(value):
            return (
                f"the tag {quoted(key)} is {quoted(value)}: STS takes at most {_LONGEST_VALUE} "
                "letters, digits, blanks and _.:/=+-@"
            )
    return None


def faults_of_keys(keys: list[str]) -> Iterator[str]:
    """Yield what STS would not take in *keys*, a sentence each."""
    if len(keys) > MOST:
        yield f"there are {len(keys)} session tags: STS takes at most {MOST}"
    for key in keys:
        if not 1 <= len(key) <= _LONGEST_KEY or not _is_text(key) or key[:4].lower() == "aws:":
            yield (
                f"the session tag {quoted(key)} is no key that STS takes: 1 to {_LONGEST_KEY} "
                "letters, digits, blanks and _.:/=+-@, and not aws: at its beginning"
            )
    # STS tells keys apart without regard to case.
    folded = [key.casefold() for key in keys]
    yield from (
        f"the session tag {quoted(key)} is configured twice"
        for index, key in enumerate(keys)
        if key.casefold() in folded[:index]
    )


def _is_text(text: str) -> bool:
    try:
        return _TEXT.fullmatch(text) is not None
    except UnicodeError:  # Half of a surrogate pair.
        return False
