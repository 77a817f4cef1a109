"""All real nodes of one cluster, with the network that they are in."""

from pathlib import Path

from testcluster.authority import Authority
from testcluster.binaries import Binaries
from testcluster.images.pause import write_pause_image
from testcluster.machines.addresses import SITE, address_of, pods_of
from testcluster.machines.cgroups import group_of, remove_group
from testcluster.machines.machine import Machine
from testcluster.machines.settings import KINDS, Place
from testcluster.machines.site import Site
from testcluster.processes import Process


class Fleet:
    """Real nodes, from 1 to *count*: the odd ones connect pods by `ptp`, the even by `bridge`."""

    def __init__(self, folder: Path, binaries: Binaries, authority: Authority, count: int) -> None:
        self._group = group_of(folder)
        self._pause = folder / "pause.tar"
        write_pause_image(self._pause)
        self._authority = authority
        self.site = Site(folder / "logs")
        self.machines = [
            Machine(self._place(folder, number), self.site, binaries, folder / "logs")
            for number in range(1, count + 1)
        ]

    @property
    def processes(self) -> list[Process]:
        """All that has to end with the cluster, the network last."""
        machines = [process for machine in self.machines for process in machine.processes]
        return [*machines, *self.site.processes]

    def api_arguments(self) -> tuple[str, ...]:
        """Return what the API server is told so that nodes reach it, and it them."""
        kubelets = self._authority.client("kube-apiserver-kubelet", "system:masters")
        return (
            "--bind-address=0.0.0.0",
            f"--advertise-address={SITE}",
            # The service `kubernetes` leads to it.
            "--endpoint-reconciler-type=lease",
            f"--kubelet-client-certificate={kubelets.certificate}",
            f"--kubelet-client-key={kubelets.key}",
            # No name of a node can be looked up.
            "--kubelet-preferred-address-types=InternalIP",
        )

    @property
    def names(self) -> list[str]:
        return [machine.name for machine in self.machines]

    def start(self, machine: Machine, port: int) -> None:
        """Start a node for an API server on *port* of the site; returns before it is ready."""
        machine.prepare(self._authority, f"https://{SITE}:{port}")
        machine.start()
        self._lead_to_pods(machine)
        machine.import_images(self._pause)

    def reboot(self, number: int) -> None:
        """Take a node's power, and give it back; returns before it is ready."""
        machine = self.machines[number - 1]
        machine.stop()
        machine.start()
        self._lead_to_pods(machine)

    def check(self) -> None:
        """Raise StartError if a program of a node has ended by itself."""
        for machine in self.machines:
            if machine.processes:
                machine.check()

    def stop_nodes(self) -> None:
        for machine in self.machines:
            machine.stop()
        remove_group(self._group)

    def stop_network(self) -> None:
        self.site.stop()

    def _lead_to_pods(self, new: Machine) -> None:
        """Tell each node where the pods of the others are."""
        for other in self.machines:
            if other is not new and other.processes:
                _route(new, other)
                _route(other, new)

    def _place(self, folder: Path, number: int) -> Place:
        kind = KINDS[(number - 1) % len(KINDS)]
        group = f"{self._group}/node-{number}"
        return Place(number, folder / f"node-{number}", group, self._authority.bundle, kind)


def _route(here: Machine, there: Machine) -> None:
    number = there.place.number
    here.run("ip", "route", "replace", pods_of(number), "via", address_of(number))
