"""A strict STS that really answers: it checks what AWS checks, and fails as scripted.

It verifies SigV4 in full, keeps every limit of `AssumeRole` that the service model and the user
guide state, evaluates a small trust policy, and issues credentials that `GetCallerIdentity` and a
next `AssumeRole` accept until they end. Time and every random-looking byte are deterministic.
Run it on its own with `python -m fakes.sts --help`.
"""

from fakes.sts.faults import BODY_CUT, DROPPED, HEAD_CUT, SILENT, Answer, Fault, Refusal
from fakes.sts.principals import Key, Principal, Role
from fakes.sts.server import Call, FakeSts

__all__ = [
    "BODY_CUT",
    "DROPPED",
    "HEAD_CUT",
    "SILENT",
    "Answer",
    "Call",
    "FakeSts",
    "Fault",
    "Key",
    "Principal",
    "Refusal",
    "Role",
]
