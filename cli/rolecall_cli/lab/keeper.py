"""Inside the lab: makes the node's network and its pods, as a routed CNI does.

Run by `node.py` in a user, network and mount namespace of its own. It takes one request a line on
standard input, answers each with a line, and ends with its input: the namespaces end with it and
the processes in them. Each line is a JSON object (see `_OPERATIONS`).
"""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pyroute2 import IPRoute, NetNS, netns  # type: ignore[import-untyped]  # it has no types
from pyroute2.netlink.exceptions import (  # type: ignore[import-untyped]  # it has no types
    NetlinkError,
)

METADATA_ADDRESS = "169.254.169.254"
# Every pod's default gateway, as Calico has it: link-local, the same in all pods.
GATEWAY = "169.254.1.1"
_LOOPBACK = 1  # The index of `lo` in every network namespace.


class Keeper:
    """The network of one node."""

    def __init__(self, node_address: str) -> None:
        """Raise NetlinkError or OSError where this machine does not allow it."""
        self._route = IPRoute()
        self._links: dict[str, int] = {}
        self._made = 0
        self._route.link("set", index=_LOOPBACK, state="up")
        for address in (METADATA_ADDRESS, GATEWAY, node_address):
            self._route.addr("add", index=_LOOPBACK, address=address, prefixlen=32)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        # Shows at once whether pods can be made here at all.
        self.add_pod("probe", node_address)
        self.remove_pod("probe")

    def add_pod(self, name: str, address: str) -> None:
        """Make the network namespace *name*: a link of its own, and a route to *address* by it."""
        self._made += 1
        link = f"pod{self._made}"
        netns.create(name)
        self._route.link(
            "add", ifname=link, kind="veth", peer={"ifname": "eth0", "net_ns_fd": name}
        )
        index = self._route.link_lookup(ifname=link)[0]
        self._links[name] = index
        self._route.link("set", index=index, state="up")
        with NetNS(name) as pod:
            inside = pod.link_lookup(ifname="eth0")[0]
            pod.link("set", index=_LOOPBACK, state="up")
            pod.link("set", index=inside, state="up")
            pod.addr("add", index=inside, address=address, prefixlen=32)
            pod.route("add", dst=f"{GATEWAY}/32", oif=inside, scope="link")
            pod.route("add", dst="0.0.0.0/0", gateway=GATEWAY, oif=inside)
        # Replaced, because an address may come back before its old link is gone.
        self._route.route("replace", dst=f"{address}/32", oif=index, scope="link")

    def remove_pod(self, name: str) -> None:
        """Cut the link of a pod, and with it its route. Its processes are not ours to end."""
        self._route.link("del", index=self._links.pop(name))
        netns.remove(name)

    def fetch(self, url: str) -> dict[str, object]:
        """Return what a GET of *url* gets on the node; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 -- ours
                return {"status": response.status, "text": response.read().decode()}
        except urllib.error.HTTPError as error:
            with error:
                return {"status": error.code, "text": error.read().decode()}
        except OSError:
            return {"status": 0, "text": ""}


_OPERATIONS: dict[str, Callable[..., object]] = {
    "add_pod": Keeper.add_pod,
    "remove_pod": Keeper.remove_pod,
    "fetch": Keeper.fetch,
}


def main() -> int:
    try:
        keeper = Keeper(sys.argv[1])
    except (NetlinkError, OSError) as error:
        _say({"error": f"this machine does not let a network be made: {error}"})
        return 1
    _say({"result": None})
    for line in sys.stdin:
        request = json.loads(line)
        operation = _OPERATIONS[request.pop("operation")]
        try:
            _say({"result": operation(keeper, **request)})
        except (NetlinkError, OSError, LookupError) as error:
            _say({"error": repr(error)})
    return 0


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
