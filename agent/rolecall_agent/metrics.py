"""Every metric of the agent: the table that declares them, and what they are read from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client.metrics_core import Metric as Family

from rolecall_agent import guard_metrics
from rolecall_agent.container.endpoint import NAME as CONTAINER
from rolecall_agent.decision import Missing, Outcome, PathClass, Route
from rolecall_agent.guard_metrics import (
    GUARD_BLOCKED,
    GUARD_DROPPED,
    GUARD_LAST_CHECK,
    GUARD_LOST,
    GUARD_REPAIRS,
    GUARD_RULES_IN_PLACE,
)
from rolecall_agent.http.counters import DURATIONS, REMAINING, Counters
from rolecall_agent.http.server import Server
from rolecall_agent.metadata.endpoint import NAME as METADATA
from rolecall_agent.metadata.item_cache import ItemCache, Result
from rolecall_agent.process.supervisor import CAUSES
from rolecall_agent.store.cache import NEAR_ENDS, Cache, Statistics
from rolecall_agent.sync.ca_bundle import CaBundleFile
from rolecall_agent.sync.stream import Statistics as StreamStatistics
from rolecall_agent.sync.stream_end import EndReason
from rolecall_agent.witness.cni import Cni
from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.report import Report
from rolecall_agent.witness.service import Witness
from rolecall_common.metrics import (
    UNKNOWN,
    Distribution,
    Kind,
    Label,
    Metric,
    counter_family,
    gauge_family,
    histogram_family,
)
from rolecall_proto.values import Reason, State

_ENDPOINT = Label("endpoint", (METADATA, CONTAINER))
_ROUTE = Label("route", tuple(Route))
_EXTENTS = tuple((each, each.name.lower()) for each in Extent if each is not Extent.NOTHING)
_EXTENT = Label("of", tuple(name for _, name in _EXTENTS))
_WITHIN = Label("within", tuple(f"{near // timedelta(minutes=1)}m" for near in NEAR_ENDS))

REQUESTS = Metric(
    "rolecall_agent_requests_total",
    Kind.COUNTER,
    "Requests of pods that were answered.",
    (
        _ENDPOINT,
        _ROUTE,
        Label("code", ("200", "400", "401", "403", "404", "405", "503")),
        Label("outcome", tuple(Outcome)),
    ),
)
REQUEST_DURATION = Metric(
    "rolecall_agent_request_duration_seconds",
    Kind.HISTOGRAM,
    "From a request's head to its answer. One given in the same turn of the loop counts as zero.",
    (_ENDPOINT, _ROUTE),
    DURATIONS,
)
HOLD_DURATION = Metric(
    "rolecall_agent_hold_duration_seconds",
    Kind.HISTOGRAM,
    "How long requests were held, by what they waited for last.",
    (Label("reason", tuple(Missing)),),
    DURATIONS,
)
REMAINING_LIFE = Metric(
    "rolecall_served_credential_remaining_seconds",
    Kind.HISTOGRAM,
    "How long the credentials in served documents still lived, as the pods were told.",
    buckets=REMAINING,
)
CONNECTIONS = Metric(
    "rolecall_agent_connections", Kind.GAUGE, "Open connections of pods.", (_ENDPOINT,)
)
HELD = Metric("rolecall_agent_held_requests", Kind.GAUGE, "Requests that wait now.", (_ENDPOINT,))
PODS = Metric(
    "rolecall_agent_pods_assigned",
    Kind.GAUGE,
    "Pods of this node, by what they get and why not.",
    (Label("state", tuple(State)), Label("reason", (*Reason, "none"))),
)
SESSIONS = Metric("rolecall_agent_sessions", Kind.GAUGE, "Sessions that are held.")
SESSIONS_MISSING = Metric(
    "rolecall_agent_sessions_missing",
    Kind.GAUGE,
    "Pods whose role is granted and whose credentials are not here, or have ended.",
)
SESSIONS_EXPIRING = Metric(
    "rolecall_agent_sessions_expiring",
    Kind.GAUGE,
    "Sessions whose end, as pods are told, is nearer than this.",
    (_WITHIN,),
)
LEAST_REMAINING = Metric(
    "rolecall_agent_session_min_remaining_seconds",
    Kind.GAUGE,
    "How long the first session to end still lives, as pods are told; NaN without any.",
)
SNAPSHOT_AGE = Metric(
    "rolecall_agent_snapshot_age_seconds",
    Kind.GAUGE,
    "Since the last whole snapshot; NaN before the first.",
)
STREAM_CONNECTED = Metric(
    "rolecall_agent_stream_connected",
    Kind.GAUGE,
    "Whether a server's stream is open and its snapshot was whole.",
)
STREAM_LAST_MESSAGE = Metric(
    "rolecall_agent_stream_last_message_timestamp_seconds",
    Kind.GAUGE,
    "When a server was heard last, as Unix time; NaN before the first time.",
)
STREAM_RECONNECTS = Metric(
    "rolecall_agent_stream_reconnects_total",
    Kind.COUNTER,
    "Streams that ended, by the reason.",
    (Label("reason", tuple(EndReason)),),
)
UPDATES_SKIPPED = Metric(
    "rolecall_agent_updates_skipped_total",
    Kind.COUNTER,
    "Updates of a server that could not be understood.",
)
CLOCK_SKEW = Metric(
    "rolecall_agent_clock_skew_seconds",
    Kind.GAUGE,
    "How far the server's clock is ahead of this node's, the way here included; NaN if unknown.",
)
CA_END = Metric(
    "rolecall_agent_ca_not_after_timestamp_seconds",
    Kind.GAUGE,
    "When the last of the CA certificates in use ends, as Unix time; NaN where none says.",
)
CA_UNUSABLE = Metric(
    "rolecall_agent_ca_file_unusable",
    Kind.GAUGE,
    "Whether the CA file cannot be used as it is now: what was read before stays in use.",
)

ITEMS_ASKED = Metric(
    "rolecall_agent_metadata_items_asked_total",
    Kind.COUNTER,
    "Questions for single items to the node's own metadata service, by how they ended.",
    (Label("result", tuple(Result)),),
)

PATHS_REFUSED = Metric(
    "rolecall_agent_metadata_paths_refused_total",
    Kind.COUNTER,
    "Requests for paths of the metadata service that pods are not told, by the kind of path.",
    (Label("class", tuple(PathClass)),),
)
TOKENLESS = Metric(
    "rolecall_agent_tokenless_requests_total",
    Kind.COUNTER,
    "Requests that were answered without a metadata token: those that fail once imdsv2 requires "
    "one. The log names each pod once.",
)

ADDRESSES = Metric(
    "rolecall_agent_addresses",
    Kind.GAUGE,
    "Addresses of living pods, by what the kernel's links say of them: confirmed, suspended until "
    "a server confirms them, or without a link of their own.",
    (Label("witness", ("confirmed", "suspended", "unwitnessed")),),
)
SUSPENSIONS = Metric(
    "rolecall_agent_address_suspensions_total",
    Kind.COUNTER,
    "Addresses of living pods whose link has changed or gone.",
)
OVERRUNS = Metric(
    "rolecall_agent_kernel_overruns_total",
    Kind.COUNTER,
    "How often changes of the kernel were lost, for one where there were more than could be kept. "
    "What they may be about is not vouched for until it was read anew: everything, or what is "
    "behind bridges.",
    (_EXTENT,),
)
REREADS = Metric(
    "rolecall_agent_kernel_rereads_total",
    Kind.COUNTER,
    "How often the kernel was asked for everything, or for what is behind bridges, the start "
    "included. Those that failed are counted, too: each is tried again.",
    (_EXTENT,),
)
NETWORK = Metric(
    "rolecall_agent_node_network",
    Kind.GAUGE,
    "The network of this node, as far as it can be seen: 1 for one of them.",
    (Label("cni", tuple(Cni)),),
)

DEATHS = Metric(
    "rolecall_agent_worker_deaths_total",
    Kind.COUNTER,
    "Workers of this agent that ended by themselves: killed by a signal, failed by a bug, unusable "
    "settings or files, or left before their memory was used up.",
    (Label("cause", CAUSES),),
)

METRICS = (
    DEATHS,
    REQUESTS,
    REQUEST_DURATION,
    HOLD_DURATION,
    REMAINING_LIFE,
    CONNECTIONS,
    HELD,
    PODS,
    SESSIONS,
    SESSIONS_MISSING,
    SESSIONS_EXPIRING,
    LEAST_REMAINING,
    SNAPSHOT_AGE,
    STREAM_CONNECTED,
    STREAM_LAST_MESSAGE,
    STREAM_RECONNECTS,
    UPDATES_SKIPPED,
    CLOCK_SKEW,
    CA_END,
    CA_UNUSABLE,
    ITEMS_ASKED,
    PATHS_REFUSED,
    TOKENLESS,
    ADDRESSES,
    SUSPENSIONS,
    OVERRUNS,
    REREADS,
    NETWORK,
    GUARD_RULES_IN_PLACE,
    GUARD_REPAIRS,
    GUARD_LAST_CHECK,
    GUARD_DROPPED,
    GUARD_LOST,
    GUARD_BLOCKED,
)


class AgentCollector:
    """What `prometheus_client` asks at a scrape: reads the agent's parts as they are then."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that is read
        self,
        servers: Sequence[Server],
        items: ItemCache,
        cache: Cache,
        stream: Callable[[], StreamStatistics],
        ca_bundle: CaBundleFile,
        now: Callable[[], datetime],
        *,
        witness: Witness | None = None,
        warden_file: Path | None = None,
        deaths: Mapping[str, int] | None = None,
    ) -> None:
        self._servers = servers
        self._items = items
        self._cache = cache
        self._witness = witness
        self._warden_file = warden_file
        self._deaths = dict.fromkeys(CAUSES, 0) | dict(deaths or {})
        self._stream = stream
        self._ca_bundle = ca_bundle
        self._now = now

    def collect(self) -> Iterator[Family]:
        """Yield every metric of METRICS."""
        now = self._now()
        yield counter_family(DEATHS, {(cause,): n for cause, n in self._deaths.items()})
        yield from _of_each(self._servers)
        yield from _of_all(self._servers[0].counters)
        yield counter_family(ITEMS_ASKED, {(r,): n for r, n in self._items.results.items()})
        yield from _of_cache(self._cache.statistics(now), now)
        yield from _of_stream(self._stream())
        yield from _of_witness(self._witness)
        yield from guard_metrics.read(self._warden_file, now)
        end = self._ca_bundle.bundle.not_after
        yield gauge_family(CA_END, {(): end.timestamp() if end else UNKNOWN})
        yield gauge_family(CA_UNUSABLE, {(): self._ca_bundle.problem is not None})


