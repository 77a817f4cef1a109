"""Whoever owns a node: its kubelet's certificate, its agent's token, and any bytes they like.

There are two nodes. The attacker's has pods of one namespace; the victim's has a pod of another.
Both namespaces permit every role, so that no rule of theirs hides what is missing elsewhere.
"""

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from cluster.serving import PERMITS, RELEASE, ROLE, SPACE, Serving, loopback_node, serving
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.v1 import broker_pb2_grpc
from testcluster.client import JSON_PATCH, Client, Manifest, RefusedError
from testcluster.cluster import Cluster

ATTACKER, VICTIM = 111, 112
READER, TREASURE = "reader", "treasure"
EXTERNAL_ID, TAG = "iam.amazonaws.com/external-id", "iam.amazonaws.com/session-tag.team"
SESSION_NAME = "iam.amazonaws.com/session-name"
# What the pod of each name is annotated with, on the attacker's node. The last one is for `fence`.
OWN_PODS = {
    "web": {ROLE: READER},
    "plain": {},
    "tagged": {EXTERNAL_ID: "partner", TAG: "blue"},
    "mark": {ROLE: "mark-0"},
}
MADE = "made"  # The name of whatever pod an attempt makes.
PATIENCE = 60.0  # seconds, for a slow machine
Metadata = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Heard:
    """Everything that one stream has told so far."""

    call: "grpc.aio.UnaryStreamCall[pb.WatchNodeRequest, pb.NodeUpdates]"
    pods: dict[str, pb.Assignment] = field(default_factory=dict)
    sessions: dict[str, pb.Session] = field(default_factory=dict)
    # Of any pod at any time.
    roles: set[str] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)
    node: str = ""
    snapshots: int = 0

    async def until(self, holds: Callable[[], bool]) -> None:
        """Read on until *holds* says yes."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                message = await self.call.read()
                assert isinstance(message, pb.NodeUpdates), message
                for update in message.updates:
                    self._take(update)

    async def ended(self) -> grpc.StatusCode:
        """Read on until the stream ends, and return how."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.until(lambda: False)
        return await self.call.code()

    def roles_of_granted(self) -> set[str]:
        """Return the roles of which the node has a pod and the credentials."""
        return {pod.role for pod in self.pods.values() if pod.session_id in self.sessions}

    def of(self, name: str) -> pb.Assignment | None:
        return next((each for each in self.pods.values() if each.name == name), None)

    def _take(self, update: pb.NodeUpdate) -> None:
        match update.WhichOneof("kind"):
            case "assignment":
                self.pods[update.assignment.uid] = update.assignment
                self.roles |= {update.assignment.role} - {""}
                self.granted |= {update.assignment.session_id} - {""}
            case "session":
                self.sessions[update.session.id] = update.session
            case "endpoint_keys":
                self.node = update.endpoint_keys.node
            case "snapshot_end":
                self.snapshots += 1


