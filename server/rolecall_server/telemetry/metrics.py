"""Every metric of the server: the table that declares them, and what counts as things happen.

Levels are read from the parts at the scrape (`admin/collector.py`); what happens is counted here.
"""

import grpc

from rolecall_common.metrics import Counter, Histogram, Kind, Label, Metric
from rolecall_proto.values import Reason, State
from rolecall_server.sts.error_codes import CallOutcome
from rolecall_server.telemetry.event_reasons import Dropped, EventReason
from rolecall_server.telemetry.journal import Why

_REASON = Label("reason", tuple(Reason))
_WATCHED = Label("kind", ("pods", "namespaces"))
_RESULT = Label("result", tuple(CallOutcome))
# From a call on the same machine to one that has run into its time-out.
_CALL_EDGES = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0)
# A renewal has half an hour of time; a pod that waits has less than a second.
_WAIT_EDGES = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)

PODS = Metric(
    "rolecall_pods_assigned",
    Kind.GAUGE,
    "Pods that count, by what they may have and why not. Whether STS gives a role is known of "
    "connected nodes only.",
    (Label("state", tuple(State)), Label("reason", (*Reason, "none"))),
)
NAMESPACES = Metric("rolecall_namespaces", Kind.GAUGE, "Namespaces that are known.")
QUARANTINED = Metric(
    "rolecall_quarantined_objects",
    Kind.GAUGE,
    "Objects that are left out because they cannot be used; everything else is served.",
)
MANIFEST_PROBLEMS = Metric(
    "rolecall_manifest_problems",
    Kind.GAUGE,
    "Parts of manifests that cannot be used; the log names file, line and reason.",
)
SYNCED = Metric("rolecall_synced", Kind.GAUGE, "Whether pods and namespaces were listed once.")
WATCH_FRESH = Metric(
    "rolecall_watch_fresh", Kind.GAUGE, "Whether what is known of pods is up to date."
)
WATCH_LISTINGS = Metric(
    "rolecall_watch_listings_total",
    Kind.COUNTER,
    "Times that everything was listed: once at start, and whenever the API server had forgotten "
    "where the watch was.",
    (_WATCHED, Label("how", ("stream", "pages"))),
)
WATCH_INTERRUPTIONS = Metric(
    "rolecall_watch_interruptions_total",
    Kind.COUNTER,
    "Times that listing or watching failed and was begun again.",
    (_WATCHED,),
)
NODE_GUARD = Metric(
    "rolecall_node_guard_in_place",
    Kind.GAUGE,
    "Whether the API server keeps nodes from writing the annotations that give pods their roles; "
    "NaN while it does not say, and where there is no cluster.",
)
NODES = Metric(
    "rolecall_nodes_connected",
    Kind.GAUGE,
    "Agents that are connected.",
    (Label("version", bound="the versions that are installed, at most 16, and `other`"),),
)
SESSIONS = Metric("rolecall_sessions", Kind.GAUGE, "Sessions whose credentials are in hand.")
SESSIONS_IDLE = Metric(
    "rolecall_sessions_idle", Kind.GAUGE, "Of these, kept for a pod that may come back."
)
LEAST_REMAINING = Metric(
    "rolecall_session_min_remaining_seconds",
    Kind.GAUGE,
    "How long the first needed session to end still lives; NaN without any.",
)
HELD_RESTORED = Metric(
    "rolecall_held_sessions_restored_total",
    Kind.COUNTER,
    "Sessions that agents held already when they connected: calls of STS that were not made.",
)
DUE = Metric("rolecall_sessions_due", Kind.GAUGE, "Identities that are to be issued now.")
OVERDUE = Metric(
    "rolecall_sessions_overdue", Kind.GAUGE, "Of all needed: due for more than a minute."
)
IN_FLIGHT = Metric("rolecall_sts_inflight", Kind.GAUGE, "Calls of STS that await their answer.")
STS_RATE = Metric(
    "rolecall_sts_rate_limit_calls_per_second",
    Kind.GAUGE,
    "Calls a second that may be made now in all: fewer than configured where STS throttled many.",
)
STS_ANSWERS = Metric(
    "rolecall_sts_answers",
    Kind.GAUGE,
    "1 where STS answers; 0 in an outage, in which one call at a time finds out whether it does.",
)
STS_SLOWED = Metric(
    "rolecall_sts_throttled_accounts",
    Kind.GAUGE,
    "Accounts and regions that are asked more slowly, since STS throttled calls there.",
)
STS_CALLS = Metric(
    "rolecall_sts_calls_total", Kind.COUNTER, "Calls of STS, by how they ended.", (_RESULT,)
)
STS_DURATION = Metric(
    "rolecall_sts_call_duration_seconds",
    Kind.HISTOGRAM,
    "How long calls of STS took.",
    (_RESULT,),
    _CALL_EDGES,
)
ISSUED = Metric(
    "rolecall_sessions_issued_total",
    Kind.COUNTER,
    "Sessions that were issued, by why.",
    (Label("why", tuple(Why)),),
)
ISSUE_DELAY = Metric(
    "rolecall_session_issue_delay_seconds",
    Kind.HISTOGRAM,
    "From when a session was due to when it was issued.",
    (Label("why", tuple(Why)),),
    _WAIT_EDGES,
)
DENIALS = Metric(
    "rolecall_denials_total", Kind.COUNTER, "Pods that the policy has denied a role.", (_REASON,)
)
REFUSALS = Metric(
    "rolecall_refusals_total", Kind.COUNTER, "Pods whose role STS has refused.", (_REASON,)
)
REMARKS = Metric(
    "rolecall_remarks_total",
    Kind.COUNTER,
    "Pods that are served, and of which somebody should know something.",
    (_REASON,),
)
EVENTS = Metric(
    "rolecall_events_total",
    Kind.COUNTER,
    "Events on pods that the API server has taken, new ones and later counts of these.",
    (Label("reason", tuple(EventReason)),),
)
EVENTS_DROPPED = Metric(
    "rolecall_events_dropped_total",
    Kind.COUNTER,
    "Events on pods that were not written, by why. Log and audit records have what they would say.",
    (Label("why", tuple(Dropped)),),
)
BUGS = Metric(
    "rolecall_bugs_total",
    Kind.COUNTER,
    "Unforeseen errors around one object. Each has a traceback in the log; please report it.",
    (Label("boundary", ("object", "issue")),),
)
AGENTS_REFUSED = Metric(
    "rolecall_agent_calls_refused_total",
    Kind.COUNTER,
    "Calls of agents that were refused, by gRPC's status.",
    (Label("code", tuple(code.name for code in grpc.StatusCode)),),
)
TOKEN_REVIEWS = Metric(
    "rolecall_token_reviews_total",
    Kind.COUNTER,
    "Reviews of agents' tokens by the API server, by how they ended.",
    (Label("result", ("accepted", "refused", "no_agent", "unavailable", "not_allowed")),),
)
TOKENS_UNREVIEWED = Metric(
    "rolecall_tokens_accepted_unreviewed_total",
    Kind.COUNTER,
    "Times that an agent's token was accepted by its signature alone, since the API server was "
    "away: when an agent came, and every ten seconds while its stream is open.",
)
KEY_FETCHES = Metric(
    "rolecall_cluster_key_fetches_total",
    Kind.COUNTER,
    "Attempts to read the public keys by which the cluster signs tokens.",
    (Label("result", ("ok", "unavailable", "refused", "unusable")),),
)
CERTIFICATE_END = Metric(
    "rolecall_tls_certificate_not_after_timestamp_seconds",
    Kind.GAUGE,
    "When the certificate in use ends, as Unix time.",
)
CERTIFICATE_RELOADS = Metric(
    "rolecall_tls_reloads_total",
    Kind.COUNTER,
    "New certificates, by whether they could be used.",
    (Label("result", ("ok", "unusable")),),
)

