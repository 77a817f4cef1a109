"""A control plane as ordinary processes on loopback, below one folder."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from testcluster import commands
from testcluster.authority import Authority, KeyPair, write_token_key
from testcluster.binaries import Binaries
from testcluster.commands import Command, Layout, Ports
from testcluster.kubeconfig import write_kubeconfig
from testcluster.nodes import node
from testcluster.ports import free_ports
from testcluster.processes import Process, check, record, recorded, start, stop
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
        self, folder: Path, binaries: Binaries, api_arguments: tuple[str, ...] = ()
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
        return list(self._processes.values())

    def log(self, part: str) -> Path:
        return self._logs / f"{part}.log"

    def start(self, parts: tuple[str, ...], nodes: int) -> None:
        """Start *parts*, and return when the API answers and pods can be made."""
        with self._stopped_on_error():
            for part in BARE:
                self._start(part)
            self.wait_ready()
            for part in parts[len(BARE) :]:
                self._start(part)
            self._startup.create("/api/v1/nodes", map(node, range(1, nodes + 1)))
            if parts == WHOLE:
                self._wait("/api/v1/namespaces/default/serviceaccounts/default")

    def stop(self) -> None:
        """End all that was started; returns when nothing is left."""
        _stop_all(self.processes)
        self._processes.clear()
        self._record()

    def stop_api_server(self) -> None:
        """End the API server alone. Everything else stays and tries to reach it."""
        stop([self._processes.pop("kube-apiserver")])
        self._record()

    def start_api_server(self) -> None:
        """Start the API server that was stopped: the same port, the same data."""
        self._start("kube-apiserver")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return once the API server is ready."""
        self._wait("/readyz")

    def _start(self, part: str) -> None:
        command = _PARTS[part](self._layout)
        self._processes[part] = start(part, command, self.log(part))
        self._record()

    def _wait(self, path: str) -> None:
        self._startup.wait(path, self._check)

    def _check(self) -> None:
        for process in self.processes:
            check(process, self.log(process.name))

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
    shutil.rmtree(folder, ignore_errors=True)
    return running


def _stop_all(processes: list[Process]) -> None:
    # etcd last: the API server's own end waits for it.
    stop(process for process in processes if process.name != "etcd")
    stop(process for process in processes if process.name == "etcd")