def _of_each(servers: Sequence[Server]) -> Iterator[Family]:
    named = [(server.endpoint.name, server) for server in servers]
    requests: dict[tuple[str, ...], float] = {
        (name, route, str(status), outcome): count
        for name, server in named
        for (route, status, outcome), count in server.counters.requests.items()
    }
    durations: dict[tuple[str, ...], Distribution] = {
        (name, route): each
        for name, server in named
        for route, each in server.counters.durations.items()
    }
    yield counter_family(REQUESTS, requests)
    yield histogram_family(REQUEST_DURATION, durations)
    yield gauge_family(CONNECTIONS, {(name,): server.open_connections for name, server in named})
    yield gauge_family(HELD, {(name,): server.endpoint.held_requests for name, server in named})


def _of_all(counters: Counters) -> Iterator[Family]:
    """Read what the endpoints count together."""
    yield histogram_family(
        HOLD_DURATION, {(missing,): each for missing, each in counters.holds.items()}
    )
    yield histogram_family(REMAINING_LIFE, {(): counters.remaining})
    yield counter_family(PATHS_REFUSED, {(each,): n for each, n in counters.refused_paths.items()})
    yield counter_family(TOKENLESS, {(): counters.tokenless})


def _of_cache(statistics: Statistics, now: datetime) -> Iterator[Family]:
    pods: dict[tuple[str, ...], float] = {
        (state, reason or "none"): count for (state, reason), count in statistics.pods.items()
    }
    ending = dict(zip(_WITHIN.values, (statistics.ending[near] for near in NEAR_ENDS), strict=True))
    age = None if statistics.snapshot_at is None else now - statistics.snapshot_at
    yield gauge_family(PODS, pods)
    yield gauge_family(SESSIONS, {(): statistics.sessions})
    yield gauge_family(SESSIONS_MISSING, {(): statistics.missing})
    yield gauge_family(SESSIONS_EXPIRING, {(within,): n for within, n in ending.items()})
    yield gauge_family(LEAST_REMAINING, {(): _seconds(statistics.least_remaining)})
    yield gauge_family(SNAPSHOT_AGE, {(): _seconds(age)})


