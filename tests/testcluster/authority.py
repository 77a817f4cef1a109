"""The cluster's certificate authority and the key of its tokens, in files for the binaries."""

import stat
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, once by each name, and keeps them below a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        self._folder = folder
        self._authority = trustme.CA(organization_name="Test cluster")
        self.bundle = folder / "ca.crt"
        self._authority.cert_pem.write_to_path(self.bundle)

    def server(self, name: str, *addresses: str) -> KeyPair:
        """Return the pair of a server that is reached by *addresses*."""
        return self._kept(name) or self._keep(name, self._authority.issue_cert(*addresses))

    def client(self, user: str, group: str) -> KeyPair:
        """Return the pair that the API server knows as *user*, one of *group*."""
        name = user.replace(":", "-")
        if kept := self._kept(name):
            return kept
        # Go refuses a certificate that has none of the names that a server would have.
        unused = "client.invalid"
        issued = self._authority.issue_cert(unused, common_name=user, organization_name=group)
        return self._keep(name, issued)

    def _pair(self, name: str) -> KeyPair:
        return KeyPair(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def _kept(self, name: str) -> KeyPair | None:
        pair = self._pair(name)
        return pair if pair.key.exists() else None

    def _keep(self, name: str, issued: trustme.LeafCert) -> KeyPair:
        pair = self._pair(name)
        issued.cert_chain_pems[0].write_to_path(pair.certificate)
        write_private(pair.key, issued.private_key_pem.bytes())
        return pair


def write_token_key(folder: Path) -> KeyPair:
    """Make the key that service accounts' tokens are signed with, and its public half."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pair = KeyPair(folder / "tokens.pub", folder / "tokens.key")
    form = PrivateFormat.TraditionalOpenSSL
    write_private(pair.key, key.private_bytes(Encoding.PEM, form, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pair.certificate.write_bytes(public)
    return pair


def write_private(file: Path, content: bytes) -> None:
    """Write *content* so that nobody else ever could read it."""
    file.touch(stat.S_IRUSR | stat.S_IWUSR)
    file.write_bytes(content)
