"""Whom the agent believes to be a server: a bundle of CA certificates that may be replaced."""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)


class TrustError(Exception):
    """The bundle cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """PEM certificates, of which at least one can be read."""

    pem: bytes
    # When the last of them ends, and nobody is believed any more; None where none says.
    not_after: datetime | None


def read_bundle(file: Path, now: datetime) -> Bundle:
    """Read and check a bundle, of which at least one certificate has not ended at *now*.

    Raises: TrustError.
    """
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise TrustError(f"{file} cannot be read: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # Between the certificates there may be comments in any language.
        context.load_verify_locations(cadata=pem.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise TrustError(f"{file} holds no PEM certificate") from error
    ends = [str(certificate["notAfter"]) for certificate in context.get_ca_certs()]
    last = max(map(ssl.cert_time_to_seconds, ends), default=None)
    not_after = None if last is None else datetime.fromtimestamp(last, UTC)
    if not_after is not None and not_after <= now:
        raise TrustError(f"{file} has ended: its last certificate did at {not_after.isoformat()}")
    return Bundle(pem, not_after)


class Trust:
    """The bundle in use. What cannot be used does not replace it."""

    def __init__(self, file: Path, now: Callable[[], datetime]) -> None:
        """Read *file*; raises TrustError where it cannot be used."""
        self._file = file
        self._now = now
        self._bundle = read_bundle(file, now())
        # Why the file's present content is not in use; None while it is.
        self.problem: str | None = None

    @property
    def bundle(self) -> Bundle:
        return self._bundle

    def reread(self) -> Bundle:
        """Return what the file holds now, or the bundle in use where that cannot be used."""
        try:
            bundle = read_bundle(self._file, self._now())
        except TrustError as error:
            self._stay(str(error))
            return self._bundle
        self.problem = None
        return bundle

    def use(self, bundle: Bundle) -> None:
        """Believe *bundle* from now on."""
        self._bundle = bundle

    def _stay(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            fields = {"reason": problem}
            log.error("the CA file cannot be used, what was read before stays", extra=fields)