METRICS = (
    PODS,
    NAMESPACES,
    QUARANTINED,
    MANIFEST_PROBLEMS,
    SYNCED,
    WATCH_FRESH,
    WATCH_LISTINGS,
    WATCH_INTERRUPTIONS,
    NODE_GUARD,
    NODES,
    SESSIONS,
    SESSIONS_IDLE,
    LEAST_REMAINING,
    HELD_RESTORED,
    DUE,
    OVERDUE,
    IN_FLIGHT,
    STS_RATE,
    STS_SLOWED,
    STS_ANSWERS,
    STS_CALLS,
    STS_DURATION,
    ISSUED,
    ISSUE_DELAY,
    DENIALS,
    REFUSALS,
    REMARKS,
    EVENTS,
    EVENTS_DROPPED,
    BUGS,
    AGENTS_REFUSED,
    TOKEN_REVIEWS,
    TOKENS_UNREVIEWED,
    KEY_FETCHES,
    CERTIFICATE_END,
    CERTIFICATE_RELOADS,
)


class Metrics:
    """What the server counts as it happens."""

    def __init__(self) -> None:
        self.sts_calls = Counter(STS_CALLS)
        self.sts_duration = Histogram(STS_DURATION)
        self.issued = Counter(ISSUED)
        self.issue_delay = Histogram(ISSUE_DELAY)
        self.denials = Counter(DENIALS)
        self.refusals = Counter(REFUSALS)
        self.remarks = Counter(REMARKS)
        self.events = Counter(EVENTS)
        self.events_dropped = Counter(EVENTS_DROPPED)
        self.bugs = Counter(BUGS)
        self.token_reviews = Counter(TOKEN_REVIEWS)
        self.tokens_unreviewed = Counter(TOKENS_UNREVIEWED)
        self.key_fetches = Counter(KEY_FETCHES)

    def recorders(self) -> tuple[Counter | Histogram, ...]:
        return tuple(vars(self).values())
