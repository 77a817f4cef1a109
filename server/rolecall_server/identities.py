"""Makes the identity of a pod: all that STS will see of it."""

from rolecall_server.identity import Identity
from rolecall_server.naming import Field, Template, fitted
from rolecall_server.pods import Pod
from rolecall_server.policy_settings import PolicySettings
from rolecall_server.roles import RoleArn
from rolecall_server.tags import Tags

# What `{name}` is for a pod that names no session; kiam's default, so that its names stay.
_NO_NAME = "kiam"


def identity_of(pod: Pod, role: RoleArn, tags: Tags, settings: PolicySettings) -> Identity:
    """Return the identity of *pod* in *role*. What is not allowed was refused before."""
    wish = pod.wish
    source = settings.source_identity
    return Identity(
        role_arn=role.text,
        session_name=_session_name(pod, role, settings),
        duration=settings.session_duration,
        external_id=wish.external_id if wish else None,
        source_identity=_rendered(source, pod, role, settings) if source else None,
        tags=tags,
        transitive_tags=tuple(key for key, _ in tags if key in settings.transitive_tags),
        policy=settings.session_policy,
        policy_arns=settings.policy_arns,
        region=settings.region,
    )


def _session_name(pod: Pod, role: RoleArn, settings: PolicySettings) -> str:
    template = settings.session_name
    own = _own_name(pod, settings)
    # A pod's own name stands alone, unless the template has a place for it.
    if own is not None and Field.NAME not in template.fields:
        return fitted(own)
    return _rendered(template, pod, role, settings)


def _own_name(pod: Pod, settings: PolicySettings) -> str | None:
    return pod.wish.session_name if pod.wish and settings.allow_pod_session_name else None


def _rendered(template: Template, pod: Pod, role: RoleArn, settings: PolicySettings) -> str:
    return template.render(
        {
            Field.NAMESPACE: pod.namespace,
            Field.SERVICE_ACCOUNT: pod.service_account,
            Field.POD: pod.name,
            Field.UID: pod.uid,
            Field.NODE: pod.node or "",
            Field.CLUSTER: settings.cluster_name,
            Field.ROLE: role.name,
            Field.NAME: _own_name(pod, settings) or _NO_NAME,
        }
    )
