"""A control plane as ordinary processes on loopback, below one folder."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from testcluster import commands
from testcluster.authority import Authority, KeyPair, write_token_key
from testcluster.binaries import Binaries
from testcluster.commands import Command, Layout, Ports
from testcluster.kubeconfig import write_kubeconfig
from testcluster.machines.cgroups import group_of, remove_group
from testcluster.machines.fleet import Fleet
from testcluster.nodes import node
from testcluster.ports import free_ports
from testcluster.processes import Process, check, pause, record, recorded, resume, start, stop
from testcluster.startup import Startup

_PARTS: Final[dict[str, Callable[[Layout], Command]]] = {
    "etcd": commands.etcd,
    "kube-apiserver": commands.api_server,
    "kube-controller-manager": commands.controller_manager,
    "kube-scheduler": commands.scheduler,
    "kwok": commands.kwok,
}
# What there is an API with, but nothing that acts on it.
BARE: Final = ("etcd", "kube-apiserver")
WHOLE: Final = tuple(_PARTS)


def process_file(folder: Path) -> Path:
    """Return the file that says which processes belong to the cluster in *folder*."""
    return folder / "processes.json"


class ControlPlane:
    """The parts of one cluster, and what each needs to be started."""

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        api_arguments: tuple[str, ...] = (),
        real_nodes: int = 0,
    ) -> None:
        """Make keys and configurations below *folder*, which must be empty."""
        self._folder = folder
        self._logs = folder / "logs"
        self._logs.mkdir()
        self._layout = Layout(
            folder,
            binaries,
            Ports(*free_ports(3)),
            Authority(folder / "pki"),
            Authority(folder / "pki-etcd"),
            write_token_key(folder / "pki"),
            api_arguments,
        )
        self.fleet = Fleet(folder, binaries, self.authority, real_nodes) if real_nodes else None
        for name, group in _USERS.items():
            self._write_kubeconfig(name, f"system:{name}", group)
        self._startup = Startup(self._layout.ports.api, self.authority, self.administrator)
        self._processes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        return self._layout.url

    @property
    def authority(self) -> Authority:
        """Who signs the certificates of servers, users and nodes."""
        return self._layout.authority

    @property
    def administrator(self) -> KeyPair:
        return self.authority.client("system:admin", _MASTERS)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's configuration."""
        return self._layout.kubeconfig("admin")

    @property
    def token_key(self) -> Path:
        """The public half of what service accounts' tokens are signed with."""
        return self._layout.token_key.certificate

    @property
    def processes(self) -> list[Process]:
        """What was started and not stopped."""
        nodes = self.fleet.processes if self.fleet else []
        return [*self._processes.values(), *nodes]

    def log(self, part: str) -> Path:
        return self._logs / f"{part}.log"

    def start(self, parts: tuple[str, ...], nodes: int) -> None:
        """Start *parts*, and return when the API answers and pods can be made."""
        with self._stopped_on_error():
            if self.fleet:
                self._start_network(self.fleet)
            for part in BARE:
                self._start(part)
            self.wait_ready()
            for part in parts[len(BARE) :]:
                self._start(part)
            if self.fleet:
                self._start_nodes(self.fleet)
            self._startup.create("/api/v1/nodes", map(node, range(1, nodes + 1)))
            if parts == WHOLE:
                self._wait("/api/v1/namespaces/default/serviceaccounts/default")
            if self.fleet:
                self.wait_nodes()

    def stop(self) -> None:
        """End all that was started; returns when nothing is left."""
        if self.fleet:
            self.fleet.stop_nodes()
        _stop_all(list(self._processes.values()))
        self._processes.clear()
        if self.fleet:
            self.fleet.stop_network()
        self._record()

    def stop_api_server(self) -> None:
        """End the API server. What acts on it tries to reach it, but kwok, which stands still."""
        stop([self._processes.pop("kube-apiserver")])
        self._record()
        for process in self._running("kwok"):
            pause(process)

    def start_api_server(self) -> None:
        """Start the API server that was stopped: the same port, the same data.

        What acts on it would ask again a minute later, perhaps: it is started anew. Another kwok
        would play no node before the leases of this one have ended: it goes on instead.
        """
        self._start("kube-apiserver")
        self.wait_ready()
        for process in self._running("kube-controller-manager", "kube-scheduler"):
            stop([process])
            self._start(process.name)
        for process in self._running("kwok"):
            resume(process)

    def wait_ready(self) -> None:
        """Return once the API server is ready."""
        self._wait("/readyz")

    def reboot(self, number: int) -> None:
        """Take real node *number*'s power and give it back; returns before it is ready."""
        assert self.fleet is not None
        self.fleet.reboot(number)
        self._record()

    def wait_nodes(self) -> None:
        """Return once all real nodes are ready."""
        assert self.fleet is not None
        self._startup.wait_nodes(self.fleet.names, self._check)

    def _start_network(self, fleet: Fleet) -> None:
        """Make the network of real nodes, in which everything else is then started."""
        fleet.site.start()
        fleet.site.relay(self._layout.ports.api)
        arguments = (*fleet.api_arguments(), *self._layout.api_arguments)
        inside = tuple(fleet.site.inside())
        self._layout = replace(self._layout, api_arguments=arguments, inside=inside)
        self._record()

    def _start_nodes(self, fleet: Fleet) -> None:
        for machine in fleet.machines:
            fleet.start(machine, self._layout.ports.api)
            self._record()

    def _start(self, part: str) -> None:
        command = [*self._layout.inside, *_PARTS[part](self._layout)]
        self._processes[part] = start(part, command, self.log(part))
        self._record()

    def _running(self, *parts: str) -> list[Process]:
        return [self._processes[part] for part in parts if part in self._processes]

    def _wait(self, path: str) -> None:
        self._startup.wait(path, self._check)

    def _check(self) -> None:
        for process in self._processes.values():
            check(process, self.log(process.name))
        if self.fleet:
            self.fleet.check()

    def _record(self) -> None:
        record(process_file(self._folder), self.processes)

    @contextlib.contextmanager
    def _stopped_on_error(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop)
            yield
            stack.pop_all()

    def _write_kubeconfig(self, name: str, user: str, group: str) -> None:
        pair = self.authority.client(user, group)
        write_kubeconfig(self._layout.kubeconfig(name), self.url, self.authority, pair)


_MASTERS = "system:masters"
# The users that the default roles are bound to are named after the parts; kwok may do anything,
# since it is every node's kubelet at once.
_USERS = {
    "admin": _MASTERS,
    "kube-controller-manager": "system:controllers",
    "kube-scheduler": "system:schedulers",
    "kwok": _MASTERS,
}


def remove(folder: Path) -> list[Process]:
    """End the cluster in *folder*, whoever started it, and remove it; returns what was running."""
    running = [process for process in recorded(process_file(folder)) if process.is_running]
    _stop_all(running)
    remove_group(group_of(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return running


def _stop_all(processes: list[Process]) -> None:
    # etcd last: the API server's own end waits for it.
    stop(process for process in processes if process.name != "etcd")
    stop(process for process in processes if process.name == "etcd")
