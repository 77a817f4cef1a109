"""Whether the server can do its work: for probes, and for people who ask."""

from collections.abc import Callable, Iterator

from rolecall_common.admin_http import Readiness
from rolecall_server.engine.broker import Broker
from rolecall_server.rpc.certificate import ServerCertificate
from rolecall_server.startup.backends import SourceLevels


class ServerReadiness:
    """Ready once synced, and for as long as its certificate is good.

    A watch that has gone stale is a line to read and no reason to leave the Service: what is known
    is served on.
    """

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate
        self._broker: Broker | None = None
        self._levels: Callable[[], SourceLevels] = SourceLevels

    def watch(self, broker: Broker, levels: Callable[[], SourceLevels]) -> None:
        """Take *broker* for what this process serves from, and *levels* for what feeds it."""
        self._broker, self._levels = broker, levels

    def readiness(self) -> Readiness:
        synced = self._broker is not None and self._broker.synced
        return Readiness(synced and self._certificate.is_valid(), tuple(self._lines()))

    def _lines(self) -> Iterator[str]:
        if self._broker is None:
            yield "starting: STS has not said yet who the server is"
        elif not self._broker.synced:
            yield "starting: pods and namespaces were not listed yet"
        elif not self._broker.watch_fresh:
            yield "degraded: the watch is stale; what is known is served, new pods wait"
        if self._levels().node_guard == 0:
            yield "degraded: the node guard is missing; a node may choose the roles of its pods"
        yield from self._lines_of_certificate()

    def _lines_of_certificate(self) -> Iterator[str]:
        if not self._certificate.is_valid():
            yield "the certificate in use has ended"
            return
        if self._certificate.ends_soon():
            yield f"degraded: the certificate in use ends at {self._certificate.not_after:%F %TZ}"
        if self._certificate.problem is not None:
            yield f"degraded: the new certificate cannot be used: {self._certificate.problem}"
