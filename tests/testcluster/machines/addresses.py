"""Who has which address in the network of real nodes. It is a network of its own each time."""

from typing import Final

# Where the control plane, and whatever a test puts beside it, is reached from nodes and pods.
SITE: Final = "10.77.0.1"
SITE_NETWORK: Final = "10.77.0.0/24"
# The most nodes that one computer is meant for.
MOST: Final = 9


def address_of(number: int) -> str:
    """Return the address of node *number*."""
    return f"10.77.0.{10 + number}"


def pods_of(number: int) -> str:
    """Return the network of the pods of node *number*."""
    return f"10.78.{number}.0/24"


def gateway_of(number: int) -> str:
    """Return the address that pods of node *number* see as their gateway."""
    return f"10.78.{number}.1"


def name_of(number: int) -> str:
    return f"real-{number}"
