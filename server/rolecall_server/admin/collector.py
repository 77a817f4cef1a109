"""What the server's gauges show: each part is read as it stands at the moment of a scrape."""

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.metrics_core import Metric as Family

from rolecall_common.metrics import UNKNOWN, counter_family, gauge_family
from rolecall_server.engine.broker import Broker
from rolecall_server.rpc.certificate import ServerCertificate
from rolecall_server.rpc.service import Service
from rolecall_server.startup.backends import SourceLevels
from rolecall_server.telemetry import metrics


class ServerCollector:
    """Asks the parts, when `prometheus_client` asks it."""

    def __init__(
        self,
        broker: Broker,
        service: Service,
        certificate: ServerCertificate,
        sources: Callable[[], SourceLevels],
        now: Callable[[], datetime],
    ) -> None:
        self._broker = broker
        self._service = service
        self._certificate = certificate
        self._sources = sources
        self._now = now

    def collect(self) -> Iterator[Family]:
        yield from self._of_broker()
        yield from self._of_sources()
        refused = self._service.refused
        yield counter_family(
            metrics.AGENTS_REFUSED, {(code.name,): count for code, count in refused.items()}
        )
        end, reloads = self._certificate.not_after, self._certificate.reloads
        yield gauge_family(metrics.CERTIFICATE_END, {(): end.timestamp()})
        yield counter_family(
            metrics.CERTIFICATE_RELOADS, {("ok",): reloads[True], ("unusable",): reloads[False]}
        )

    def _of_sources(self) -> Iterator[Family]:
        levels = self._sources()
        yield gauge_family(metrics.MANIFEST_PROBLEMS, {(): levels.manifest_problems})
        yield counter_family(metrics.WATCH_LISTINGS, levels.listings)
        yield counter_family(metrics.WATCH_INTERRUPTIONS, levels.interruptions)
        yield gauge_family(metrics.NODE_GUARD, {(): levels.node_guard})

    def _of_broker(self) -> Iterator[Family]:
        now = self._now()
        stands = self._broker.statistics(now)
        pods: dict[tuple[str, ...], float] = {
            (state, reason or "none"): count for (state, reason), count in stands.assigned.items()
        }
        yield gauge_family(metrics.PODS, pods)
        yield gauge_family(metrics.NODES, {(version,): n for version, n in stands.nodes.items()})
        yield counter_family(metrics.HELD_RESTORED, {(): stands.held_restored})
        first_end = stands.first_end
        left = UNKNOWN if first_end is None else (first_end - now).total_seconds()
        levels = {
            metrics.NAMESPACES: stands.namespaces,
            metrics.QUARANTINED: stands.quarantined,
            metrics.SYNCED: self._broker.synced,
            metrics.WATCH_FRESH: stands.watch_fresh,
            metrics.SESSIONS: stands.sessions,
            metrics.SESSIONS_IDLE: stands.sessions_idle,
            metrics.LEAST_REMAINING: left,
            metrics.DUE: stands.due,
            metrics.OVERDUE: stands.overdue,
            metrics.IN_FLIGHT: stands.in_flight,
            metrics.STS_RATE: stands.calls_per_second,
            metrics.STS_SLOWED: stands.accounts_slowed,
            metrics.STS_ANSWERS: stands.sts_answers,
        }
        for metric, level in levels.items():
            yield gauge_family(metric, {(): level})
