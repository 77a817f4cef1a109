"""Settings: what sessions are like. What cannot keep the promises is refused, with the sum."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rolecall_common.settings import types
from rolecall_common.settings.declare import Conflict, setting
from rolecall_common.settings.durations import duration_text
from rolecall_server.model import renewal_window

# The promise: no credential with less reported life is handed out while STS answers.
PROMISED_LIFE = timedelta(minutes=10)
_RENEWED = f"{renewal_window.EARLIEST * 100:g} to {renewal_window.LATEST * 100:g} %"

_TAG_KEY = types.matching(r"[\w .:/=+@-]{1,128}", "the key of a session tag", "KEY")
_TEMPLATE = types.matching(
    r"([\w+=,.@-]|\{[a-z_]+\}){1,512}",
    "letters, digits, any of + = , . @ _ - and names in braces, such as {namespace}.{pod}",
    "TEMPLATE",
)
_TAG_VALUE = types.matching(
    r"([\w .:/=+@-]|\{[^{}]{1,320}\}){1,512}",
    "text with names in braces, such as {namespace} or {label:team}",
    "TEMPLATE",
)
_CLUSTER = types.matching(r"[\w+=,.@-]{1,64}", "letters, digits and any of + = , . @ _ -", "NAME")
# IAM's limits: 512 characters of a path, both slashes included, and 128 of a name.
_POLICY_ARN = types.matching(
    r"arn:aws[-a-z]*:iam::([0-9]{12}|aws):policy/([!-~]{1,510}/)?[\w+=,.@-]{1,128}",
    "a policy's ARN",
    "ARN",
)
_MOST_POLICY_ARNS = 10  # STS's limit.


def _read_policy(text: str) -> str:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    compact = json.dumps(document, separators=(",", ":"))
    if not isinstance(document, dict) or len(compact) > 2048:  # noqa: PLR2004 - STS's limit
        raise ValueError
    return compact


_POLICY = types.of_text(_read_policy, "a JSON object of at most 2048 characters", "JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What is asked of STS for each pod. Pods for which all of it agrees share one session."""

    session_duration: timedelta = setting(
        types.duration(timedelta(minutes=15), timedelta(hours=12)),
        f"How long a session lasts. It is renewed at {_RENEWED} of that.",
        default=timedelta(hours=1),
    )
    reported_early: timedelta = setting(
        types.duration(timedelta(0), timedelta(hours=1)),
        "How much earlier than the true end pods are told that a session ends.",
        default=timedelta(minutes=5),
    )
    allow_short_sessions: bool = setting(
        types.SWITCH,
        "Accept sessions that are too short to keep the promises, asked for or given.",
        default=False,
    )
    session_name: str = setting(
        _TEMPLATE,
        "The session's name in CloudTrail. Names: {namespace}, {service_account}, {pod}, {uid}, "
        "{node}, {cluster}, {role}, {name} (the pod's own, where that is allowed). "
        "With {pod} or {uid} no two pods share a session.",
        default="{namespace}.{service_account}",
    )
    cluster_name: str | None = setting(
        types.optional(_CLUSTER), "What {cluster} stands for.", default=None
    )
    session_tags: tuple[tuple[str, str], ...] = setting(
        types.pairs(_TAG_KEY, _TAG_VALUE),
        "Tags of every session, such as k8s-namespace={namespace} or team={label:team}. "
        "Roles must allow sts:TagSession.",
        default=(),
    )
    transitive_tags: tuple[str, ...] = setting(
        types.several(_TAG_KEY), "Keys of tags that stay when roles are chained.", default=()
    )
    pod_tags: tuple[str, ...] = setting(
        types.several(_TAG_KEY), "Keys of tags that a pod may set by annotation.", default=()
    )
    source_identity: str | None = setting(
        types.optional(_TEMPLATE),
        "The source identity of every session, written like sessionName.",
        default=None,
    )
    session_policy: str | None = setting(
        types.optional(_POLICY), "An inline policy that limits every session further.", default=None
    )
    policy_arns: tuple[str, ...] = setting(
        types.several(_POLICY_ARN), "Managed policies that limit every session.", default=()
    )

    @property
    def least_reported_life(self) -> timedelta:
        """What a pod is told to have left just before the latest renewal."""
        return self.life_left_of(self.session_duration)

    def life_left_of(self, duration: timedelta) -> timedelta:
        """Return the same for sessions that last *duration*, whatever was asked for."""
        return duration * renewal_window.LEFT_AT_LATEST - self.reported_early

    def broken_by(self, cap: timedelta) -> str | None:
        """Return why the promise cannot be kept where sessions last *cap* at most, or None."""
        duration = min(self.session_duration, cap)
        if self.life_left_of(duration) >= PROMISED_LIFE or self.allow_short_sessions:
            return None
        most = duration * renewal_window.LEFT_AT_LATEST - PROMISED_LIFE
        return (
            f"sessions last {duration_text(cap)} at most, and {self._sum(duration)}: accepted is "
            f"{_whole_minutes(most)} and less, or any with allowShortSessions"
        )

    def conflicts(self) -> Iterator[Conflict]:
        if self.least_reported_life < PROMISED_LIFE and not self.allow_short_sessions:
            least = (PROMISED_LIFE + self.reported_early) / renewal_window.LEFT_AT_LATEST
            # Rounded up, so that what the message names is accepted.
            enough = _whole_minutes(least + timedelta(minutes=1) - timedelta.resolution)
            yield Conflict(
                "session_duration",
                f"{self._sum(self.session_duration)}: accepted are {enough} and more, or any with "
                "allowShortSessions",
            )
        if "{cluster}" in self.session_name and self.cluster_name is None:
            yield Conflict("session_name", "{cluster} needs clusterName")
        if len(self.policy_arns) > _MOST_POLICY_ARNS:
            yield Conflict("policy_arns", f"STS accepts at most {_MOST_POLICY_ARNS}")
        known = {key for key, _ in self.session_tags} | set(self.pod_tags)
        for key in sorted(set(self.transitive_tags) - known):
            yield Conflict("transitive_tags", f"no session has a tag {key!r}")

    def _sum(self, duration: timedelta) -> str:
        return (
            f"just before a renewal a pod would be told {renewal_window.LEFT_AT_LATEST} x "
            f"{duration_text(duration)} - {duration_text(self.reported_early)} (reportedEarly) = "
            f"{_signed(self.life_left_of(duration))}, and it is promised "
            f"{duration_text(PROMISED_LIFE)}"
        )


def _whole_minutes(duration: timedelta) -> str:
    return duration_text(duration // timedelta(minutes=1) * timedelta(minutes=1))


def _signed(duration: timedelta) -> str:
    return f"-{duration_text(-duration)}" if duration < timedelta() else duration_text(duration)
