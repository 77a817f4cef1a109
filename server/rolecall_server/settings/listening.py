"""Settings: where agents connect, and how the server knows who they are."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from rolecall_common.settings import types
from rolecall_common.settings.declare import setting
from rolecall_common.settings.types import HostPort


class AuthenticationMode(StrEnum):
    """How it is known which node an agent speaks for."""

    LOOPBACK = "loopback"
    TOKEN_REVIEW = "token-review"  # noqa: S105 - the name of a Kubernetes API


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Where agents connect, by TLS."""

    listen: HostPort = setting(
        types.HOST_PORT,
        "Where agents connect.",
        default=HostPort("127.0.0.1", 8443),
    )
    tls_certificate: Path = setting(
        types.PATH, "The server's certificate and its chain, in PEM. Read again when it changes."
    )
    tls_key: Path = setting(types.PATH, "The certificate's private key, in PEM.")
    authentication: AuthenticationMode | None = setting(
        types.optional(types.choice(AuthenticationMode)),
        "Who says which node an agent speaks for. token-review: the Kubernetes API, by the "
        "agent's token. loopback: it is taken at its word, on this machine only. Else it is "
        "loopback with manifests, and token-review without.",
        default=None,
    )
    token_secret_file: Path | None = setting(
        types.optional(types.PATH),
        "A file of at least 32 random bytes, the same on every replica. The keys of metadata "
        "tokens are derived from it. Without it tokens end when the server restarts.",
        default=None,
    )

    @property
    def is_on_loopback(self) -> bool:
        """Whether nobody else than this machine can connect."""
        try:
            return ip_address(self.listen.host).is_loopback
        except ValueError:
            return False  # A name may resolve to anything, tomorrow if not today.
