"""An identity: everything that STS sees of one AssumeRole call, and the key of a session."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from rolecall_proto.values import SessionId


@dataclass(frozen=True)
class Identity:
    """The tuple of all that STS sees. Pods that agree on all of it share one session.

    The fields are parsed and within STS's limits (see `policy/session_names.py` and
    `policy/policy.py`).
    """

    role_arn: str
    session_name: str
    duration: timedelta
    external_id: str | None = None
    source_identity: str | None = None
    tags: tuple[tuple[str, str], ...] = ()  # Sorted by key.
    transitive_tags: tuple[str, ...] = ()  # Sorted.
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    region: str = ""

    @cached_property
    def session_id(self) -> SessionId:
        """The digest of every field: the same on every replica and across restarts."""
        digest = hashlib.blake2b(digest_size=16, person=b"rolecall.session")
        for part in self._parts():
            # Length before text, so that no two tuples of parts read the same.
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return SessionId(digest.hexdigest())

    def _parts(self) -> list[str]:
        return [
            self.role_arn,
            self.session_name,
            str(int(self.duration.total_seconds())),
            *_optional(self.external_id),
            *_optional(self.source_identity),
            *_counted([text for tag in self.tags for text in tag]),
            *_counted(self.transitive_tags),
            *_optional(self.policy),
            *_counted(self.policy_arns),
            self.region,
        ]


def _optional(text: str | None) -> list[str]:
    return ["0"] if text is None else ["1", text]


def _counted(texts: list[str] | tuple[str, ...]) -> list[str]:
    return [str(len(texts)), *texts]
