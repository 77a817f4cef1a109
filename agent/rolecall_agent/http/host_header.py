"""How a request may call us: by an address, and never by a name that a page could rebind."""

_HTTP_PORT = 80


def names_of(host: str, port: int) -> frozenset[bytes]:
    """Return how a Host header spells the address *host* and *port*."""
    plain = host.partition("%")[0].lower().removeprefix("::ffff:")
    literal = f"[{plain}]" if ":" in plain else plain
    names = {f"{literal}:{port}".encode()}
    if port == _HTTP_PORT:
        names.add(literal.encode())
    return frozenset(names)
