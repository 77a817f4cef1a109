"""Inside the lab: makes the node's network and its pods when it is asked to.

Run by `node.py` in a user, network and mount namespace of its own. It takes one request a line on
standard input, answers each with a line, and ends with its input: the namespaces end with it and
the processes in them. Each line is a JSON object (see `_OPERATIONS`).
"""

import json
import sys
from collections.abc import Callable
from ipaddress import IPv4Address

from pyroute2.netlink.exceptions import (  # type: ignore[import-untyped]  # it has no types
    NetlinkError,
)

from rolecall_cli.fetch import fetch
from rolecall_cli.lab.addresses import NODE_ADDRESS, Kind
from rolecall_cli.lab.network import Network


class Keeper:
    """The network of one node, as it is asked for by name."""

    def __init__(self, kind: Kind) -> None:
        """Raise NetlinkError or OSError where this machine does not allow it."""
        self._network = Network(kind)
        # Shows at once whether pods can be made here at all.
        self.add_pod("probe", str(NODE_ADDRESS + 0xFFFD))
        self.remove_pod("probe")

    def add_pod(self, name: str, address: str) -> None:
        self._network.add_pod(name, IPv4Address(address))

    def remove_pod(self, name: str) -> None:
        self._network.remove_pod(name)

    def fetch(self, url: str) -> dict[str, object]:
        """Return what a GET of *url* gets on the node; status 0 where nobody answers."""
        status, text = fetch(url)
        return {"status": status, "text": text}


_OPERATIONS: dict[str, Callable[..., object]] = {
    "add_pod": Keeper.add_pod,
    "remove_pod": Keeper.remove_pod,
    "fetch": Keeper.fetch,
}


def main() -> int:
    try:
        keeper = Keeper(Kind(sys.argv[1]))
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
