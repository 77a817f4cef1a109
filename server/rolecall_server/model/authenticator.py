"""Who an agent is: the seam between a bearer token and the node that it speaks for."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Protocol

from rolecall_common.secret import Secret
from rolecall_proto.values import NodeName, PodUid

# A DNS-1123 subdomain, as Kubernetes wants of a node's name.
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NODE_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_LONGEST_NODE_NAME = 253


@dataclass(frozen=True, slots=True)
class Agent:
    """An authenticated agent: its node, and its own pod where it has one."""

    node: NodeName
    pod_uid: PodUid | None = None
    # When it is to be authenticated again while it stays; None where that changes nothing. It says
    # how sure the answer is, and nothing about who the agent is.
    recheck_at: datetime | None = field(default=None, compare=False)


class AuthenticationError(Exception):
    """An agent was not let in. Never raised itself."""


class UnauthenticatedError(AuthenticationError):
    """The token proves nothing."""


class ForbiddenError(AuthenticationError):
    """The token is good, and its owner is no agent."""


class UndecidedError(AuthenticationError):
    """Nobody can tell at the moment: try again, or another replica."""


class Authenticator(Protocol):
    """Turns a bearer token into an agent."""

    async def authenticate(self, token: Secret) -> Agent:
        """Tell whose *token* it is.

        Raises: UnauthenticatedError, ForbiddenError, UndecidedError.
        """
        ...


class LoopbackAuthenticator:
    """For one machine without a cluster: the token is the node's name, and nothing more.

    Whoever can connect may claim any node, so it refuses to serve an address beyond loopback.
    """

    def __init__(self, listen_host: str) -> None:
        """Raise ValueError where *listen_host* is not a literal loopback address."""
        try:
            loopback = ip_address(listen_host).is_loopback
        except ValueError:
            loopback = False  # A name may resolve to anything, tomorrow if not today.
        if not loopback:
            raise ValueError(
                "agents can be taken at their word on a loopback address only, "
                f"not on {listen_host!r}"
            )

    async def authenticate(self, token: Secret) -> Agent:
        name = token.reveal()
        if len(name) > _LONGEST_NODE_NAME or not _NODE_NAME.fullmatch(name):
            raise UnauthenticatedError("the token is not the name of a node")
        return Agent(NodeName(name))
