"""What the settings mean to the parts that are built from them, once, at start."""

from datetime import timedelta

from rolecall_server.credentials.rate_limiter import RateLimits
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.policy.rules import PolicySettings
from rolecall_server.policy.session_names import Template
from rolecall_server.policy.session_tags import TagTemplate
from rolecall_server.settings import Settings
from rolecall_server.settings.rules import Imdsv2
from rolecall_server.sts.options import StsOptions


def annotation_keys(settings: Settings) -> AnnotationKeys:
    """Return which annotations are read, and which labels are kept."""
    keys, sessions = settings.annotations, settings.sessions
    labels = {label for _, tag in _tags(settings) for label in tag.labels}
    return AnnotationKeys(
        role=keys.role_annotation,
        external_id=keys.external_id_annotation,
        session_name=keys.session_name_annotation,
        session_tag_prefix=keys.session_tag_annotation,
        pod_tags=frozenset(sessions.pod_tags),
        labels=tuple(sorted(labels)),
        permitted=keys.permitted_annotation,
        allowed_roles=keys.allowed_roles_annotation,
        default_role=keys.default_role_annotation,
        imdsv2=keys.imdsv2_annotation,
    )


def policy_settings(
    settings: Settings, base: BaseArn | None, duration: timedelta, region: str
) -> PolicySettings:
    """Return the rules of the cluster; raises ValueError, a line per problem."""
    rules, sessions = settings.rules, settings.sessions
    return PolicySettings(
        base=base,
        region=region,
        session_duration=duration,
        keys=annotation_keys(settings),
        namespace_mode=rules.namespace_policy,
        permitted_dialect=rules.permitted_dialect,
        allowed_dialect=rules.allowed_roles_dialect,
        default_role=rules.default_role,
        allowed_accounts=frozenset(rules.allowed_accounts),
        allow_pod_external_id=rules.allow_pod_external_id,
        allow_pod_session_name=rules.allow_pod_session_name,
        session_name=Template.parse(sessions.session_name),
        cluster_name=sessions.cluster_name or "",
        session_tags=_tags(settings),
        transitive_tags=frozenset(sessions.transitive_tags),
        source_identity=(
            Template.parse(sessions.source_identity) if sessions.source_identity else None
        ),
        session_policy=sessions.session_policy,
        policy_arns=sessions.policy_arns,
    )


def broker_rules(settings: Settings, base: BaseArn | None, token_secret: bytes) -> BrokerRules:
    """Return what the engine is told."""
    aws = settings.aws
    return BrokerRules(
        token_secret=token_secret,
        base_arn=base.prefix if base is not None else "",
        imdsv2_required=settings.rules.imdsv2 is Imdsv2.REQUIRED,
        reported_early=settings.sessions.reported_early,
        allow_short_sessions=settings.sessions.allow_short_sessions,
        limits=RateLimits(aws.sts_calls_per_second, aws.sts_burst, aws.sts_concurrency),
    )


def sts_options(settings: Settings) -> StsOptions:
    """Return how STS is reached."""
    aws = settings.aws
    return StsOptions(
        region=aws.region,
        endpoint=aws.sts_endpoint,
        # A switch that is off leaves the decision to AWS's own configuration.
        fips=True if aws.fips else None,
        assume_role_arn=aws.assume_role_arn,
        concurrency=aws.sts_concurrency,
    )


def _tags(settings: Settings) -> tuple[tuple[str, TagTemplate], ...]:
    return tuple((key, TagTemplate.parse(text)) for key, text in settings.sessions.session_tags)
