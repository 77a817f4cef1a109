"""Attempts at the Kubernetes API, with the credential of a node's kubelet."""

from cluster.attacker import ATTACKER, EXTERNAL_ID, SESSION_NAME, TAG, TREASURE, VICTIM
from cluster.attempts import Attempt, Control
from cluster.kubelet_moves import (
    AGENT,
    MIRROR,
    SERVER,
    Act,
    agents_pod_token,
    agents_token_for_a_mirror_pod,
    certificate_of_another,
    change,
    disguise,
    mirror,
    node_bound_token,
    of_kind,
    other_node,
    own_node,
    post,
    put,
    status_of,
    take_the_address,
    whole,
    write,
)
from cluster.serving import AUDIENCE, RELEASE, ROLE, SPACE
from testcluster.client import APPLY, JSON_PATCH, MERGE, STRATEGIC
from testcluster.commands import ISSUER

_GUARD = "a node may not"
_KINDS = {
    "merge patch": MERGE,
    "strategic patch": STRATEGIC,
    "JSON patch": JSON_PATCH,
    "server-side apply": APPLY,
}


def _guarded(what: str, do: Act, gives: str = "") -> Attempt:
    return Attempt(what, Control.GUARD, do, _GUARD, gives=gives)


def _no_rule(what: str, do: Act, verb: str, resource: str) -> Attempt:
    return Attempt(what, Control.RBAC, do, f'cannot {verb} resource "{resource}"')


def _unrelated(what: str, do: Act) -> Attempt:
    said = "no relationship found between node .* and this object"
    return Attempt(what, Control.NODE_AUTHORIZER, do, said)


def _restricted(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.NODE_RESTRICTION, do, said)


def _plain(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.SERVICE_ACCOUNT, do, said)


def _checked(what: str, do: Act, said: str) -> Attempt:
    return Attempt(what, Control.API, do, said)


def _idle(what: str, do: Act, control: Control) -> Attempt:
    return Attempt(what, control, do)


OWN_PODS = (
    *(
        _guarded(
            f"Change the role of its own pod through `pods/status`, by {name}",
            write(ROLE, TREASURE, kind=kind),
            TREASURE,
        )
        for name, kind in _KINDS.items()
    ),
    _guarded("The same by PUT", put("status"), TREASURE),
    _guarded(
        "Give a role to a pod that has none, through `pods/status`",
        write(ROLE, TREASURE, "plain"),
        TREASURE,
    ),
    _guarded("Take a pod's role away, through `pods/status`", write(ROLE, None)),
    _guarded("Add an external id, through `pods/status`", write(EXTERNAL_ID, "partner")),
    _guarded("Add a session name, through `pods/status`", write(SESSION_NAME, "root")),
    _guarded("Add a session tag, through `pods/status`", write(TAG, "red")),
    _guarded("Change a session tag, through `pods/status`", write(TAG, "red", "tagged")),
    _guarded("Take a session tag away, through `pods/status`", write(TAG, None, "tagged")),
    _guarded("Take an external id away, through `pods/status`", write(EXTERNAL_ID, None, "tagged")),
    *(
        _no_rule(
            f"Change the role of its own pod through `pods`, by {name}",
            whole(ROLE, TREASURE, kind),
            "patch",
            "pods",
        )
        for name, kind in _KINDS.items()
    ),
    _no_rule("The same by PUT, through `pods`", put(""), "update", "pods"),
    *(
        _no_rule(
            f"Change the role of its own pod through `pods/{part}`",
            status_of("web", {"metadata": {"annotations": {ROLE: TREASURE}}}, part=part),
            "patch",
            f"pods/{part}",
        )
        for part in ("ephemeralcontainers", "resize")
    ),
    _restricted(
        "Change labels of its own pod, of which session tags may be made",
        status_of("web", {"metadata": {"labels": {"team": "red"}}}),
        "cannot update labels through pod status",
    ),
    _no_rule(
        "Bind a pod to its node, with annotations that go along",
        post(
            "/api/v1/namespaces/{own}/pods/web/binding",
            lambda field: {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "web", "annotations": {ROLE: TREASURE}},
                "target": {"apiVersion": "v1", "kind": "Node", "name": field.node},
            },
        ),
        "create",
        "pods/binding",
    ),
)

