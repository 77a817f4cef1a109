"""How a request may call us: by an address, and never by a name that a page could rebind."""


def names_of(host: str, port: int) -> frozenset[bytes]:
    """Return how a Host header may spell the address *host*, at which we listen on *port*.

    A port that is named must be ours; the C runtime names none, whatever it is, and puts no
    brackets around IPv6. Behind an address without brackets there is no port: it would be a part
    of another address.
    """
    plain = host.partition("%")[0].lower().removeprefix("::ffff:")
    literal = f"[{plain}]" if ":" in plain else plain
    return frozenset(name.encode() for name in (plain, literal, f"{literal}:{port}"))
