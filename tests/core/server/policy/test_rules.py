"""Rules that STS would refuse are refused at start."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.server.policy.rig import SETTINGS
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.policy.session_names import Template
from rolecall_server.policy.session_tags import TagTemplate


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"session_duration": timedelta(minutes=14)}, "15 minutes to 12 hours"),
        ({"session_duration": timedelta(hours=13)}, "15 minutes to 12 hours"),
        ({"default_role": "a//b"}, "defaultRole: 'a//b'"),
        ({"session_tags": (("c", TagTemplate.parse("{cluster}")),)}, "cluster's name is used"),
        ({"session_tags": (("a", TagTemplate.parse("{label:a}")),)}, "not among the kept"),
        ({"session_name": Template.parse("{cluster}")}, "cluster's name is used"),
        ({"transitive_tags": frozenset({"x"})}, "transitive tag 'x' is no session tag"),
        ({"keys": AnnotationKeys(pod_tags=frozenset({"a", "A"}))}, "'a' is configured twice"),
        ({"keys": AnnotationKeys(pod_tags=frozenset({"aws:x"}))}, "no key that STS takes"),
        ({"keys": AnnotationKeys(pod_tags=frozenset(map(str, range(51))))}, "51 session tags"),
        ({"session_policy": '{"a":"' + "x" * 2048 + '"}'}, "longer than 2048"),
    ],
)
def test_settings_that_sts_would_refuse_are_refused(changes: dict[str, object], said: str) -> None:
    """At start, each with what is accepted."""
    with pytest.raises(ValueError, match=said):
        replace(SETTINGS, **changes)


def test_settings_know_whether_pods_can_share() -> None:
    """By name, tag or source identity, a pod of its own is a session of its own."""
    assert not SETTINGS.parts_each_pod
    assert replace(SETTINGS, session_name=Template.parse("{uid}")).parts_each_pod
    assert replace(SETTINGS, session_tags=(("p", TagTemplate.parse("{pod}")),)).parts_each_pod
    assert replace(SETTINGS, source_identity=Template.parse("{pod}")).parts_each_pod
