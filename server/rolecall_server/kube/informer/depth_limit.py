"""Cuts off what is nested deeper than anything that is read.

An API server takes JSON of 10,000 levels, and its clients' decoders walk through what they skip,
too: with the interpreter's stack, of which there is less. Whoever may write an object may nest
such a field in it (`metadata.managedFields`).
"""

import re

# What is read is less than ten levels down, in a list within an event.
DEEPEST = 64
# Up to the next bracket that is not in a string, or to the end: it never has to look twice.
_STEP = re.compile(rb'(?:[^][{}"]++|"(?:[^"\\]++|\\.)*+"?)*+([][{}]?)', re.DOTALL)
_OPENING = (b"[", b"{")


def limit_depth(text: bytes) -> bytes:
    """Return the JSON *text* with `null` for all that is more than DEEPEST levels down."""
    kept: list[bytes] = []
    depth = start = 0
    for step in _STEP.finditer(text):
        if step[1] in _OPENING:
            depth += 1
            if depth == DEEPEST + 1:
                kept += [text[start : step.start(1)], b"null"]
                start = len(text)  # Nothing more, unless it ends.
        elif step[1]:
            if depth == DEEPEST + 1:
                start = step.end()
            depth -= 1
    return b"".join([*kept, text[start:]])
