"""What a warden counts: by which of its guards packets are dropped, and for which endpoints."""

from enum import StrEnum


class Guard(StrEnum):
    """One of the guards."""

    FORGED = "forged"  # A source that is not routed back to where the packet came from.
    OTHER_PORTS = "other_ports"  # For a metadata address, and nothing that leads to the agent.
    RATE = "rate"  # Too many new connections of one address in a second.
    CONNECTIONS = "connections"  # Too many connections of one address at once.
    FORWARDED = "forwarded"  # On the way out to a metadata address.
    LED_THERE = "led_there"  # Sent to some other address, and led to a metadata address.
    DIRECT = "direct"  # To the endpoint's own address, past the redirect.
    FOREIGN_REDIRECT = "foreign_redirect"  # Led to this node by a redirect that is not ours.


class Endpoint(StrEnum):
    """Where pods ask."""

    METADATA = "metadata"
    CONTAINER = "container"
