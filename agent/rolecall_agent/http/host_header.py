"""How a request may call us: by an address, and never by a name that a page could rebind."""

# The metadata service's own addresses (contract §5).
METADATA_HOSTS = frozenset(
    {b"169.254.169.254", b"169.254.169.254:80", b"[fd00:ec2::254]", b"[fd00:ec2::254]:80"}
)
_HTTP_PORT = 80


def names_of(host: str, port: int) -> frozenset[bytes]:
    """Return how a Host header spells the address *host* and *port*."""
    plain = host.partition("%")[0].lower().removeprefix("::ffff:")
    literal = f"[{plain}]" if ":" in plain else plain
    names = {f"{literal}:{port}".encode()}
    if port == _HTTP_PORT:
        names.add(literal.encode())
    return frozenset(names)
