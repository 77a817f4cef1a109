"""How the agent reaches a server: a TLS channel and a token, both made anew for each connection."""

from dataclasses import dataclass
from pathlib import Path

import grpc

from rolecall_agent.sync.ca_bundle import CaBundle
from rolecall_common.secret import Secret

MAX_TOKEN = 8 * 1024  # What a server accepts.

_OPTIONS = [
    # Every connection is a new one: else gRPC keeps the old one, its credentials and its own
    # back-off for the next channel to the same name.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # In truth how long one attempt to connect may take.
    ("grpc.enable_retries", 0),  # Whoever follows the stream asks again.
    ("grpc.enable_http_proxy", 0),  # A proxy of the environment is meant for others.
    # Finds a dead server within 15 s, also where no packet says so.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
]


class TokenError(Exception):
    """The agent's own token cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the servers are, and what lets the agent in."""

    servers: tuple[str, ...]  # `host:port` each; replicas of one service.
    # Read again for each call, for the kubelet renews it.
    token_file: Path
    # The name in the servers' certificate, where it is not the name they are reached by.
    server_name: str = ""

    def channel(self, server: str, bundle: CaBundle) -> grpc.aio.Channel:
        """Return a new channel to *server* (`host:port`); it connects when it is first used."""
        credentials = grpc.ssl_channel_credentials(root_certificates=bundle.pem)
        named = [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []
        return grpc.aio.secure_channel(server, credentials, options=[*_OPTIONS, *named])

    def metadata(self) -> tuple[tuple[str, str]]:
        """Return what proves who we are.

        Raises: TokenError.
        """
        return (("authorization", f"Bearer {self._token().reveal()}"),)

    def _token(self) -> Secret:
        try:
            token = self.token_file.read_bytes().strip()
        except OSError as error:
            raise TokenError(f"{self.token_file} cannot be read: {error.strerror}") from error
        if not 0 < len(token) <= MAX_TOKEN:
            raise TokenError(f"{self.token_file} is empty or too long for a token")
        text = token.decode("latin-1")
        if not (text.isascii() and text.isprintable()):
            raise TokenError(f"{self.token_file} holds characters that are in no token")
        return Secret(text)