OTHERS_PODS = (
    _restricted(
        "Change the role of another node's pod, through `pods/status`",
        status_of("vault", {"metadata": {"annotations": {ROLE: "reader"}}}, theirs=True),
        "can only update pod status for pods with spec.nodeName set to itself",
    ),
    _restricted(
        "Change the address of another node's pod, through `pods/status`",
        status_of(
            "vault",
            {"status": {"podIP": "127.111.0.9", "podIPs": [{"ip": "127.111.0.9"}]}},
            theirs=True,
        ),
        "can only update pod status for pods with spec.nodeName set to itself",
    ),
    _restricted(
        "Report that another node's pod has finished",
        status_of("vault", {"status": {"phase": "Failed"}}, theirs=True),
        "can only update pod status for pods with spec.nodeName set to itself",
    ),
    _restricted(
        "Delete another node's pod",
        lambda field: field.kubelet.delete("Pod", "vault", field.theirs),
        "can only delete pods with spec.nodeName set to itself",
    ),
    _restricted(
        "Evict another node's pod",
        post(
            "/api/v1/namespaces/{theirs}/pods/vault/eviction",
            lambda field: {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "vault", "namespace": field.theirs},
            },
        ),
        "can only evict pods with spec.nodeName set to itself",
    ),
    _no_rule(
        "Delete all pods of a namespace",
        lambda field: field.kubelet.request("DELETE", f"/api/v1/namespaces/{field.theirs}/pods"),
        "deletecollection",
        "pods",
    ),
)

MIRROR_PODS = (
    _guarded("Make a mirror pod with a role in another namespace", mirror({ROLE: TREASURE})),
    _guarded("Make a mirror pod with a session tag", mirror({TAG: "red"})),
    _guarded(
        "Make a mirror pod, and give it a role through its status",
        disguise({"metadata": {"annotations": {ROLE: TREASURE}}}),
    ),
    _idle(
        "Make a mirror pod without annotations in a namespace with a default role, "
        "with an address of choice",
        mirror(address="127.111.0.77"),
        Control.MIRROR,
    ),
    _idle(
        "Take the node from a mirror pod's owners, through its status",
        disguise({"metadata": {"ownerReferences": None}}),
        Control.MIRROR,
    ),
    _checked(
        "Take the mark of a mirror pod away, through its status",
        disguise({"metadata": {"annotations": {MIRROR: None}}}),
        "may not remove or update mirror pod annotation",
    ),
    _restricted(
        "Make a pod that is no mirror pod",
        mirror({}, marked=False),
        "can only create mirror pods",
    ),
    _restricted(
        "Make a mirror pod that belongs to no node",
        mirror(owned=False),
        "owner reference set to itself",
    ),
    _restricted(
        "Make a mirror pod on another node",
        mirror(on=f"node-{VICTIM}"),
        "can only create pods with spec.nodeName set to itself",
    ),
    _plain(
        "Make a mirror pod that runs as the server",
        mirror(space=SPACE, serviceAccountName=SERVER),
        "a mirror pod may not reference service accounts",
    ),
    _plain(
        "Make a mirror pod that mounts the server's secret",
        mirror(
            space=SPACE,
            volumes=[{"name": "it", "secret": {"secretName": f"{RELEASE}-token-secret"}}],
        ),
        "a mirror pod may not reference secrets",
    ),
    _plain(
        "Make a mirror pod with a projected token of the agents",
        mirror(
            space=SPACE,
            volumes=[
                {
                    "name": "it",
                    "projected": {
                        "sources": [
                            {"serviceAccountToken": {"audience": AUDIENCE, "path": "token"}}
                        ]
                    },
                }
            ],
        ),
        "a mirror pod may not use ServiceAccountToken volume projections",
    ),
)

TOKENS = (
    _restricted(
        "Get a token for the agent's pod of another node",
        agents_pod_token(other=True),
        "different node",
    ),
    _restricted(
        "Get an agent's token that is bound to no pod",
        lambda field: field.kubelet.token(AGENT, SPACE, AUDIENCE),
        "not bound to a pod",
    ),
    _restricted(
        "Get an agent's token that is bound to its node and to no pod",
        node_bound_token,
        "not bound to a pod",
    ),
    _restricted(
        "Get an agent's token for a pod that never was",
        agents_pod_token(name="nobody"),
        "not found",
    ),
    _restricted(
        "Get an agent's token for a uid of choice",
        agents_pod_token(uid="11111111-1111-1111-1111-111111111111"),
        "does not match the UID in record",
    ),
    _restricted(
        "Get an agent's token for a mirror pod that it has put beside the agents",
        agents_token_for_a_mirror_pod,
        "not authorized to request tokens for",
    ),
    _restricted(
        "Get a token of the agent's pod for the API server itself",
        agents_pod_token(audience=ISSUER),
        "not authorized to request tokens for",
    ),
    _unrelated(
        "Get a token of the server's account",
        lambda field: field.kubelet.token(SERVER, SPACE, ISSUER),
    ),
    _unrelated(
        "Get a token of an account of the victim's namespace",
        lambda field: field.kubelet.token("default", field.theirs, AUDIENCE),
    ),
    _restricted(
        "Ask for the certificate of another node's kubelet",
        certificate_of_another,
        f"can only create a node CSR with CN=system:node:node-{ATTACKER}",
    ),
)

