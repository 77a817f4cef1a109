"""A cluster that stays after the command that started it, for people to look around in."""

from pathlib import Path

from testcluster.binaries import Binaries
from testcluster.controlplane import WHOLE, ControlPlane, process_file, remove
from testcluster.output import say
from testcluster.processes import Process, recorded


def up(folder: Path, version: str, nodes: int, real_nodes: int = 0) -> None:
    """Start a cluster in *folder* and say how to use it; does nothing where one runs."""
    if _running(folder):
        say("A cluster runs already; `scripts/cluster down` ends it.")
    else:
        remove(folder)
        folder.mkdir(parents=True, mode=0o700)
        binaries = Binaries(version)
        _link(folder / "bin", binaries.kubectl, binaries.helm)
        say(f"==> Starting Kubernetes {version}")
        ControlPlane(folder, binaries, real_nodes=real_nodes).start(WHOLE, nodes)
        say(f"Kubernetes {version} is up; {_nodes(nodes, real_nodes)}. Go on with:")
    say(f"    export KUBECONFIG={_kubeconfig(folder)} PATH={folder / 'bin'}:$PATH")
    say("    kubectl get nodes")
    say("    scripts/cluster down")


def down(folder: Path) -> None:
    """End the cluster in *folder* and remove it with all its data."""
    ended = remove(folder)
    say(f"Ended {_names(ended)}." if ended else "No cluster was running.")


def status(folder: Path) -> int:
    """Say what runs; returns 1 where not all of a cluster does."""
    known, running = recorded(process_file(folder)), _running(folder)
    if not running:
        say("No cluster is running. `scripts/cluster up` starts one.")
        return 1
    for process in known:
        state = f"process {process.pid}" if process in running else "ended by itself"
        say(f"{process.name}: {state}; {folder / 'logs' / process.name}.log")
    say(f"KUBECONFIG={_kubeconfig(folder)}")
    return 0 if running == known else 1


def _nodes(played: int, real: int) -> str:
    if not real:
        return "its nodes and pods are played by kwok"
    return f"nodes that run containers: {real}; that are played by kwok: {played}"


def _running(folder: Path) -> list[Process]:
    return [each for each in recorded(process_file(folder)) if each.is_running]


def _kubeconfig(folder: Path) -> Path:
    return folder / "admin.kubeconfig"


def _names(processes: list[Process]) -> str:
    return ", ".join(process.name for process in processes)


def _link(folder: Path, *programs: Path) -> None:
    folder.mkdir()
    for program in programs:
        (folder / program.name).symlink_to(program)
