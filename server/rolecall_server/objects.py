"""The few fields that are kept of Kubernetes' objects, as they come: nothing is trusted yet.

One set of shapes for both sources: `msgspec.json.decode(raw, type=PodObject)` for what the API
sends, `msgspec.convert(document, PodObject)` for a manifest. Unknown fields are skipped without
being built, null is as good as absent, and a wrong type is a `msgspec.ValidationError`.
"""

from msgspec import Struct, field


class OwnerReference(Struct, rename="camel", frozen=True):
    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class Metadata(Struct, rename="camel", frozen=True):
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class PodAddress(Struct, rename="camel", frozen=True):
    ip: str | None = None


class PodSpec(Struct, rename="camel", frozen=True):
    node_name: str | None = None
    service_account_name: str | None = None
    host_network: bool | None = None


class PodStatus(Struct, frozen=True):
    phase: str | None = None
    # Spelt as Kubernetes spells them, which no rule derives from snake_case.
    pod_ip: str | None = field(default=None, name="podIP")
    pod_ips: list[PodAddress] | None = field(default=None, name="podIPs")


class PodObject(Struct, frozen=True):
    metadata: Metadata | None = None
    spec: PodSpec | None = None
    status: PodStatus | None = None


class NamespaceStatus(Struct, frozen=True):
    phase: str | None = None


class NamespaceObject(Struct, frozen=True):
    metadata: Metadata | None = None
    status: NamespaceStatus | None = None


class TemplateMetadata(Struct, frozen=True):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class PodTemplate(Struct, frozen=True):
    """What a workload makes its pods of."""

    metadata: TemplateMetadata | None = None
    spec: PodSpec | None = None
