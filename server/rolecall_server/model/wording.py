"""How a strange text is put into a sentence that operators read."""

_SHOWN = 80  # As much as helps whoever wrote it.


def quoted(text: str) -> str:
    """Return *text* in quotes: short, in ASCII, on one line, its odd characters escaped."""
    return ascii(text) if len(text) <= _SHOWN else ascii(text[:_SHOWN]) + "…"
