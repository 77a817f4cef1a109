"""The server's own AWS configuration in a test, and nothing of this machine's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.session import Session  # type: ignore[import-untyped]  # it ships no types

from fakes.sts import Key, Principal
from rolecall_server.sts.aws_chain import make_session

# The base credentials of most tests: a user's, so that nothing is chained.
USER = Key(
    "AKIAEXAMPLEEXAMPLE00",
    "example/secret/of/the/strict/sts/fake000",
    Principal("arn:aws:iam::111122223333:user/rolecall"),
)


def forget_machine(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take this machine's AWS configuration out of sight; *folder* stands in for `~/.aws`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class Wallet:
    """Own credentials that a test may change while the server holds them."""

    def __init__(self, key: Key = USER) -> None:
        self.key = key
        self.looks = 0

    def make_session(self) -> Session:
        self.looks += 1
        session = make_session()
        session.set_credentials(self.key.access_key_id, self.key.secret, self.key.token)
        return session


def holding(key: Key) -> Callable[[], Session]:
    """Return what makes botocore sessions with *key*."""
    return Wallet(key).make_session
