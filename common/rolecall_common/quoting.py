"""How a strange text is put into a sentence that operators read."""

_SHOWN = 120  # Characters that a message repeats: enough to recognise what somebody wrote.


def quoted(raw: object) -> str:
    """Return *raw* as one short line of ASCII, its odd characters escaped."""
    text = ascii(raw)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
