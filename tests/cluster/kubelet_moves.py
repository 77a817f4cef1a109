"""What a kubelet's credential can be used for: the moves that attempts are made of."""

import asyncio
import base64
from collections.abc import Awaitable, Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cluster.attacker import (
    MADE,
    PATIENCE,
    TREASURE,
    Field,
    pod_manifest,
)
from cluster.attempts import Act
from cluster.serving import AUDIENCE, RELEASE, ROLE, SPACE
from testcluster.client import APPLY, JSON_PATCH, MERGE, Manifest, RefusedError

NOT_FOUND = 404
MIRROR = "kubernetes.io/config.mirror"
AGENT, SERVER = f"{RELEASE}-agent", f"{RELEASE}-server"


def write(key: str, value: str | None, name: str = "web", *, kind: str = MERGE) -> Act:
    """Write an annotation of one of its own pods through the pod's status."""
    return lambda field: _write(field, key, value, name, kind, "status")


def whole(key: str, value: str | None, kind: str) -> Act:
    """Write an annotation of its own pod, not through the status."""
    return lambda field: _write(field, key, value, "web", kind, "")


async def _write(  # noqa: PLR0913, PLR0917 - what a write consists of
    field: Field, key: str, value: str | None, name: str, kind: str, part: str
) -> None:
    metadata = {"annotations": {key: value}}
    query: dict[str, str] = {}
    change: Manifest | list[Manifest] = {"metadata": metadata}
    if kind == JSON_PATCH:
        path = f"/metadata/annotations/{key.replace('/', '~1')}"
        change = [{"op": "add", "path": path, "value": value}]
    elif kind == APPLY:
        change = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}}
        query = {"fieldManager": "kubelet", "force": "true"}
    await field.kubelet.patch(
        "Pod", name, change, field.own, subresource=part, content_type=kind, **query
    )


def put(part: str) -> Act:
    """Put the whole of its own pod, or of its status, with another role."""

    async def do(field: Field) -> None:
        pod = await field.pod()
        pod["metadata"]["annotations"][ROLE] = TREASURE
        await field.kubelet.replace(pod, part)

    return do


def status_of(name: str, change: Manifest, *, theirs: bool = False, part: str = "status") -> Act:
    """Change the status, or another part, of one of its own pods, or of the victim's."""
    return lambda field: field.kubelet.patch(
        "Pod", name, change, field.theirs if theirs else field.own, subresource=part
    )


def post(path: str, body: Callable[[Field], Manifest]) -> Act:
    """Create something of the victim's namespace, or of its own pod, at a *path*."""
    return lambda field: field.kubelet.request(
        "POST", path.format(own=field.own, theirs=field.theirs), body(field)
    )


def of_kind(kind: str, api: str, name: str, **more: object) -> Callable[[Field], Manifest]:
    return lambda _: {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **more}


def change(kind: str, name: str, what: Manifest, space: str | None = None) -> Act:
    return lambda field: field.kubelet.patch(kind, name, what, space)


def own_node(what: Manifest) -> Act:
    return lambda field: field.kubelet.patch("Node", field.node, what)


def other_node(what: Manifest) -> Act:
    return lambda field: field.kubelet.patch("Node", field.other, what)


def mirror(  # noqa: PLR0913 - how such pods may differ
    annotations: dict[str, str] | None = None,
    *,
    space: str = "",
    on: str = "",
    address: str = "",
    owned: bool = True,
    marked: bool = True,
    **spec: object,
) -> Callable[[Field], Awaitable[Manifest]]:
    """Make a mirror pod as a kubelet does; in the victim's namespace unless another is named."""

    async def do(field: Field) -> Manifest:
        notes = ({MIRROR: "x"} if marked else {}) | (annotations or {})
        pod = pod_manifest(space or field.theirs, MADE, on or field.node, notes, **spec)
        if owned:
            node = await field.kubelet.get("Node", field.node)
            owner = {"apiVersion": "v1", "kind": "Node", "name": field.node, "controller": True}
            pod["metadata"]["ownerReferences"] = [owner | {"uid": node["metadata"]["uid"]}]
        made = await field.kubelet.create(pod)
        if address:
            status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
            await field.kubelet.patch(
                "Pod", MADE, {"status": status}, field.theirs, subresource="status"
            )
        return made

    return do


def disguise(what: Manifest, *, kind: str = MERGE) -> Act:
    """Make a mirror pod that is allowed, and change it through its status."""

    async def do(field: Field) -> None:
        await mirror()(field)
        await field.kubelet.patch(
            "Pod", MADE, what, field.theirs, subresource="status", content_type=kind
        )

    return do


def agents_pod_token(
    *, audience: str = AUDIENCE, other: bool = False, uid: str = "", name: str = ""
) -> Act:
    """Get a token for the agent's pod of a node, or for what is said to be that pod."""

    async def do(field: Field) -> None:
        pod = await field.at.agent_pod(field.other if other else field.node)
        bound = {"metadata": dict(pod["metadata"])}
        bound["metadata"] |= {"uid": uid} if uid else {}
        bound["metadata"] |= {"name": name} if name else {}
        await field.kubelet.token(AGENT, SPACE, audience, pod=bound)

    return do


async def agents_token_for_a_mirror_pod(field: Field) -> None:
    """Get a token of the agents' account for a mirror pod of the same namespace."""
    pod = await mirror(space=SPACE)(field)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await field.kubelet.token(AGENT, SPACE, AUDIENCE, pod=pod)
            except RefusedError as refused:
                # It takes the API server's plugin a moment to hear of the pod.
                if refused.status != NOT_FOUND:
                    raise
            else:
                return


async def node_bound_token(field: Field) -> None:
    node = await field.kubelet.get("Node", field.node)
    bound = {"apiVersion": "v1", "kind": "Node", "name": field.node, "uid": node["metadata"]["uid"]}
    spec = {"audiences": [AUDIENCE], "expirationSeconds": 3600, "boundObjectRef": bound}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{SPACE}/serviceaccounts/{AGENT}/token"
    await field.kubelet.request("POST", path, body)


async def certificate_of_another(field: Field) -> None:
    """Ask for a kubelet's certificate for the other node."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{field.other}"),
        ]
    )
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = asked.public_bytes(serialization.Encoding.PEM)
    spec = {
        "request": base64.b64encode(pem).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["digital signature", "client auth"],
    }
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "kubelet-"},
        "spec": spec,
    }
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    await field.kubelet.request("POST", path, body)


async def take_the_address(field: Field) -> None:
    """Say that its own node has the other's addresses, and a label that nobody forbids."""
    other = await field.admin.get("Node", field.other)
    label = {"metadata": {"labels": {"example.com/rolecall": field.other}}}
    await field.kubelet.patch("Node", field.node, label)
    status = {"addresses": other["status"]["addresses"]}
    await field.kubelet.patch("Node", field.node, {"status": status}, subresource="status")
