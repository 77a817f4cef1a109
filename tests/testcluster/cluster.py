"""A Kubernetes cluster for tests: a real control plane, and nodes that kwok plays."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from testcluster.binaries import Binaries
from testcluster.client import Client, Identity
from testcluster.controlplane import BARE, WHOLE, ControlPlane
from testcluster.nodes import node
from testcluster.owner import new_folder, sweep

NODES = 2


class CommandError(Exception):
    """kubectl or Helm failed; the text is what it said."""


class Cluster:
    """A running cluster, as tests use it."""

    def __init__(self, control_plane: ControlPlane, binaries: Binaries) -> None:
        self.control_plane = control_plane
        self.binaries = binaries

    @property
    def version(self) -> str:
        return self.binaries.version

    @property
    def url(self) -> str:
        return self.control_plane.url

    @property
    def kubeconfig(self) -> Path:
        """The administrator's configuration."""
        return self.control_plane.kubeconfig

    @property
    def bundle(self) -> Path:
        """The certificate that the API server's is signed with."""
        return self.control_plane.authority.bundle

    def admin(self) -> Client:
        """Return a client that may do everything."""
        return self._client(Identity(pair=self.control_plane.administrator))

    def node(self, name: str) -> Client:
        """Return a client with the credentials of the kubelet of node *name*."""
        pair = self.control_plane.authority.client(f"system:node:{name}", "system:nodes")
        return self._client(Identity(pair=pair))

    def bearer(self, token: str) -> Client:
        """Return a client with a bearer token."""
        return self._client(Identity(token=token))

    async def add_node(self, number: int, *, played: bool = True) -> str:
        """Make node *number* and return its name; see `testcluster.nodes.node`."""
        async with self.admin() as admin:
            made = await admin.create(node(number, played=played))
        return str(made["metadata"]["name"])

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncGenerator[None]:
        """Have no API server; afterwards it is back on the same port, with the same data.

        What acts on it does so again by then; real nodes try by themselves.
        """
        await asyncio.to_thread(self.control_plane.stop_api_server)
        try:
            yield
        finally:
            await asyncio.to_thread(self.control_plane.start_api_server)

    async def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl as the administrator and return what it printed.

        Raises: CommandError.
        """
        return await self._run(self.binaries.kubectl, arguments, given)

    async def apply(self, manifests: str) -> str:
        """Apply YAML as the administrator, by kubectl."""
        return await self.kubectl("apply", "--filename=-", given=manifests)

    async def helm(self, *arguments: str, given: str = "") -> str:
        """Run Helm as the administrator and return what it printed.

        Raises: CommandError.
        """
        return await self._run(self.binaries.helm, arguments, given)

    def _client(self, identity: Identity) -> Client:
        return Client(self.url, str(self.bundle), identity)

    async def _run(self, program: Path, arguments: tuple[str, ...], given: str) -> str:
        home = self.kubeconfig.parent / "home"
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            # Nobody's own settings, caches and plugins.
            env={"KUBECONFIG": str(self.kubeconfig), "HOME": str(home), "PATH": os.defpath},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, said = await process.communicate(given.encode())
        if process.returncode != 0:
            command = " ".join([program.name, *arguments])
            raise CommandError(f"{command}: {said.decode(errors='replace').strip()}")
        return output.decode()


@contextlib.contextmanager
def running(
    binaries: Binaries,
    parts: tuple[str, ...] = WHOLE,
    nodes: int = NODES,
    api_arguments: tuple[str, ...] = (),
    real_nodes: int = 0,
) -> Iterator[Cluster]:
    """Run a cluster in a temporary folder; nothing of it is left afterwards."""
    sweep()
    with new_folder() as folder:
        control_plane = ControlPlane(folder, binaries, api_arguments, real_nodes)
        control_plane.start(parts, nodes if parts != BARE else 0)
        try:
            yield Cluster(control_plane, binaries)
        finally:
            control_plane.stop()
