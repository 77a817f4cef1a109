"""Attempts at tokens and at everything else in the API, with a kubelet's credential."""

from cluster.attacker import (
    ATTACKER,
)
from cluster.attempts import (
    Control,
    checked,
    idle,
    no_rule,
    restricted,
    unrelated,
)
from cluster.kubelet_moves import (
    AGENT,
    SERVER,
    agents_pod_token,
    agents_token_for_a_mirror_pod,
    certificate_of_another,
    change,
    node_bound_token,
    of_kind,
    other_node,
    own_node,
    post,
    take_the_address,
)
from cluster.serving import (
    AUDIENCE,
    RELEASE,
    SPACE,
)
from testcluster.commands import (
    ISSUER,
)

TOKENS = (
    restricted(
        "Get a token for the agent's pod of another node",
        agents_pod_token(other=True),
        "different node",
    ),
    restricted(
        "Get an agent's token that is bound to no pod",
        lambda field: field.kubelet.token(AGENT, SPACE, AUDIENCE),
        "not bound to a pod",
    ),
    restricted(
        "Get an agent's token that is bound to its node and to no pod",
        node_bound_token,
        "not bound to a pod",
    ),
    restricted(
        "Get an agent's token for a pod that never was",
        agents_pod_token(name="nobody"),
        "not found",
    ),
    restricted(
        "Get an agent's token for a uid of choice",
        agents_pod_token(uid="11111111-1111-1111-1111-111111111111"),
        "does not match the UID in record",
    ),
    restricted(
        "Get an agent's token for a mirror pod that it has put beside the agents",
        agents_token_for_a_mirror_pod,
        "not authorized to request tokens for",
    ),
    restricted(
        "Get a token of the agent's pod for the API server itself",
        agents_pod_token(audience=ISSUER),
        "not authorized to request tokens for",
    ),
    unrelated(
        "Get a token of the server's account",
        lambda field: field.kubelet.token(SERVER, SPACE, ISSUER),
    ),
    unrelated(
        "Get a token of an account of the victim's namespace",
        lambda field: field.kubelet.token("default", field.theirs, AUDIENCE),
    ),
    restricted(
        "Ask for the certificate of another node's kubelet",
        certificate_of_another,
        f"can only create a node CSR with CN=system:node:node-{ATTACKER}",
    ),
)

EVERYTHING_ELSE = (
    unrelated(
        "Read the secret that the keys of metadata tokens are made of",
        lambda field: field.kubelet.get("Secret", f"{RELEASE}-token-secret", SPACE),
    ),
    unrelated(
        "Read the key of the server's certificate",
        lambda field: field.kubelet.get("Secret", f"{SERVER}-tls", SPACE),
    ),
    unrelated(
        "Read the key of the authority that signs it",
        lambda field: field.kubelet.get("Secret", f"{RELEASE}-authority", SPACE),
    ),
    no_rule(
        "Change the server's settings",
        change("ConfigMap", SERVER, {"data": {"settings.yaml": ""}}, SPACE),
        "patch",
        "configmaps",
    ),
    no_rule(
        "Change whom agents trust",
        change("ConfigMap", f"{RELEASE}-authority", {"data": {"ca.crt": ""}}, SPACE),
        "patch",
        "configmaps",
    ),
    no_rule(
        "Change the agents' DaemonSet",
        change("DaemonSet", AGENT, {"spec": {"minReadySeconds": 1}}, SPACE),
        "patch",
        "daemonsets",
    ),
    no_rule(
        "Change which roles a namespace permits",
        lambda field: field.kubelet.patch(
            "Namespace", field.own, {"metadata": {"annotations": {"iam.amazonaws.com/x": "y"}}}
        ),
        "patch",
        "namespaces",
    ),
    no_rule(
        "Take the guard away",
        lambda field: field.kubelet.delete(
            "ValidatingAdmissionPolicyBinding", f"{RELEASE}-node-guard"
        ),
        "delete",
        "validatingadmissionpolicybindings",
    ),
    no_rule(
        "Weaken the guard",
        change("ValidatingAdmissionPolicy", f"{RELEASE}-node-guard", {"spec": {"validations": []}}),
        "patch",
        "validatingadmissionpolicies",
    ),
    no_rule(
        "Make a service account by the agents' name",
        post("/api/v1/namespaces/{own}/serviceaccounts", of_kind("ServiceAccount", "v1", AGENT)),
        "create",
        "serviceaccounts",
    ),
    no_rule(
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
    restricted(
        "Change another node's object",
        other_node({"metadata": {"labels": {"x": "y"}}}),
        "is not allowed to modify node",
    ),
    restricted(
        "Make a node of another name",
        post("/api/v1/nodes", of_kind("Node", "v1", "node-199")),
        "is not allowed to modify node",
    ),
    restricted(
        "Call itself a control-plane node, so that servers are put there",
        own_node({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}),
        "is not allowed to modify labels",
    ),
    restricted(
        "Take a label of the kind that is kept from nodes",
        own_node({"metadata": {"labels": {"node-restriction.kubernetes.io/servers": "yes"}}}),
        "is not allowed to modify labels",
    ),
    restricted(
        "Change its taints",
        own_node({"spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}}),
        "is not allowed to modify taints",
    ),
    checked(
        "Take the pod network of another node",
        own_node({"spec": {"podCIDR": "127.112.0.0/16", "podCIDRs": ["127.112.0.0/16"]}}),
        "may not change podCIDR",
    ),
    idle(
        "Take the address of another node, and labels that it may have",
        take_the_address,
        Control.SUBSCRIPTION,
    ),
)

CLUSTER = (*TOKENS, *EVERYTHING_ELSE)
