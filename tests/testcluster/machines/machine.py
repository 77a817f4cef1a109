"""One real node: a network, a hostname, processes and mounts of its own on this computer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from testcluster.authority import Authority
from testcluster.binaries import Binaries
from testcluster.kubeconfig import write_kubeconfig
from testcluster.machines import cgroups, settings
from testcluster.machines.holder import Holder
from testcluster.machines.settings import Place
from testcluster.machines.site import Site
from testcluster.processes import Process
from testcluster.tools import script, search_path

_KINDS = ("net", "mount", "uts", "ipc", "pid")
# What the kubelet asks of the kernel. It would set them for the whole computer; here it reads that
# they are as it wants them.
_KERNEL: Final[Mapping[str, str]] = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


class Machine:
    """A node, from its first start until its last stop."""

    def __init__(self, place: Place, site: Site, binaries: Binaries, logs: Path) -> None:
        self.place = place
        self._site = site
        self._binaries = binaries
        self._logs = logs
        self._holder = Holder(place.name, logs / f"{place.name}.log", _KINDS)

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def processes(self) -> list[Process]:
        return list(self._holder.processes)

    def prepare(self, authority: Authority, url: str) -> None:
        """Write the node's files and credentials, with which it reaches the API server at *url*."""
        self.place.folder.mkdir()
        settings.write_all(self.place)
        for name in ("lib", "log", "kernel"):
            self.place.file(name).mkdir()
        self._site.insert_disc(self.place.file("lib"))
        for value, content in _KERNEL.items():
            self._kernel_file(value).write_text(f"{content}\n")
        kubelet = authority.client(f"system:node:{self.name}", "system:nodes")
        write_kubeconfig(self.place.file("kubelet.kubeconfig"), url, authority, kubelet)
        proxy = authority.client("system:kube-proxy", "system:node-proxiers")
        write_kubeconfig(self.place.file("kube-proxy.kubeconfig"), url, authority, proxy)

    def start(self) -> None:
        """Start the node's programs; returns before it is ready."""
        cgroups.make_group(self.place.group)
        # A disc stays while the site does.
        self._holder.within = self._site.among_discs()
        self._holder.start()
        self._holder.run(*script(*self._mounts(), ("hostname", self.name)))
        self._site.plug(self.place.number, self._holder.pid)
        self._holder.go(self._services())

    def stop(self) -> None:
        """End all that runs on the node at once, as a loss of power does; its disc stays."""
        self._holder.stop()
        cgroups.remove_group(self.place.group)

    def inside(self) -> list[str | Path]:
        """Return what a command begins with that runs on the node."""
        return self._holder.inside()

    def run(self, *command: str | Path) -> str:
        """Run a command on the node and return what it printed; raises StartError."""
        return self._holder.run(*command)

    def check(self) -> None:
        """Raise StartError if one of the node's programs has ended by itself."""
        self._holder.check()

    def import_images(self, archive: Path) -> None:
        """Give the node the images of an *archive*, as if it had pulled them."""
        # Nothing tells when containerd listens; its client asks again until it does.
        wait = "--connect-timeout=60s"
        self.run("ctr", wait, "--namespace=k8s.io", "images", "import", archive)

    def _mounts(self) -> list[tuple[str, ...]]:
        """Return what gives the node a disc of its own, and hides its mounts from the computer."""
        own = [("lib", "/var/lib"), ("log", "/var/log")]
        kernel = [(self._kernel_file(value), Path("/proc/sys") / value) for value in _KERNEL]
        return [
            # Containers see each other's mounts, and nobody else does.
            ("mount", "--make-rshared", "/"),
            ("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"),
            *(("mount", "--bind", str(self.place.file(name)), where) for name, where in own),
            *(("mount", "--bind", str(file), str(where)) for file, where in kernel),
        ]

    def _kernel_file(self, value: str) -> Path:
        return self.place.file("kernel") / value.replace("/", ".")

    def _services(self) -> list[dict[str, object]]:
        programs = self._binaries.node
        commands: dict[str, list[str]] = {
            "containerd": ["containerd", f"--config={self.place.file('containerd.toml')}"],
            "kubelet": [str(programs / "kubelet"), *settings.kubelet_flags(self.place)],
            "kube-proxy": [
                str(programs / "kube-proxy"),
                f"--config={self.place.file('kube-proxy.yaml')}",
            ],
        }
        return [
            {
                "name": name,
                # Debian keeps half of what these call where not everybody looks.
                "command": ["env", f"PATH={search_path()}", *command],
                "log": str(self._logs / f"{self.name}-{name}.log"),
            }
            for name, command in commands.items()
        ]
