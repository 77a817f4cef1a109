"""Pods and namespaces as values, parsed totally from objects that anyone may have written."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from rolecall_common.quoting import quoted
from rolecall_proto.values import Address, NodeName, PodUid, plain
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys, Wish, first_filled, read_wish
from rolecall_server.model.starts import posts_sandbox, started_at

# What Kubernetes allows in names, which are DNS subdomains, and in uids.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_UID = re.compile(r"[-.\w]{1,128}", re.ASCII)
_FINISHED = frozenset({"Succeeded", "Failed"})
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class ObjectUnusable:
    """An object that cannot be read and is left out.

    *key* is the uid of a pod, or the name of a namespace, as far as it is known; *reason* is one
    sentence for the operator that says which object it is.
    """

    kind: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, as far as credentials are concerned."""

    uid: PodUid
    namespace: str
    name: str
    service_account: str = "default"
    node: NodeName | None = None  # None until it is bound.
    addresses: tuple[Address, ...] = ()
    # When its sandbox or the last of its containers started, by the node's clock: then it had these
    # addresses. None where nothing of it is posted.
    started_at: datetime | None = None
    posts_sandbox: bool = False  # Its kubelet tells when the sandbox came.
    host_network: bool = False
    # Made by a kubelet from a file of its node: whoever owns the node wrote it.
    mirror: bool = False
    terminating: bool = False  # It is being deleted; until it is gone it may have its addresses.
    finished: bool = False  # Succeeded or Failed: its address may be another pod's by now.
    wish: Wish | None = None  # None where nothing that we read is annotated or labelled.

    @classmethod
    def parse(cls, pod: kube_objects.Pod, keys: AnnotationKeys) -> "Pod | ObjectUnusable":
        """Read *pod*, or say why it cannot be used. Raises nothing, whatever the object says."""
        metadata = pod.metadata or kube_objects.Metadata()
        spec = pod.spec or kube_objects.PodSpec()
        status = pod.status or kube_objects.PodStatus()
        account = spec.service_account_name or spec.service_account or "default"
        try:
            return cls(
                uid=PodUid(_matching(_UID, "metadata.uid", metadata.uid)),
                namespace=_name("metadata.namespace", metadata.namespace),
                name=_matching(_NAME, "metadata.name", metadata.name),
                service_account=_name("spec.serviceAccountName", account),
                node=_node(spec.node_name),
                addresses=_addresses(status),
                started_at=started_at(status),
                posts_sandbox=posts_sandbox(status),
                host_network=bool(spec.host_network),
                mirror=_is_mirror(metadata),
                terminating=bool(metadata.deletion_timestamp),
                finished=status.phase in _FINISHED,
                wish=read_wish(metadata.annotations or {}, metadata.labels or {}, keys),
            )
        except _UnreadableError as error:
            where = f"{metadata.namespace}/{metadata.name}"
            key = metadata.uid if metadata.uid and _UID.fullmatch(metadata.uid) else quoted(where)
            return ObjectUnusable("Pod", key, f"pod {quoted(where)}: {error}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its rule; None where an annotation is missing, which is not the empty one."""

    name: str
    uid: str = ""
    permitted: str | None = None
    allowed_roles: str | None = None
    default_role: str | None = None
    imdsv2_required: bool = False
    terminating: bool = False

    @classmethod
    def parse(
        cls, namespace: kube_objects.Namespace, keys: AnnotationKeys
    ) -> "Namespace | ObjectUnusable":
        """Read *namespace*, or say why it cannot be used. Raises nothing, whatever it says."""
        metadata = namespace.metadata or kube_objects.Metadata()
        notes = metadata.annotations or {}
        phase = namespace.status.phase if namespace.status else None
        try:
            return cls(
                name=_name("metadata.name", metadata.name),
                uid=metadata.uid or "",
                permitted=first_filled(notes, keys.permitted),
                allowed_roles=first_filled(notes, keys.allowed_roles),
                default_role=first_filled(notes, keys.default_role),
                imdsv2_required=_requires_token(notes, keys),
                terminating=phase == "Terminating" or bool(metadata.deletion_timestamp),
            )
        except _UnreadableError as error:
            where = quoted(str(metadata.name))
            return ObjectUnusable("Namespace", where, f"namespace {where}: {error}")


class _UnreadableError(Exception):
    """A field says what Kubernetes would never let it say."""


def _matching(pattern: re.Pattern[str], field: str, text: str | None) -> str:
    if not text:
        raise _UnreadableError(f"{field} is missing")
    if not pattern.fullmatch(text):
        raise _UnreadableError(f"{field} is {quoted(text)}, which Kubernetes does not allow")
    return text


def _name(field: str, text: str | None) -> str:
    # Thousands of pods share these few names: each is kept once.
    return sys.intern(_matching(_NAME, field, text))


def _node(text: str | None) -> NodeName | None:
    return NodeName(_name("spec.nodeName", text)) if text else None


def _addresses(status: kube_objects.PodStatus) -> tuple[Address, ...]:
    texts = [each.ip for each in status.pod_ips or ()] or [status.pod_ip]
    return tuple(dict.fromkeys(_address(text) for text in texts if text))


def _address(text: str) -> Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise _UnreadableError(f"status.podIPs has {quoted(text)}, not an IP address") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise _UnreadableError(f"status.podIPs has {quoted(text)}, an address with a zone")
    return plain(address)


def _is_mirror(metadata: kube_objects.Metadata) -> bool:
    owners = metadata.owner_references or ()
    return _MIRROR in (metadata.annotations or {}) or any(each.kind == "Node" for each in owners)


def _requires_token(notes: Mapping[str, str | None], keys: AnnotationKeys) -> bool:
    # Whatever is neither empty nor `optional` was meant to close something.
    return (first_filled(notes, keys.imdsv2) or "optional").strip() != "optional"
