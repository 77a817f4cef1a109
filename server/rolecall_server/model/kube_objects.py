"""Kubernetes objects as they are written, cut down to the fields that are read.

For `msgspec.json.decode` (an API server's bytes) and `msgspec.convert` (a manifest's values). Every
field may be missing or null, and unknown ones are skipped; a field of another type than Kubernetes
gives it is msgspec's ValidationError, which names it. `pods.py` turns these into values.
"""

import msgspec


class _Kept(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What all have in common: immutable trees, which the collector need not walk."""


class OwnerReference(_Kept, frozen=True):
    kind: str | None = None


class Metadata(_Kept, frozen=True):
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    annotations: dict[str, str | None] | None = None
    labels: dict[str, str | None] | None = None
    owner_references: list[OwnerReference] | None = None
    deletion_timestamp: str | None = None
    resource_version: str | None = None


class PodSpec(_Kept, frozen=True):
    node_name: str | None = None
    host_network: bool | None = None
    service_account_name: str | None = None
    service_account: str | None = None  # The deprecated alias of the one above.


class PodIP(_Kept, frozen=True):
    ip: str | None = None


# Times are whatever was written: a manifest's author writes them in more than one form.
class PodCondition(_Kept, frozen=True):
    type: str | None = None
    status: str | None = None
    last_transition_time: object = None


class Started(_Kept, frozen=True):
    """What is said of a container that runs, or has run."""

    started_at: object = None


class ContainerState(_Kept, frozen=True):
    running: Started | None = None
    terminated: Started | None = None


class ContainerStatus(_Kept, frozen=True):
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(_Kept, frozen=True):
    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[PodIP] | None = msgspec.field(default=None, name="podIPs")
    conditions: list[PodCondition] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None


class Pod(_Kept, frozen=True):
    metadata: Metadata | None = None
    spec: PodSpec | None = None
    status: PodStatus | None = None


class NamespaceStatus(_Kept, frozen=True):
    phase: str | None = None


class Namespace(_Kept, frozen=True):
    metadata: Metadata | None = None
    status: NamespaceStatus | None = None


class PodTemplate(_Kept, frozen=True):
    """The pod inside a workload."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None


class JobSpec(_Kept, frozen=True):
    parallelism: int | None = None
    completions: int | None = None
    suspend: bool | None = None
    template: PodTemplate | None = None


class JobTemplate(_Kept, frozen=True):
    metadata: Metadata | None = None
    spec: JobSpec | None = None


class WorkloadSpec(_Kept, frozen=True):
    """The union of what Deployments, ReplicaSets, StatefulSets, DaemonSets and (Cron)Jobs say."""

    replicas: int | None = None
    parallelism: int | None = None
    completions: int | None = None
    suspend: bool | None = None
    template: PodTemplate | None = None
    job_template: JobTemplate | None = None


class Workload(_Kept, frozen=True):
    """Anything that makes pods of a template."""

    api_version: str | None = None
    kind: str | None = None
    metadata: Metadata | None = None
    spec: WorkloadSpec | None = None
