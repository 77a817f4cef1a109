"""Where objects of each kind are in the API."""

_CORE = "/api/v1"
_APPS = "/apis/apps/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_TOKENS = "/apis/authentication.k8s.io/v1"
_ACCESS = "/apis/authorization.k8s.io/v1"

_KINDS = {
    "ConfigMap": (_CORE, "configmaps"),
    "Event": (_CORE, "events"),
    "Namespace": (_CORE, "namespaces"),
    "Node": (_CORE, "nodes"),
    "Pod": (_CORE, "pods"),
    "Secret": (_CORE, "secrets"),
    "Service": (_CORE, "services"),
    "ServiceAccount": (_CORE, "serviceaccounts"),
    "DaemonSet": (_APPS, "daemonsets"),
    "Deployment": (_APPS, "deployments"),
    "ReplicaSet": (_APPS, "replicasets"),
    "StatefulSet": (_APPS, "statefulsets"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "ClusterRole": (_RBAC, "clusterroles"),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings"),
    "Role": (_RBAC, "roles"),
    "RoleBinding": (_RBAC, "rolebindings"),
    "MutatingAdmissionPolicy": (_ADMISSION, "mutatingadmissionpolicies"),
    "MutatingAdmissionPolicyBinding": (_ADMISSION, "mutatingadmissionpolicybindings"),
    "ValidatingAdmissionPolicy": (_ADMISSION, "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": (_ADMISSION, "validatingadmissionpolicybindings"),
    "SelfSubjectReview": (_TOKENS, "selfsubjectreviews"),
    "TokenReview": (_TOKENS, "tokenreviews"),
    "SelfSubjectAccessReview": (_ACCESS, "selfsubjectaccessreviews"),
    "SubjectAccessReview": (_ACCESS, "subjectaccessreviews"),
}


def path_of(kind: str, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
    """Return the path of objects of a *kind*, or of the one by *name*, or of a part of it."""
    group, plural = _KINDS[kind]
    place = [group, *(["namespaces", namespace] if namespace else []), plural, name, subresource]
    return "/".join(part for part in place if part)
