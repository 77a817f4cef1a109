"""Asks how a process of this pod is, by its heartbeat file: what a kubelet runs as a probe.

    python -I -m rolecall_common.probe ready FILE

`ready` wants all to be well, `alive` that it works on: a lock that is held, and a stamp of now.
Each ends with 0, or with 1 and the reason. It runs every few seconds on every node, and imports
next to nothing for that: no shell, no event loop, no settings.
"""

import fcntl
import json
import os
import struct
import sys
import time

LARGEST = 4096
WELL = ("in_place", "ready")  # What a process says of itself that can do its work.

# `struct flock` of fcntl(2) where `off_t` has 64 bits: type, whence, start, length, process id.
LOCK = struct.Struct("@hhqqi4x")
WHOLE_FILE = (os.SEEK_SET, 0, 0, 0)
_USAGE = "usage: python -I -m rolecall_common.probe ready|alive FILE"
_QUESTIONS = ("ready", "alive")


def main(words: list[str]) -> int:
    if len(words) != 2 or words[0] not in _QUESTIONS:  # noqa: PLR2004 - the two of the usage
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    question, path = words
    reason = problem(path, time.monotonic(), wants_ready=question == "ready")
    sys.stdout.write(f"{reason}\n" if reason else "")
    return 1 if reason else 0


def problem(path: str, now: float, *, wants_ready: bool) -> str:
    """Return what is wrong with the holder of *path*; never raises."""
    try:
        held = is_held(path)
        with open(stamp_of(path), "rb") as stream:  # noqa: PTH123 - pathlib is a third of the time
            fields = json.loads(stream.read(LARGEST))
        fresh = is_fresh(float(fields["at"]), float(fields["period"]), now)
        condition, text = str(fields["condition"]), str(fields["text"])
    except FileNotFoundError:
        return "it has not shown itself yet"
    except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return "its stamp cannot be read"
    if not held:
        return "it is gone"
    if not fresh:
        return "it has not been heard for too long"
    return (text or condition) if wants_ready and condition not in WELL else ""


def is_held(path: str) -> bool:
    """Return whether somebody holds the lock at *path*. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        question = LOCK.pack(fcntl.F_WRLCK, *WHOLE_FILE)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
    finally:
        os.close(descriptor)
    return bool(LOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def is_fresh(at: float, period: float, now: float) -> bool:
    """Return whether a stamp is of now. One from the future is of another boot, or machine."""
    return 0 <= now - at <= 2 * period


def stamp_of(path: str) -> str:
    """Return where the stamp is of whoever holds the lock at *path*, as `stamp_path` does."""
    return f"{os.path.splitext(path)[0]}.json"  # noqa: PTH122 - see above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
