"""Attempts at pods, with the credential of a node's kubelet."""

from cluster.attacker import (
    EXTERNAL_ID,
    SESSION_NAME,
    TAG,
    TREASURE,
    VICTIM,
)
from cluster.attempts import (
    Control,
    checked,
    guarded,
    idle,
    no_mirror,
    no_rule,
    restricted,
)
from cluster.kubelet_moves import (
    MIRROR,
    SERVER,
    disguise,
    mirror,
    post,
    put,
    status_of,
    whole,
    write,
)
from cluster.serving import (
    AUDIENCE,
    RELEASE,
    ROLE,
    SPACE,
)
from testcluster.client import (
    APPLY,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
)

_KINDS = {
    "merge patch": MERGE,
    "strategic patch": STRATEGIC,
    "JSON patch": JSON_PATCH,
    "server-side apply": APPLY,
}

OWN_PODS = (
    *(
        guarded(
            f"Change the role of its own pod through `pods/status`, by {name}",
            write(ROLE, TREASURE, kind=kind),
            TREASURE,
        )
        for name, kind in _KINDS.items()
    ),
    guarded(
        "Change the role of its own pod through `pods/status`, by PUT", put("status"), TREASURE
    ),
    guarded(
        "Give a role to a pod that has none, through `pods/status`",
        write(ROLE, TREASURE, "plain"),
        TREASURE,
    ),
    guarded("Take a pod's role away, through `pods/status`", write(ROLE, None)),
    guarded("Add an external id, through `pods/status`", write(EXTERNAL_ID, "partner")),
    guarded("Add a session name, through `pods/status`", write(SESSION_NAME, "root")),
    guarded("Add a session tag, through `pods/status`", write(TAG, "red")),
    guarded("Change a session tag, through `pods/status`", write(TAG, "red", "tagged")),
    guarded("Take a session tag away, through `pods/status`", write(TAG, None, "tagged")),
    guarded("Take an external id away, through `pods/status`", write(EXTERNAL_ID, None, "tagged")),
    *(
        no_rule(
            f"Change the role of its own pod through `pods`, by {name}",
            whole(ROLE, TREASURE, kind),
            "patch",
            "pods",
        )
        for name, kind in _KINDS.items()
    ),
    no_rule("Change the role of its own pod through `pods`, by PUT", put(""), "update", "pods"),
    *(
        no_rule(
            f"Change the role of its own pod through `pods/{part}`",
            status_of("web", {"metadata": {"annotations": {ROLE: TREASURE}}}, part=part),
            "patch",
            f"pods/{part}",
        )
        for part in ("ephemeralcontainers", "resize")
    ),
    restricted(
        "Change labels of its own pod, of which session tags may be made",
        status_of("web", {"metadata": {"labels": {"team": "red"}}}),
        "cannot update labels through pod status",
    ),
    no_rule(
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
    restricted(
        "Change the role of another node's pod, through `pods/status`",
        status_of("vault", {"metadata": {"annotations": {ROLE: "reader"}}}, theirs=True),
        "can only update pod status for pods with spec.nodeName set to itself",
    ),
    restricted(
        "Change the address of another node's pod, through `pods/status`",
        status_of(
            "vault",
            {"status": {"podIP": "127.111.0.9", "podIPs": [{"ip": "127.111.0.9"}]}},
            theirs=True,
        ),
        "can only update pod status for pods with spec.nodeName set to itself",
    ),
    restricted(
        "Report that another node's pod has finished",
        status_of("vault", {"status": {"phase": "Failed"}}, theirs=True),
        "can only update pod status for pods with spec.nodeName set to itself",
    ),
    restricted(
        "Delete another node's pod",
        lambda field: field.kubelet.delete("Pod", "vault", field.theirs),
        "can only delete pods with spec.nodeName set to itself",
    ),
    restricted(
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
    no_rule(
        "Delete all pods of a namespace",
        lambda field: field.kubelet.request("DELETE", f"/api/v1/namespaces/{field.theirs}/pods"),
        "deletecollection",
        "pods",
    ),
)

MIRROR_PODS = (
    guarded("Make a mirror pod with a role in another namespace", mirror({ROLE: TREASURE})),
    guarded("Make a mirror pod with a session tag", mirror({TAG: "red"})),
    guarded(
        "Make a mirror pod, and give it a role through its status",
        disguise({"metadata": {"annotations": {ROLE: TREASURE}}}),
    ),
    idle(
        "Make a mirror pod without annotations in a namespace with a default role, "
        "with an address of choice",
        mirror(address="127.111.0.77"),
        Control.MIRROR,
    ),
    idle(
        "Take the node from a mirror pod's owners, through its status",
        disguise({"metadata": {"ownerReferences": None}}),
        Control.MIRROR,
    ),
    checked(
        "Take the mark of a mirror pod away, through its status",
        disguise({"metadata": {"annotations": {MIRROR: None}}}),
        "may not remove or update mirror pod annotation",
    ),
    restricted(
        "Make a pod that is no mirror pod",
        mirror({}, marked=False),
        "can only create mirror pods",
    ),
    restricted(
        "Make a mirror pod that belongs to no node",
        mirror(owned=False),
        "owner reference set to itself",
    ),
    restricted(
        "Make a mirror pod on another node",
        mirror(on=f"node-{VICTIM}"),
        "can only create pods with spec.nodeName set to itself",
    ),
    no_mirror(
        "Make a mirror pod that runs as the server",
        mirror(space=SPACE, serviceAccountName=SERVER),
        "a mirror pod may not reference service accounts",
    ),
    no_mirror(
        "Make a mirror pod that mounts the server's secret",
        mirror(
            space=SPACE,
            volumes=[{"name": "it", "secret": {"secretName": f"{RELEASE}-token-secret"}}],
        ),
        "a mirror pod may not reference secrets",
    ),
    no_mirror(
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

PODS = (*OWN_PODS, *OTHERS_PODS, *MIRROR_PODS)
