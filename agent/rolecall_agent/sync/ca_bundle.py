"""The CA certificates by which the agent knows a server: a bundle that may be replaced."""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)


class CaBundleError(Exception):
    """The bundle cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class CaBundle:
    """PEM certificates, of which at least one can be read."""

    pem: bytes
    # When the last of them ends, and nobody is believed any more; None where none says.
    not_after: datetime | None


def read_ca_bundle(file: Path, now: datetime) -> CaBundle:
    """Read and check a bundle, of which at least one certificate has not ended at *now*.

    Raises: CaBundleError.
    """
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise CaBundleError(f"{file} cannot be read: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # Between the certificates there may be comments in any language.
        context.load_verify_locations(cadata=pem.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise CaBundleError(f"{file} holds no PEM certificate") from error
    ends = [str(certificate["notAfter"]) for certificate in context.get_ca_certs()]
    last = max(map(ssl.cert_time_to_seconds, ends), default=None)
    not_after = None if last is None else datetime.fromtimestamp(last, UTC)
    if not_after is not None and not_after <= now:
        raise CaBundleError(
            f"{file} has ended: its last certificate did at {not_after.isoformat()}"
        )
    return CaBundle(pem, not_after)


class CaBundleFile:
    """The bundle in use, and its file. What cannot be used does not replace it."""

    def __init__(self, file: Path, now: Callable[[], datetime]) -> None:
        """Read *file*; raises CaBundleError where it cannot be used."""
        self._file = file
        self._now = now
        self._bundle = read_ca_bundle(file, now())
        # Why the file's present content is not in use; None while it is.
        self.problem: str | None = None

    @property
    def bundle(self) -> CaBundle:
        return self._bundle

    def reread(self) -> CaBundle:
        """Return what the file holds now, or the bundle in use where that cannot be used."""
        try:
            bundle = read_ca_bundle(self._file, self._now())
        except CaBundleError as error:
            self._keep(str(error))
            return self._bundle
        self.problem = None
        return bundle

    def use(self, bundle: CaBundle) -> None:
        """Believe *bundle* from now on."""
        self._bundle = bundle

    def _keep(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            fields = {"reason": problem}
            log.error("the CA file cannot be used, what was read before stays", extra=fields)
