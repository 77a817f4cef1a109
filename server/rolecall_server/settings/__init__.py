"""What an operator may set of the server, and what of it cannot be.

Each group is a module of its own; whoever is built from settings is handed its group.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rolecall_common.output import OutputSettings
from rolecall_common.settings.declare import Conflict, group
from rolecall_server.settings.annotations import AnnotationSettings
from rolecall_server.settings.aws import AwsSettings
from rolecall_server.settings.cluster import KubernetesSettings
from rolecall_server.settings.listening import AuthenticationMode, ListenSettings
from rolecall_server.settings.rules import RuleSettings
from rolecall_server.settings.sessions import SessionSettings
from rolecall_server.settings.sources import SourceSettings

# STS's own limit for a session that was obtained with a session.
CHAINED_LIMIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `rolecall server` is told."""

    sources: SourceSettings = group(SourceSettings, "Pods")
    kubernetes: KubernetesSettings = group(KubernetesSettings, "Kubernetes")
    listening: ListenSettings = group(ListenSettings, "Agents")
    aws: AwsSettings = group(AwsSettings, "AWS")
    sessions: SessionSettings = group(SessionSettings, "Sessions")
    rules: RuleSettings = group(RuleSettings, "Who may have what")
    annotations: AnnotationSettings = group(AnnotationSettings, "Annotations")
    output: OutputSettings = group(OutputSettings, "Log, audit and health")

    @property
    def session_duration(self) -> timedelta:
        """How long sessions really last: an hour at most where the server assumes a role first."""
        asked = self.sessions.session_duration
        return min(asked, CHAINED_LIMIT) if self.aws.assume_role_arn else asked

    @property
    def authentication(self) -> AuthenticationMode:
        """Who says which node an agent speaks for, where nothing is set as well."""
        usual = (
            AuthenticationMode.LOOPBACK
            if self.sources.manifests
            else AuthenticationMode.TOKEN_REVIEW
        )
        return self.listening.authentication or usual

    def conflicts(self) -> Iterator[Conflict]:
        if self.sources.manifests and self.authentication is AuthenticationMode.TOKEN_REVIEW:
            yield Conflict(
                "authentication",
                "the Kubernetes API vouches for pods of its own cluster, and manifests describe "
                "others: accepted is loopback",
            )
        if self.authentication is AuthenticationMode.LOOPBACK and not self.listening.is_on_loopback:
            yield Conflict(
                "listen",
                "authentication loopback takes agents at their word, so only a literal loopback "
                "address is accepted, such as 127.0.0.1:8443",
            )
        # Sessions that are too short as they were asked for are refused by their own group.
        if self.session_duration < self.sessions.session_duration and (
            reason := self.sessions.broken_by(CHAINED_LIMIT)
        ):
            yield Conflict("reported_early", f"assumeRoleArn makes STS chain roles: {reason}")

    def cautions(self) -> Iterator[str]:
        """Yield what works and should still be known: a sentence each, for the log at start."""
        if self.session_duration < self.sessions.session_duration:
            yield "sessionDuration is capped at 1h: assumeRoleArn makes STS chain roles"
        if self.session_duration < timedelta(hours=1):
            yield "sessions under 1h leave little time to repair an outage of STS"
