"""Makes the identity of a pod: all that STS will see of it."""

from collections.abc import Mapping

from rolecall_server.model.identity import Identity
from rolecall_server.model.pods import Pod
from rolecall_server.policy.role_arns import RoleArn
from rolecall_server.policy.rules import PolicySettings
from rolecall_server.policy.session_names import Field, fitted
from rolecall_server.policy.session_tags import Tags

# What `{name}` is for a pod that names no session; kiam's default, so that its names stay.
_NO_NAME = "kiam"


def identity_of(pod: Pod, role: RoleArn, settings: PolicySettings) -> Identity:
    """Return the identity of *pod* in *role*. What is not allowed was refused before.

    The values of its tags are as they were written: `fault_of_values` checks them.
    """
    facts = _facts(pod, role, settings)
    tags = _tags(pod, facts, settings)
    source = settings.source_identity
    return Identity(
        role_arn=role.text,
        session_name=_session_name(pod, facts, settings),
        duration=settings.session_duration,
        external_id=pod.wish.external_id if pod.wish else None,
        source_identity=source.render(facts) if source else None,
        tags=tags,
        transitive_tags=tuple(key for key, _ in tags if key in settings.transitive_tags),
        policy=settings.session_policy,
        policy_arns=settings.policy_arns,
        region=settings.region,
    )


def _facts(pod: Pod, role: RoleArn, settings: PolicySettings) -> Mapping[Field, str]:
    return {
        Field.NAMESPACE: pod.namespace,
        Field.SERVICE_ACCOUNT: pod.service_account,
        Field.POD: pod.name,
        Field.UID: pod.uid,
        Field.NODE: pod.node or "",
        Field.CLUSTER: settings.cluster_name,
        Field.ROLE: role.name,
        Field.NAME: _own_name(pod, settings) or _NO_NAME,
    }


def _own_name(pod: Pod, settings: PolicySettings) -> str | None:
    return pod.wish.session_name if pod.wish and settings.allow_pod_session_name else None


def _session_name(pod: Pod, facts: Mapping[Field, str], settings: PolicySettings) -> str:
    own = _own_name(pod, settings)
    # A pod's own name stands alone, unless the template has a place for it.
    if own is not None and Field.NAME not in settings.session_name.fields:
        return fitted(own)
    return settings.session_name.render(facts)


def _tags(pod: Pod, facts: Mapping[Field, str], settings: PolicySettings) -> Tags:
    # Of an annotation's tags those are here whose keys were let in when the pod was parsed.
    found = dict(pod.wish.tags) if pod.wish else {}
    labels = dict(pod.wish.labels) if pod.wish else {}
    for key, template in settings.session_tags:
        value = template.render(facts, labels)
        if value is not None:
            found[key] = value
    return tuple(sorted(found.items()))