def _of_stream(stream: StreamStatistics) -> Iterator[Family]:
    heard = stream.last_message_at
    yield gauge_family(STREAM_CONNECTED, {(): stream.connected})
    yield gauge_family(STREAM_LAST_MESSAGE, {(): heard.timestamp() if heard else UNKNOWN})
    yield counter_family(
        STREAM_RECONNECTS, {(reason,): stream.end_reasons.get(reason, 0) for reason in EndReason}
    )
    yield counter_family(UPDATES_SKIPPED, {(): stream.skipped})
    yield gauge_family(CLOCK_SKEW, {(): _seconds(stream.server_clock_ahead)})


def _of_witness(witness: Witness | None) -> Iterator[Family]:
    report = witness.report() if witness is not None else Report()
    bindings = report.bindings
    addresses: dict[tuple[str, ...], float] = {
        ("confirmed",): bindings.confirmed,
        ("suspended",): bindings.suspended,
        ("unwitnessed",): bindings.unwitnessed,
    }
    yield gauge_family(ADDRESSES, addresses)
    yield counter_family(SUSPENSIONS, {(): bindings.suspensions})
    for metric, counts in ((OVERRUNS, report.losses), (REREADS, report.rereads)):
        yield counter_family(metric, {(name,): counts.get(each, 0) for each, name in _EXTENTS})
    yield gauge_family(NETWORK, {(each,): each is report.cni for each in Cni})


def _seconds(duration: timedelta | None) -> float:
    return UNKNOWN if duration is None else duration.total_seconds()
