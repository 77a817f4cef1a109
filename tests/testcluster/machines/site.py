"""What real nodes share: a network with the control plane, and where their discs are kept."""

import ctypes
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testcluster.machines.addresses import SITE, address_of, pods_of
from testcluster.machines.holder import Holder
from testcluster.processes import Process, start, stop
from testcluster.tools import run, script, tool

_BRIDGE = "kbr0"
_NETWORK = 0x4000_0000  # CLONE_NEWNET
_RELAY = Path(__file__).with_name("relay.py")


class Site:
    """A network without a link to this computer's own, and the nodes' discs."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._holder = Holder("site", logs / "site.log", ("net", "mount"))
        self._relays: list[Process] = []

    @property
    def processes(self) -> list[Process]:
        return [*self._relays, *self._holder.processes]

    def start(self) -> None:
        """Make the network, with nobody in it."""
        self._holder.start()
        self._holder.run(
            *script(
                ("ip", "link", "set", "lo", "up"),
                ("ip", "link", "add", _BRIDGE, "type", "bridge"),
                ("ip", "address", "add", f"{SITE}/24", "dev", _BRIDGE),
                ("ip", "link", "set", _BRIDGE, "up"),
                ("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
            )
        )
        self._holder.go()

    def insert_disc(self, folder: Path) -> None:
        """Give a node an empty disc at *folder*: of memory, so that it ends with the site."""
        self.run("mount", "-t", "tmpfs", "-o", "mode=755", "disc", folder)

    def among_discs(self) -> tuple[str | Path, ...]:
        """Return what a command begins with that sees the discs, and else is where it was."""
        return tuple(self._holder.inside_only("mount"))

    def inside(self) -> list[str | Path]:
        """Return what a command begins with that runs in the network; it stays one process."""
        return self._holder.inside()

    def run(self, *command: str | Path) -> str:
        return self._holder.run(*command)

    def add_address(self, address: str) -> None:
        """Have one more address where the nodes' gateway is."""
        self.run("ip", "address", "replace", f"{address}/32", "dev", _BRIDGE)

    def listener(self, address: str, port: int) -> socket.socket:
        """Return a listening socket in the network, for this process, which is not in it."""
        with ThreadPoolExecutor(1) as thread:
            # A thread may be in another network than its process, and a socket stays where it is.
            return thread.submit(_listen_in, self._holder.pid, address, port).result()

    def relay(self, port: int) -> None:
        """Lead connections to *port* of this computer's loopback to the same port in the site."""
        # A socket belongs to the network that it was made in, whoever has it.
        with socket.create_server(("127.0.0.1", port), backlog=1024) as outside:
            outside.set_inheritable(True)
            command = [sys.executable, "-I", _RELAY, str(outside.fileno()), str(port)]
            log = self._logs / f"relay-{port}.log"
            self._relays.append(start("relay", [*self.inside(), *command], log))

    def plug(self, number: int, pid: int) -> None:
        """Give node *number*, whose namespaces process *pid* holds, its link and address."""
        name, address = f"n{number}", address_of(number)
        peer = ("peer", "name", "eth0", "netns", str(pid))
        self.run(
            *script(
                ("ip", "link", "add", name, "type", "veth", *peer),
                ("ip", "link", "set", name, "master", _BRIDGE, "up"),
                ("ip", "route", "replace", pods_of(number), "via", address),
            )
        )
        run(
            *(tool("nsenter"), f"--target={pid}", "--net", "--"),
            *script(
                ("ip", "link", "set", "lo", "up"),
                ("ip", "address", "add", f"{address}/24", "dev", "eth0"),
                ("ip", "link", "set", "eth0", "up"),
                ("ip", "route", "add", "default", "via", SITE),
                ("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
            ),
        )

    def stop(self) -> None:
        stop(self.processes)
        self._relays.clear()


def _listen_in(pid: int, address: str, port: int) -> socket.socket:
    """Enter the network of process *pid*, for good, and listen there."""
    with Path(f"/proc/{pid}/ns/net").open() as network:
        # Python has it as os.setns from 3.12 on.
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NETWORK) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return socket.create_server((address, port))
