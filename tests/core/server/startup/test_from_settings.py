"""Every setting reaches the part that it is for."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta

import pytest

from rolecall_common.settings.declare import declared
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_server.credentials.rate_limiter import RateLimits
from rolecall_server.policy.allowed_roles import AllowedDialect
from rolecall_server.policy.namespace_rules import PermittedDialect
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.policy.rules import NamespaceMode
from rolecall_server.settings import Settings
from rolecall_server.startup import from_settings

HOUR = timedelta(hours=1)
BASE = BaseArn.parse("arn:aws:iam::111122223333:role/")
REQUIRED: Mapping[str, Raw] = {"manifests": "pods", "tls_certificate": "c", "tls_key": "k"}
# Another value than the default for every setting of sessions, rules and annotations.
OTHER: Mapping[str, Raw] = {
    "session_duration": "2h",
    "session_name": "{cluster}.{pod}",
    "cluster_name": "blue",
    "session_tags": "team={label:team},app={label:app}",
    "transitive_tags": "team",
    "pod_tags": "cost",
    "source_identity": "{namespace}",
    "session_policy": '{"Version": "2012-10-17"}',
    "policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "reported_early": "4m",
    "allow_short_sessions": "true",
    "namespace_policy": "warn",
    "permitted_dialect": "kiam",
    "allowed_roles_dialect": "regexp",
    "allowed_accounts": "111122223333",
    "default_role": "reader",
    "allow_pod_session_name": "true",
    "allow_pod_external_id": "true",
    "imdsv2": "required",
    "role_annotation": "a/role",
    "external_id_annotation": "a/external-id",
    "session_name_annotation": "a/session-name",
    "session_tag_annotation": "a/tag.",
    "permitted_annotation": "a/permitted",
    "allowed_roles_annotation": "a/allowed",
    "default_role_annotation": "a/default",
    "imdsv2_annotation": "a/imdsv2",
    "sts_calls_per_second": "7",
    "sts_burst": "8",
    "sts_concurrency": "9",
    "region": "eu-west-1",
    "fips": "true",
    "assume_role_arn": "arn:aws:iam::111122223333:role/rolecall",
}


def settings(**flags: Raw) -> Settings:
    return load_settings(Settings, {**REQUIRED, **flags}, {}, None)


def test_the_rules_of_the_cluster_are_what_was_set() -> None:
    """Each setting in its place, and the tags' labels among what is kept of pods."""
    rules = from_settings.policy_settings(settings(**OTHER), BASE, 2 * HOUR, "eu-west-1")

    assert (rules.base, rules.region, rules.session_duration) == (BASE, "eu-west-1", 2 * HOUR)
    assert rules.namespace_mode is NamespaceMode.WARN
    assert rules.permitted_dialect is PermittedDialect.KIAM
    assert rules.allowed_dialect is AllowedDialect.REGEXP
    assert rules.default_role == "reader"
    assert rules.allowed_accounts == {"111122223333"}
    assert rules.allow_pod_external_id
    assert rules.allow_pod_session_name
    assert rules.cluster_name == "blue"
    assert [key for key, _ in rules.session_tags] == ["team", "app"]
    assert rules.transitive_tags == {"team"}
    assert rules.source_identity is not None
    assert rules.session_policy == '{"Version":"2012-10-17"}'
    assert rules.policy_arns == ("arn:aws:iam::aws:policy/ReadOnlyAccess",)
    assert rules.parts_each_pod


def test_the_annotations_that_are_read_are_those_that_were_set() -> None:
    """All of them can be renamed, for clusters that come from elsewhere."""
    keys = from_settings.annotation_keys(settings(**OTHER))

    assert keys.role == ("a/role",)
    assert keys.external_id == ("a/external-id",)
    assert keys.session_name == ("a/session-name",)
    assert keys.session_tag_prefix == ("a/tag.",)
    assert keys.permitted == ("a/permitted",)
    assert keys.allowed_roles == ("a/allowed",)
    assert keys.default_role == ("a/default",)
    assert keys.imdsv2 == ("a/imdsv2",)
    assert keys.pod_tags == {"cost"}
    assert keys.labels == ("app", "team")


def test_the_engine_is_told_its_limits_and_what_endpoints_need() -> None:
    """The numbers of STS, the lead of what pods are told, and IMDSv2 for the unknown."""
    rules = from_settings.broker_rules(settings(**OTHER), BASE, b"k" * 32)

    assert rules.token_secret == b"k" * 32
    assert rules.base_arn == "arn:aws:iam::111122223333:role/"
    assert rules.imdsv2_required
    assert rules.reported_early == timedelta(minutes=4)
    assert rules.allow_short_sessions
    assert rules.limits == RateLimits(7, 8, 9)


def test_sts_is_reached_as_it_was_set() -> None:
    """A switch that is off leaves FIPS to AWS's own configuration; it does not forbid it."""
    options = from_settings.sts_options(settings(**OTHER))

    assert (options.region, options.fips, options.concurrency) == ("eu-west-1", True, 9)
    assert options.assume_role_arn == "arn:aws:iam::111122223333:role/rolecall"
    assert from_settings.sts_options(settings()).fips is None


PARTS = ("sessions", "rules", "annotations")


@pytest.mark.parametrize(
    "field",
    [
        setting.field
        for part in PARTS
        for each in fields(Settings)
        if each.name == part
        for setting in declared(each.metadata["kind"])
    ],
)
def test_no_setting_of_sessions_and_rules_is_without_effect(field: str) -> None:
    """A setting that nothing is built from would be a lie: each changes what parts are told."""
    needs: dict[str, dict[str, Raw]] = {
        "session_name": {"cluster_name": "blue"},
        "transitive_tags": {"session_tags": "team=a"},
    }
    before = settings(**needs.get(field, {}))
    after = settings(**{**needs.get(field, {}), field: OTHER[field]})

    def told(one: Settings) -> tuple[object, ...]:
        return (
            from_settings.policy_settings(one, BASE, one.session_duration, ""),
            from_settings.broker_rules(one, BASE, bytes(32)),
        )

    assert told(before) != told(after)
