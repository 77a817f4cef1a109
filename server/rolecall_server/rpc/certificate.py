"""The server's certificate: read, checked, and read again when its files change.

gRPC goes on with the last certificate without a word where a new one cannot be used, so this module
checks before gRPC sees it, and says so.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from rolecall_common.callbacks import Reporting
from rolecall_common.clock import Clock
from rolecall_common.secret import NotPickled

log = logging.getLogger(__name__)

# A mounted Secret changes by a swap of links whose times lie: reading it again is what tells. The
# kubelet takes up to a minute to bring a new one; ten seconds more do not matter.
REREAD = timedelta(seconds=10)
# A month is time enough to have a certificate renewed. One that lives for weeks is renewed by a
# machine, some time before its last quarter (cert-manager: after two thirds).
SOON, SOON_SHARE = timedelta(days=30), 0.25
REMIND = timedelta(days=1)


class CertificateError(Exception):
    """The certificate or its key cannot be used; the text says which file, and why."""


@dataclass(frozen=True, slots=True)
class KeyPair(NotPickled):
    """A certificate with its chain, and the key that belongs to it; both PEM."""

    certificate: bytes
    private_key: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime


def read_pair(certificate_file: Path, key_file: Path) -> KeyPair:
    """Read a pair and check that its halves belong together.

    Raises: CertificateError.
    """
    certificate, key = _read(certificate_file), _read(key_file)
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError as error:
        raise CertificateError(f"{certificate_file} holds no PEM certificate") from error
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The error's own text may quote the file, which is secret.
        raise CertificateError(f"{key_file} holds no PEM key without a password") from error
    try:
        belongs = _public_bytes(private.public_key()) == _public_bytes(leaf.public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{certificate_file} has a key of a kind that is unknown") from error
    if not belongs:
        raise CertificateError(f"{key_file} is not the key of {certificate_file}")
    return KeyPair(certificate, key, leaf.not_valid_before_utc, leaf.not_valid_after_utc)


class ServerCertificate:
    """The certificate in use. What cannot be used does not replace it."""

    def __init__(self, certificate_file: Path, key_file: Path, clock: Clock) -> None:
        """Read the pair; raises CertificateError where it cannot be used."""
        self._files = (certificate_file, key_file)
        self._clock = clock
        self._pair = self._read_usable()
        self._offered = self._pair  # What gRPC has.
        # Reloads that were tried, by whether they came to something; for metrics.
        self.reloads: Counter[bool] = Counter()
        # Why the files' present content is not in use; None while it is.
        self.problem: str | None = None
        self._reminded_at: datetime | None = None

    @property
    def not_after(self) -> datetime:
        """When the certificate in use ends."""
        return self._pair.not_after

    def is_valid(self) -> bool:
        """Whether the certificate in use has not ended: readiness depends on it."""
        return self._clock.now() < self._pair.not_after

    def ends_soon(self) -> bool:
        """Whether the certificate in use should have been renewed by now."""
        life = self._pair.not_after - self._pair.not_before
        return self._clock.now() >= self._pair.not_after - min(SOON, life * SOON_SHARE)

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that offer each new connection the certificate in use."""
        self._offered = self._pair
        loop = asyncio.get_running_loop()
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._offered),
            # gRPC's types leave out the None that it allows.
            Reporting(loop=loop)(self._renewed),  # type: ignore[arg-type]  # see above
            require_client_authentication=False,
        )

    async def run(self) -> NoReturn:
        """Read the files again and again until cancelled."""
        while True:
            await self._clock.sleep(REREAD)
            self.reload()
            self._remind()

    def reload(self) -> None:
        """Take the files' content into use where it has changed and can be used."""
        try:
            pair = self._read_usable()
        except CertificateError as error:
            self._keep_old(str(error))
            return
        self.problem = None
        if pair != self._pair:
            self._pair = pair
            self.reloads[True] += 1
            log.info("the certificate was renewed", extra={"not_after": pair.not_after.isoformat()})

    def _remind(self) -> None:
        now = self._clock.now()
        if not self.ends_soon():
            self._reminded_at = None
        # A clock that was set back must not put it off.
        elif self._reminded_at is None or not timedelta() <= now - self._reminded_at < REMIND:
            self._reminded_at = now
            fields = {"not_after": self.not_after.isoformat()}
            log.warning("the certificate in use has to be renewed", extra=fields)

    def _keep_old(self, problem: str) -> None:
        if problem == self.problem:
            return  # Said and counted already.
        self.problem = problem
        self.reloads[False] += 1
        fields = {"reason": problem, "not_after": self.not_after.isoformat()}
        log.error("the new certificate cannot be used, the old one stays", extra=fields)

    def _read_usable(self) -> KeyPair:
        pair = read_pair(*self._files)
        now = self._clock.now()
        if now >= pair.not_after:
            raise CertificateError(f"{self._files[0]} has ended at {pair.not_after.isoformat()}")
        if now < pair.not_before:
            raise CertificateError(f"{self._files[0]} begins at {pair.not_before.isoformat()}")
        return pair

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the pair in use where gRPC has another; None where it has this one.

        Called for each connection, on threads of gRPC's own, so it does no more than look. None is
        no thrift: whatever else is returned, gRPC frees what handshakes that begin just then use
        (grpc/grpc#36693), and a fleet that connects at once would end the process. With a renewed
        pair that can happen once, within microseconds; 600 renewals in a crowd were survived.
        """
        pair = self._pair
        if pair is self._offered:
            return None
        self._offered = pair
        return _configuration(pair)


def _configuration(pair: KeyPair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.private_key, pair.certificate)])


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(f"{file} cannot be read: {error.strerror}") from error


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
