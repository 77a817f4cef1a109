"""The network of one node, made inside the lab: its uplink, what is outside, and its pods.

Outside is a namespace of its own, with the real metadata addresses: nothing listens there unless a
test says so. The node routes there, and outside knows the way to the pods, as in a VPC. Each pod
has an IPv4 address and, where the machine speaks IPv6, one of that.
"""

import contextlib
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from pyroute2 import IPRoute, NetNS, netns  # type: ignore[import-untyped]  # it has no types

from rolecall_cli.lab.addresses import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_IPV6,
    NODE_ADDRESS,
    NODE_ADDRESS_IPV6,
    OUTSIDE,
    OUTSIDE_ADDRESS,
    OUTSIDE_ADDRESS_IPV6,
    POD_NETWORK,
    POD_NETWORK_IPV6,
    UPLINK_ADDRESS,
    UPLINK_ADDRESS_IPV6,
    Kind,
    ipv6_of,
)

Address = IPv4Address | IPv6Address

# Every pod's default gateways on a routed node, as Calico has them: the same in all pods.
GATEWAY = IPv4Address("169.254.1.1")
GATEWAY_IPV6 = IPv6Address("fe80::1")
_BRIDGE, _BRIDGE_HARDWARE = "cni0", "02:77:00:00:00:01"
_LOOPBACK = 1  # The index of `lo` in every network namespace.
_NODAD = 0x02  # IFA_F_NODAD: an address of use at once; nobody else is there to have it.


class Network:
    """The node's own namespace. *kind* says how pods hang on it."""

    def __init__(self, kind: Kind) -> None:
        """Raise NetlinkError or OSError where this machine does not allow it."""
        self.ipv6 = Path("/proc/net/if_inet6").exists()
        self._kind = kind
        self._route = IPRoute()
        self._links: dict[str, int] = {}
        self._made = 0
        self._route.link("set", index=_LOOPBACK, state="up")
        _sysctl("ipv4/ip_forward", "1")
        if self.ipv6:
            _sysctl("ipv6/conf/all/forwarding", "1")
            _sysctl("ipv6/conf/default/accept_dad", "0")
        self._add_outside()
        if kind is Kind.BRIDGED:
            self._add_bridge()
        else:
            for address in (NODE_ADDRESS, GATEWAY, NODE_ADDRESS_IPV6):
                self._address(self._route, _LOOPBACK, address)

    def add_pod(self, name: str, address: IPv4Address) -> None:
        """Make the network namespace *name*, with *address* and the one that goes with it."""
        index, pod, inside = self._joined(name)
        self._links[name] = index
        with contextlib.closing(pod):
            pod.link("set", index=_LOOPBACK, state="up")
            addresses = (address, ipv6_of(address)) if self.ipv6 else (address,)
            for each in addresses:
                if self._kind is Kind.BRIDGED:
                    self._plug(pod, index, inside, each)
                else:
                    self._lead(pod, index, inside, each)

    def remove_pod(self, name: str) -> None:
        """Cut the link of a pod, and with it its route. Its processes are not ours to end."""
        self._route.link("del", index=self._links.pop(name))
        netns.remove(name)

    def _joined(self, name: str) -> tuple[int, NetNS, int]:
        """Make a namespace and a pair of links; return the near one, the namespace, the far one."""
        self._made += 1
        link = f"pod{self._made}" if name != OUTSIDE else "eth0"
        netns.create(name)
        if self.ipv6:
            netns.pushns(name)
            # Nobody else can have its addresses; asking around would take a second.
            _sysctl("ipv6/conf/default/accept_dad", "0")
            netns.popns()
        self._route.link(
            "add", ifname=link, kind="veth", peer={"ifname": "eth0", "net_ns_fd": name}
        )
        index = self._route.link_lookup(ifname=link)[0]
        self._route.link("set", index=index, state="up")
        far = NetNS(name)
        inside = far.link_lookup(ifname="eth0")[0]
        far.link("set", index=inside, state="up")
        return index, far, inside

    def _add_outside(self) -> None:
        index, outside, inside = self._joined(OUTSIDE)
        with contextlib.closing(outside):
            outside.link("set", index=_LOOPBACK, state="up")
            for address in (METADATA_ADDRESS, METADATA_ADDRESS_IPV6):
                self._address(outside, _LOOPBACK, address)
            pairs: tuple[tuple[Address, Address, str, str], ...] = (
                (UPLINK_ADDRESS, OUTSIDE_ADDRESS, str(POD_NETWORK), "0.0.0.0/0"),
                (UPLINK_ADDRESS_IPV6, OUTSIDE_ADDRESS_IPV6, str(POD_NETWORK_IPV6), "::/0"),
            )
            for near, far, pods, everything in pairs if self.ipv6 else pairs[:1]:
                self._address(self._route, index, near, whole=False)
                self._address(outside, inside, far, whole=False)
                outside.route("add", dst=pods, gateway=str(near), oif=inside)
                self._route.route("add", dst=everything, gateway=str(far), oif=index)

    def _add_bridge(self) -> None:
        # Its own hardware address, as the CNI plugin gives it one: else it has that of a port, and
        # another one when that port goes.
        self._route.link("add", ifname=_BRIDGE, kind="bridge", address=_BRIDGE_HARDWARE)
        index = self._route.link_lookup(ifname=_BRIDGE)[0]
        self._route.link("set", index=index, state="up")
        for address in (NODE_ADDRESS, NODE_ADDRESS_IPV6):
            self._address(self._route, index, address, whole=False)

    def _lead(self, pod: NetNS, index: int, inside: int, address: Address) -> None:
        """Give a pod its address as a routed CNI does: a route by its own link, and no more."""
        self._address(pod, inside, address)
        if address.version == 4:  # noqa: PLR2004 - IPv4
            pod.route("add", dst=f"{GATEWAY}/32", oif=inside, scope="link")
            pod.route("add", dst="0.0.0.0/0", gateway=str(GATEWAY), oif=inside)
        else:
            self._route.addr(
                "add", index=index, address=str(GATEWAY_IPV6), prefixlen=64, flags=_NODAD
            )
            pod.route("add", dst="::/0", gateway=str(GATEWAY_IPV6), oif=inside)
        # Replaced, because an address may come back before its old link is gone.
        to = f"{address}/{address.max_prefixlen}"
        self._route.route("replace", dst=to, oif=index, scope="link")

    def _plug(self, pod: NetNS, index: int, inside: int, address: Address) -> None:
        """Give a pod its address as a bridge CNI does: a port of the bridge, and one network."""
        self._route.link("set", index=index, master=self._route.link_lookup(ifname=_BRIDGE)[0])
        self._address(pod, inside, address, whole=False)
        ipv4 = address.version == 4  # noqa: PLR2004 - IPv4
        everything, gateway = ("0.0.0.0/0", NODE_ADDRESS) if ipv4 else ("::/0", NODE_ADDRESS_IPV6)
        pod.route("add", dst=everything, gateway=str(gateway), oif=inside)

    def _address(self, where: IPRoute, index: int, address: Address, *, whole: bool = True) -> None:
        """Add *address*, as a network of its own if it is *whole*, else as one of its network."""
        if address.version == 4:  # noqa: PLR2004 - IPv4
            length = 32 if whole else POD_NETWORK.prefixlen
            where.addr("add", index=index, address=str(address), prefixlen=length)
        elif self.ipv6:
            length = 128 if whole else POD_NETWORK_IPV6.prefixlen
            where.addr("add", index=index, address=str(address), prefixlen=length, flags=_NODAD)


def _sysctl(name: str, value: str) -> None:
    Path("/proc/sys/net", name).write_text(value)
