"""Pods and namespaces as the engine knows them: typed, small, and parsed from whatever came.

Annotations are read here and judged elsewhere: a role that makes no sense is still a wish that the
policy can refuse by name.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from rolecall_proto.values import Address, NodeName, PodUid
from rolecall_server.objects import Metadata, NamespaceObject, PodObject

# How the API marks a pod that a kubelet made by itself, from a file on its node.
_MIRROR = "kubernetes.io/config.mirror"
_FINISHED = frozenset({"Succeeded", "Failed"})
# Kubernetes' own limits: a name is a DNS subdomain; a uid is in practice 36 characters.
_LONGEST_NAME = 253
_LONGEST_UID = 128


@dataclass(frozen=True, slots=True)
class AnnotationKeys:
    """Which annotations mean what. Of several keys the first that is present and not empty wins."""

    role: tuple[str, ...] = ("iam.amazonaws.com/role",)
    external_id: tuple[str, ...] = ("iam.amazonaws.com/external-id",)
    session_name: tuple[str, ...] = ("iam.amazonaws.com/session-name",)
    session_tag_prefix: tuple[str, ...] = ("iam.amazonaws.com/session-tag.",)
    permitted: tuple[str, ...] = ("iam.amazonaws.com/permitted",)
    allowed_roles: tuple[str, ...] = ("iam.amazonaws.com/allowed-roles",)
    default_role: tuple[str, ...] = ("iam.amazonaws.com/default-role",)
    imdsv2: tuple[str, ...] = ("iam.amazonaws.com/imdsv2",)
    # Labels that may become session tags; no other is kept.
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a pod asks for, word for word but for the blanks around it.

    *role* is None where no annotation names one, and "" where one is there and empty: that pod
    wants none, whatever the default is.
    """

    role: str | None = None
    external_id: str | None = None
    session_name: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class Unusable:
    """An object that cannot be a pod or a namespace: its key, as far as it has one, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. There may be a hundred thousand: what repeats is shared, nothing is derived."""

    uid: PodUid
    namespace: str
    name: str
    service_account: str = "default"
    node: NodeName | None = None
    addresses: tuple[Address, ...] = ()
    wish: Wish = NO_WISH
    host_network: bool = False
    mirror: bool = False
    finished: bool = False  # Succeeded or Failed: its address may be somebody else's already.

    @classmethod
    def parse(cls, thing: PodObject, keys: AnnotationKeys) -> "Pod | Unusable":
        """Read a pod from what the API or a manifest says of it; total."""
        metadata = thing.metadata or Metadata()
        uid, namespace, name = metadata.uid or "", metadata.namespace or "", metadata.name or ""
        key = uid or f"{namespace}/{name}"
        if problem := _nameless(uid=uid, namespace=namespace, name=name):
            return Unusable(key[:_LONGEST_NAME], problem)
        spec, annotations = thing.spec, metadata.annotations or {}
        addresses = _addresses(thing)
        if isinstance(addresses, str):
            return Unusable(key, addresses)
        node = spec.node_name if spec is not None else None
        account = spec.service_account_name if spec is not None else None
        return cls(
            uid=PodUid(uid),
            namespace=sys.intern(namespace),
            name=name,
            service_account=sys.intern(account or "default"),
            node=NodeName(sys.intern(node)) if node else None,
            addresses=addresses,
            wish=_wish(annotations, metadata.labels or {}, keys),
            host_network=bool(spec is not None and spec.host_network),
            mirror=_is_mirror(metadata),
            finished=thing.status is not None and thing.status.phase in _FINISHED,
        )


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its rules, word for word; None where the annotation is missing."""

    name: str
    uid: str = ""
    permitted: str | None = None
    allowed_roles: str | None = None
    default_role: str | None = None
    imdsv2_required: bool = False

    @classmethod
    def parse(cls, thing: NamespaceObject, keys: AnnotationKeys) -> "Namespace | Unusable":
        """Read a namespace from what the API or a manifest says of it; total."""
        metadata = thing.metadata or Metadata()
        name, annotations = metadata.name or "", metadata.annotations or {}
        if not name or len(name) > _LONGEST_NAME:
            return Unusable(name[:_LONGEST_NAME], "it has no usable metadata.name")
        return cls(
            name=sys.intern(name),
            uid=metadata.uid or "",
            permitted=_first(annotations, keys.permitted),
            allowed_roles=_first(annotations, keys.allowed_roles),
            default_role=_trimmed(_first(annotations, keys.default_role)) or None,
            imdsv2_required=_trimmed(_first(annotations, keys.imdsv2)) == "required",
        )


def _nameless(**names: str) -> str | None:
    for field, text in names.items():
        if not text:
            return f"it has no metadata.{field}"
        if len(text) > (_LONGEST_UID if field == "uid" else _LONGEST_NAME):
            return f"its metadata.{field} is longer than any that Kubernetes gives"
    return None


def _addresses(thing: PodObject) -> tuple[Address, ...] | str:
    """Return the pod's addresses, each once, or what is wrong with them."""
    status = thing.status
    if status is None:
        return ()
    texts = [each.ip for each in status.pod_ips or ()] + [status.pod_ip]
    found: dict[Address, None] = {}
    for text in texts:
        if text:
            try:
                found[ip_address(text)] = None
            except ValueError:
                return "one of its addresses in status.podIPs is no IP address"
    return tuple(found)


def _is_mirror(metadata: Metadata) -> bool:
    # Either mark is enough: a node that lies may leave one out.
    owned_by_node = any(owner.kind == "Node" for owner in metadata.owner_references or ())
    return owned_by_node or _MIRROR in (metadata.annotations or {})


def _wish(
    annotations: Mapping[str, str], labels: Mapping[str, str], keys: AnnotationKeys
) -> Wish:
    wish = Wish(
        role=_trimmed(_first(annotations, keys.role)),
        external_id=_first(annotations, keys.external_id) or None,
        session_name=_first(annotations, keys.session_name) or None,
        tags=_tags(annotations, keys.session_tag_prefix),
        labels=tuple((key, labels[key]) for key in keys.labels if key in labels),
    )
    return NO_WISH if wish == NO_WISH else wish  # One object for all pods that want nothing.


def _tags(annotations: Mapping[str, str], prefixes: Iterable[str]) -> tuple[tuple[str, str], ...]:
    tags: dict[str, str] = {}
    for prefix in prefixes:
        for key, value in annotations.items():
            if key.startswith(prefix):
                tags.setdefault(key.removeprefix(prefix), value)
    return tuple(sorted(tags.items()))


def _first(annotations: Mapping[str, str], keys: Iterable[str]) -> str | None:
    """Return the first value that is not empty, else "" if any key is there, else None."""
    present = [annotations[key] for key in keys if key in annotations]
    return next((value for value in present if value.strip()), "" if present else None)


def _trimmed(text: str | None) -> str | None:
    return None if text is None else text.strip()
