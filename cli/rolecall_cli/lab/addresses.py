"""The addresses of the lab: inside it and outside they are the same words."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

METADATA_ADDRESS = IPv4Address("169.254.169.254")
METADATA_ADDRESS_IPV6 = IPv6Address("fd00:ec2::254")
# The node's own addresses; pods reach what listens on the node there.
NODE_ADDRESS = IPv4Address("10.77.0.1")
NODE_ADDRESS_IPV6 = IPv6Address("fd77::1")
POD_NETWORK = IPv4Network("10.77.0.0/16")
POD_NETWORK_IPV6 = IPv6Network("fd77::/64")
# What is not the node: the rest of the network, and the real metadata service.
OUTSIDE = "outside"
OUTSIDE_ADDRESS = IPv4Address("10.78.0.2")
OUTSIDE_ADDRESS_IPV6 = IPv6Address("fd78::2")
UPLINK_ADDRESS = IPv4Address("10.78.0.1")
UPLINK_ADDRESS_IPV6 = IPv6Address("fd78::1")


class Kind(StrEnum):
    """How pods hang on their node."""

    ROUTED = "routed"  # A route for each pod, by a link of its own: AWS VPC CNI, Calico, ptp.
    BRIDGED = "bridged"  # A port of one bridge for each pod: bridge, flannel, kubenet.


def ipv6_of(address: IPv4Address) -> IPv6Address:
    """Return the IPv6 address of the pod that has *address*: the same last two bytes."""
    last = int(address) & 0xFFFF
    return IPv6Address(int(POD_NETWORK_IPV6.network_address) + (last >> 8 << 16) + (last & 0xFF))
