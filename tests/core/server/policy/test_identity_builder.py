"""What STS will see of a pod: external ids, session names, tags, policies (contract §4)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core import hostile
from core.server.policy.rig import SETTINGS, decide, entitled, remarks, why_not
from rolecall_proto.values import Reason
from rolecall_server.model.annotations import AnnotationKeys, Wish
from rolecall_server.model.decisions import Denied
from rolecall_server.policy.session_names import Template
from rolecall_server.policy.session_tags import TagTemplate


def test_external_ids_part_identities() -> None:
    """The same role with another external id is another session."""
    settings = replace(SETTINGS, allow_pod_external_id=True)
    one = entitled(Wish(role="reader", external_id="one"), settings=settings)
    two = entitled(Wish(role="reader", external_id="two"), settings=settings)

    assert one.identity.external_id == "one"
    assert len({e.identity.session_id for e in (one, two, entitled(settings=settings))}) == 3


def test_an_external_id_that_is_not_allowed_is_a_denial() -> None:
    """Never a call without it: whoever relies on it would be deceived."""
    wish = Wish(role="reader", external_id="one")

    assert why_not(decide(wish)) is Reason.EXTERNAL_ID_FORBIDDEN


@pytest.mark.parametrize("external_id", hostile.EXTERNAL_IDS)
def test_a_hostile_external_id_is_denied(external_id: str) -> None:
    """Whatever STS would refuse is refused before it is asked."""
    settings = replace(SETTINGS, allow_pod_external_id=True)
    decision = decide(Wish(role="reader", external_id=external_id), settings=settings)

    assert isinstance(decision, Denied)
    assert decision.reason is Reason.EXTERNAL_ID_MALFORMED
    assert decision.sentence.isprintable()


def test_a_session_name_of_a_pod_counts_where_it_is_allowed() -> None:
    """Else it is ignored, and somebody is told."""
    wish = Wish(role="reader", session_name="my name")
    allowed = entitled(wish, settings=replace(SETTINGS, allow_pod_session_name=True))

    assert allowed.identity.session_name == "my-name"
    assert remarks(allowed) == []
    assert entitled(wish).identity == entitled().identity
    assert remarks(decide(wish)) == [Reason.SESSION_NAME_IGNORED]


@pytest.mark.parametrize(
    ("name", "allowed", "expected"),
    [(None, True, "kiam-kiam"), ("me", True, "kiam-me"), ("me", False, "kiam-kiam")],
)
def test_kiams_session_names_are_a_template(
    name: str | None, expected: str, *, allowed: bool
) -> None:
    """With a place for the pod's name, that is where it goes."""
    settings = replace(
        SETTINGS, session_name=Template.parse("kiam-{name}"), allow_pod_session_name=allowed
    )
    wish = Wish(role="reader", session_name=name)

    assert entitled(wish, settings=settings).identity.session_name == expected


def test_tags_say_what_the_operator_chose() -> None:
    """Sorted by key; one whose label is missing is left out; transitive where it is there."""
    settings = replace(
        SETTINGS,
        keys=AnnotationKeys(labels=("app", "tier"), pod_tags=frozenset({"team"})),
        session_tags=(
            ("where", TagTemplate.parse("{cluster}/{namespace}/{service_account} on {node}")),
            ("tier", TagTemplate.parse("{label:tier}")),
            ("app", TagTemplate.parse("app:{label:app}")),
        ),
        cluster_name="prod",
        transitive_tags=frozenset({"team", "app", "where"}),
    )
    wish = Wish(role="reader", tags=(("team", "a"),), labels=(("tier", "web"),))

    identity = entitled(wish, settings=settings).identity

    assert identity.tags == (
        ("team", "a"),
        ("tier", "web"),
        ("where", "prod/shop/web on node-a"),
    )
    assert identity.transitive_tags == ("team", "where")


@pytest.mark.parametrize("text", ["{", "{label:}", "{labels:x}", "{}", "a;b", "{pod", "\n"])
def test_a_tag_that_cannot_be_written_so_is_refused(text: str) -> None:
    """It is a setting: its fault ends the start."""
    with pytest.raises(ValueError, match="accepted are"):
        TagTemplate.parse(text)


@pytest.mark.parametrize("value", ["a;b", "x" * 257, "line\nbreak", "\ud800", "<b>"])
def test_a_tag_that_sts_would_refuse_is_a_denial(value: str) -> None:
    """Before STS is asked."""
    settings = replace(SETTINGS, keys=AnnotationKeys(pod_tags=frozenset({"team"})))
    decision = decide(Wish(role="reader", tags=(("team", value),)), settings=settings)

    assert isinstance(decision, Denied)
    assert decision.reason is Reason.TAGS_INVALID
    assert decision.sentence.isprintable()


def test_tags_may_be_of_any_script() -> None:
    """STS takes letters and digits of all of them."""
    settings = replace(SETTINGS, keys=AnnotationKeys(pod_tags=frozenset({"team"})))
    wish = Wish(role="reader", tags=(("team", "équipe 数 1"),))

    assert entitled(wish, settings=settings).identity.tags == (("team", "équipe 数 1"),)


def test_tags_that_are_not_allowed_are_remarked_on() -> None:
    """They are left out."""
    decision = decide(Wish(role="reader", refused_tags=2))

    assert remarks(decision) == [Reason.TAGS_IGNORED]


def test_source_identity_and_policies_come_from_the_server() -> None:
    """Every pod's calls carry them."""
    settings = replace(
        SETTINGS,
        source_identity=Template.parse("{namespace}"),
        session_policy='{"Version":"2012-10-17","Statement":[]}',
        policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
        session_duration=timedelta(minutes=30),
    )
    identity = entitled(settings=settings).identity

    assert identity.source_identity == "shop"
    assert identity.policy == settings.session_policy
    assert identity.policy_arns == settings.policy_arns
    assert identity.duration == timedelta(minutes=30)
