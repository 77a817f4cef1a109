"""Who issues credentials, as the engine sees it; `sts/` is the one that does."""

from dataclasses import dataclass
from typing import Protocol

from rolecall_proto.values import Credentials, Reason
from rolecall_server.model.identity import Identity


@dataclass(frozen=True, slots=True)
class Issued:
    """What STS gave for an identity, and what an audit record needs besides."""

    credentials: Credentials
    request_id: str
    # STS's PackedPolicySize, in percent of its limit; None where STS did not say.
    packed_policy_percent: int | None = None


class IssueError(Exception):
    """An identity could not be issued. Never raised itself."""


class RefusedError(IssueError):
    """STS said no to this identity: asking again helps only once somebody has changed something."""

    def __init__(self, reason: Reason, explanation: str) -> None:
        """*explanation* is one sentence for the operator, without any secret."""
        super().__init__(explanation)
        self.reason = reason
        self.explanation = explanation


class ThrottledError(IssueError):
    """STS asks everyone to slow down."""


class UnavailableError(IssueError):
    """No answer, or one that says nothing about the identity.

    Network, 5xx, time-out, half an answer, or own credentials that were renewed in vain.
    """


class Issuer(Protocol):
    """Issues the credentials of one identity."""

    async def issue(self, identity: Identity) -> Issued:
        """Call STS once for *identity*.

        Raises: RefusedError, ThrottledError, UnavailableError; nothing else but cancellation.
        """
        ...