EVERYTHING_ELSE = (
    _unrelated(
        "Read the secret that the keys of metadata tokens are made of",
        lambda field: field.kubelet.get("Secret", f"{RELEASE}-token-secret", SPACE),
    ),
    _unrelated(
        "Read the key of the server's certificate",
        lambda field: field.kubelet.get("Secret", f"{SERVER}-tls", SPACE),
    ),
    _unrelated(
        "Read the key of the authority that signs it",
        lambda field: field.kubelet.get("Secret", f"{RELEASE}-authority", SPACE),
    ),
    _no_rule(
        "Change the server's settings",
        change("ConfigMap", SERVER, {"data": {"settings.yaml": ""}}, SPACE),
        "patch",
        "configmaps",
    ),
    _no_rule(
        "Change whom agents trust",
        change("ConfigMap", f"{RELEASE}-authority", {"data": {"ca.crt": ""}}, SPACE),
        "patch",
        "configmaps",
    ),
    _no_rule(
        "Change the agents' DaemonSet",
        change("DaemonSet", AGENT, {"spec": {"minReadySeconds": 1}}, SPACE),
        "patch",
        "daemonsets",
    ),
    _no_rule(
        "Change which roles a namespace permits",
        lambda field: field.kubelet.patch(
            "Namespace", field.own, {"metadata": {"annotations": {"iam.amazonaws.com/x": "y"}}}
        ),
        "patch",
        "namespaces",
    ),
    _no_rule(
        "Take the guard away",
        lambda field: field.kubelet.delete(
            "ValidatingAdmissionPolicyBinding", f"{RELEASE}-node-guard"
        ),
        "delete",
        "validatingadmissionpolicybindings",
    ),
    _no_rule(
        "Weaken the guard",
        change(
            "ValidatingAdmissionPolicy", f"{RELEASE}-node-guard", {"spec": {"validations": []}}
        ),
        "patch",
        "validatingadmissionpolicies",
    ),
    _no_rule(
        "Make a service account by the agents' name",
        post(
            "/api/v1/namespaces/{own}/serviceaccounts", of_kind("ServiceAccount", "v1", AGENT)
        ),
        "create",
        "serviceaccounts",
    ),
    _no_rule(
        "Give itself more rights",
        post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            of_kind(
                "ClusterRoleBinding",
                "rbac.authorization.k8s.io/v1",
                "nodes",
                roleRef={
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
            ),
        ),
        "create",
        "clusterrolebindings",
    ),
    _restricted(
        "Change another node's object",
        other_node({"metadata": {"labels": {"x": "y"}}}),
        "is not allowed to modify node",
    ),
    _restricted(
        "Make a node of another name",
        post("/api/v1/nodes", of_kind("Node", "v1", "node-199")),
        "is not allowed to modify node",
    ),
    _restricted(
        "Call itself a control-plane node, so that servers are put there",
        own_node({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}),
        "is not allowed to modify labels",
    ),
    _restricted(
        "Take a label of the kind that is kept from nodes",
        own_node({"metadata": {"labels": {"node-restriction.kubernetes.io/servers": "yes"}}}),
        "is not allowed to modify labels",
    ),
    _restricted(
        "Change its taints",
        own_node({"spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}}),
        "is not allowed to modify taints",
    ),
    _checked(
        "Take the pod network of another node",
        own_node({"spec": {"podCIDR": "127.112.0.0/16", "podCIDRs": ["127.112.0.0/16"]}}),
        "may not change podCIDR",
    ),
    _idle(
        "Take the address of another node, and labels that it may have",
        take_the_address,
        Control.FANOUT,
    ),
)

ATTEMPTS = (*OWN_PODS, *OTHERS_PODS, *MIRROR_PODS, *TOKENS, *EVERYTHING_ELSE)

