"""Where an agent's endpoint is: written once it is warm, and read by the warden of the same pod.

Two agents share a node while one takes the place of the other, so that each has a port of its own.
The file lies in a directory that lives as long as the pod: an agent that is started again in it
takes the same port where it can.
"""

import json
import os
from pathlib import Path

_LARGEST = 256


def write(path: Path, port: int) -> None:
    """Say that the endpoint is at *port*; nobody reads half of it. Raises OSError."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"port": port}))
    draft.chmod(0o644)  # The warden is another user.
    draft.replace(path)


def read(path: Path) -> int | None:
    """Return the port; None where there is none that can be read."""
    try:
        # A reader with more rights than the writer is not to be kept waiting by a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            fields = json.loads(stream.read(_LARGEST))
        port = fields["port"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return port if type(port) is int and 0 < port <= 65_535 else None  # noqa: PLR2004 - TCP's last