@dataclass(slots=True)
class Field:
    """The cluster as the attacker finds it, and what they have."""

    at: Serving
    kubelet: Client
    token: str
    own: str  # The namespace of the attacker's pods.
    theirs: str  # The victim's.
    vault: str = ""  # The address of the victim's pod.
    addresses: dict[str, str] = field(default_factory=dict)  # Of the attacker's pods.
    node: str = f"node-{ATTACKER}"
    other: str = f"node-{VICTIM}"
    _marks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def admin(self) -> Client:
        return self.at.admin

    @contextlib.asynccontextmanager
    async def channel(self, server: str = "server") -> AsyncGenerator[grpc.aio.Channel]:
        """Connect to a server as anybody can who can reach it."""
        trust = grpc.ssl_channel_credentials((self.at.root / "ca.crt").read_bytes())
        name = f"{RELEASE}-server.{SPACE}.svc"
        options = [
            ("grpc.ssl_target_name_override", name),
            ("grpc.use_local_subchannel_pool", 1),  # A connection of its own.
        ]
        address = f"127.0.0.1:{self.at.port(server)}"
        async with grpc.aio.secure_channel(address, trust, options=options) as channel:
            yield channel

    @contextlib.asynccontextmanager
    async def hearing(
        self, token: str = "", hello: pb.WatchNodeRequest | None = None, metadata: Metadata = ()
    ) -> AsyncGenerator[Heard]:
        """Open a stream, as the attacker unless another *token* is given; its snapshot is heard."""
        async with self.channel() as channel:
            call = broker_pb2_grpc.BrokerStub(channel).WatchNode(
                hello or pb.WatchNodeRequest(version="0.1.0"),
                metadata=(*bearer(token or self.token), *metadata),
            )
            heard = Heard(call)
            await heard.until(lambda: heard.snapshots == 1)
            yield heard

    async def fence(self, heard: Heard) -> None:
        """Return once *heard* has heard everything that was written before."""
        role = f"mark-{next(self._marks)}"
        change = {"metadata": {"annotations": {ROLE: role}}}
        await self.admin.patch("Pod", "mark", change, self.own)
        await heard.until(lambda: (mark := heard.of("mark")) is not None and mark.role == role)

    async def nothing_of_others(self, heard: Heard) -> None:
        """Check that the stream tells of nothing but the node's own pods and what they had."""
        await self.fence(heard)
        pods = await self.admin.find("Pod", fieldSelector=f"spec.nodeName={self.node}")
        assert heard.node == self.node
        assert heard.pods.keys() <= {pod["metadata"]["uid"] for pod in pods}
        assert {role for role in heard.roles if not role.startswith("mark-")} <= {READER}
        assert heard.sessions.keys() <= heard.granted

    async def pod(self, name: str = "web") -> Manifest:
        """Return one of the attacker's pods, as its kubelet reads it."""
        return await self.kubelet.get("Pod", name, self.own)

    async def address_of(self, name: str) -> str:
        """Return the address of a pod of the attacker's namespace, once it has one."""
        query = {"fieldSelector": f"metadata.name={name}"}
        pods = await self.admin.until("Pod", running(1), self.own, **query)
        return str(pods[name]["status"]["podIP"])

    async def say_address(self, name: str, address: str) -> None:
        """Report, as a kubelet does, which address a pod of its node has."""
        status = {"podIP": address, "podIPs": [{"ip": address}]}
        await self.kubelet.patch("Pod", name, {"status": status}, self.own, subresource="status")

    async def until_logged(self, what: str, since: int) -> None:
        """Return once the server has refused a call because of *what*, after line *since*."""
        server, wanted = self.at.running("server"), re.compile(what)

        def found() -> bool:
            refused = [line for line in server.err[since:] if "call was refused" in line]
            return not what or any(wanted.search(line) for line in refused)

        async with asyncio.timeout(PATIENCE), server.grown:
            await server.grown.wait_for(found)

    async def restore(self) -> None:
        """Put back what an attempt has changed."""
        for space in (self.own, self.theirs, SPACE):
            with contextlib.suppress(RefusedError):
                await self.admin.delete("Pod", MADE, space, grace=0)
        for name in ("web", "plain", "tagged"):
            pod = await self.admin.get("Pod", name, self.own)
            if (pod["metadata"].get("annotations") or {}) != OWN_PODS[name]:
                change = [{"op": "add", "path": "/metadata/annotations", "value": OWN_PODS[name]}]
                await self.admin.patch("Pod", name, change, self.own, content_type=JSON_PATCH)
            if pod["status"]["podIP"] != self.addresses[name]:
                await self.say_address(name, self.addresses[name])


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def pod_manifest(
    space: str, name: str, node: str, annotations: dict[str, str], **spec: object
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "annotations": annotations},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "main"}], **spec},
    }


def running(count: int) -> Callable[[Mapping[str, Manifest]], bool]:
    def holds(pods: Mapping[str, Manifest]) -> bool:
        return len(pods) == count and all(pod["status"].get("podIP") for pod in pods.values())

    return holds


@contextlib.asynccontextmanager
async def battlefield(cluster: Cluster, root: Path) -> AsyncGenerator[Field]:
    """Run a server and the victim's agent, with both nodes and their pods; then take them away."""
    async with serving(cluster, root) as at:
        own, theirs = (f"{name}-{secrets.token_hex(4)}" for name in ("own", "theirs"))
        # Now, so that no server's pod is on either of them: what is a server may do all it may.
        for number in (ATTACKER, VICTIM):
            await at.admin.create(loopback_node(number))
        at.output = (*at.output, "--log-level", "debug")
        async with cluster.node(f"node-{ATTACKER}") as kubelet:
            field = Field(at, kubelet, "", own, theirs)
            try:
                await _populate(field)
                await at.start_everything(field.other)
                field.token = await at.agent_token(field.node)
                await at.until_given(field.other, field.vault, TREASURE)
                yield field
            finally:
                for space in (own, theirs):
                    await _remove(at.admin, space)
                for node in (field.node, field.other):
                    await at.admin.delete("Node", node)


async def _remove(admin: Client, space: str) -> None:
    """Delete a namespace, its pods at once: who comes next has the same nodes."""
    now = {"gracePeriodSeconds": 0}
    await admin.request("DELETE", f"/api/v1/namespaces/{space}/pods", now)
    await admin.delete("Namespace", space)


async def _populate(field: Field) -> None:
    for space in (field.own, field.theirs):
        await field.admin.create_namespace(space)
    default = {"iam.amazonaws.com/default-role": TREASURE}
    for space, notes in ((field.own, PERMITS), (field.theirs, PERMITS | default)):
        await field.admin.patch("Namespace", space, {"metadata": {"annotations": notes}})
    for name, annotations in OWN_PODS.items():
        await field.admin.create(pod_manifest(field.own, name, field.node, annotations))
    vault = pod_manifest(field.theirs, "vault", field.other, {ROLE: TREASURE})
    await field.admin.create(vault)
    mine = await field.admin.until("Pod", running(len(OWN_PODS)), field.own)
    field.addresses = {name: pod["status"]["podIP"] for name, pod in mine.items()}
    victims = await field.admin.until("Pod", running(1), field.theirs)
    field.vault = victims["vault"]["status"]["podIP"]
