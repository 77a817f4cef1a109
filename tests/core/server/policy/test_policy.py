"""Policy: who may have what, and why not (contract §1, §3 and §4)."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import hostile
from core.server.policy.rig import (
    FAR,
    OPEN,
    SETTINGS,
    P,
    decide,
    entitled,
    pod,
    remarks,
    why_not,
)
from rolecall_proto.values import NodeName, PodUid, Reason
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys, Wish
from rolecall_server.model.decisions import GONE, Decision, Denied, Entitled, Pending
from rolecall_server.model.identity import Identity
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.policy.allowed_roles import AllowedDialect
from rolecall_server.policy.namespace_rules import PermittedDialect
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.rules import NamespaceMode


def test_a_pod_with_a_permitted_role_is_entitled_to_its_identity() -> None:
    """And to nothing that nobody asked for."""
    assert decide() == Entitled(
        identity=Identity(
            role_arn=P + "reader",
            session_name="shop.web",
            duration=timedelta(hours=1),
            region="eu-west-1",
        ),
        role_shown="reader",
    )


def test_pods_that_agree_share_an_identity_and_others_do_not() -> None:
    """Another service account is another session name, so another session."""
    policy = Policy(SETTINGS)
    same = policy.decide(pod(uid=PodUid("33"), name="web-2", node=NodeName("node-b")), OPEN)
    other = policy.decide(pod(service_account="admin"), OPEN)

    assert same == entitled()
    assert isinstance(other, Entitled)
    assert other.identity.session_id != entitled().identity.session_id


def test_a_pod_without_a_role_has_none() -> None:
    """Neither without a wish nor with one for something else."""
    assert why_not(decide(None)) is Reason.NO_ROLE
    assert why_not(decide(Wish(external_id="abc"))) is Reason.NO_ROLE


@pytest.mark.parametrize("role", ["arn:", "../admin", hostile.FULLWIDTH, "a//b"])
def test_a_malformed_role_is_denied_with_its_fault(role: str) -> None:
    """The sentence says what is wrong."""
    decision = decide(Wish(role=role))

    assert isinstance(decision, Denied)
    assert decision.reason is Reason.ROLE_MALFORMED
    assert decision.sentence.startswith("the role '")


def test_a_namespace_that_is_not_known_yet_is_waited_for() -> None:
    """Also by a pod without a role: its namespace may have a default for it."""
    policy = Policy(SETTINGS)

    assert policy.decide(pod(), None) == Pending(Reason.NAMESPACE_UNKNOWN)
    assert policy.decide(pod(None), None) == Pending(Reason.NAMESPACE_UNKNOWN)
    assert why_not(policy.decide(pod(Wish(role="")), None)) is Reason.NO_ROLE


def test_in_a_namespace_that_is_gone_nobody_has_a_role() -> None:
    """Known to be gone is not the same as not known yet."""
    policy = Policy(replace(SETTINGS, default_role="basic", namespace_mode=NamespaceMode.OFF))

    assert why_not(policy.decide(pod(), GONE)) is Reason.NAMESPACE_GONE
    assert why_not(policy.decide(pod(None), GONE)) is Reason.NO_ROLE


@pytest.mark.parametrize(
    "namespace",
    [
        Namespace("shop"),
        Namespace("shop", permitted=""),
        Namespace("shop", permitted="other"),
        Namespace("shop", permitted="["),
        Namespace("shop", allowed_roles="[]"),
        Namespace("shop", permitted=".*", allowed_roles="[]"),
    ],
)
def test_a_namespace_that_does_not_permit_the_role_denies_it(namespace: Namespace) -> None:
    """The sentence names namespace and role."""
    decision = decide(namespace=namespace)

    assert isinstance(decision, Denied)
    assert decision.reason is Reason.NAMESPACE_FORBIDS
    assert decision.sentence.startswith(f"namespace shop does not permit the role {P}reader: it")


def test_in_warn_mode_it_is_served_and_said() -> None:
    """What would be denied has the same reason and sentence as the denial."""
    closed = Namespace("shop")
    enforced = decide(namespace=closed)
    warned = entitled(
        namespace=closed, settings=replace(SETTINGS, namespace_mode=NamespaceMode.WARN)
    )

    assert isinstance(enforced, Denied)
    assert warned.identity == entitled().identity
    assert [(note.reason, note.sentence) for note in warned.notes] == [
        (enforced.reason, enforced.sentence)
    ]


def test_warn_mode_has_nothing_to_say_of_what_is_permitted() -> None:
    """So that silence means ready to enforce."""
    assert remarks(decide(settings=replace(SETTINGS, namespace_mode=NamespaceMode.WARN))) == []


def test_with_namespace_rules_off_every_namespace_permits() -> None:
    """But it has to be there."""
    off = replace(SETTINGS, namespace_mode=NamespaceMode.OFF)

    assert remarks(decide(namespace=Namespace("shop", permitted="["), settings=off)) == []
    assert Policy(off).decide(pod(), None) == Pending(Reason.NAMESPACE_UNKNOWN)


def test_alternatives_of_a_rule_do_not_escape_it() -> None:
    """In kiam they do, and with its dialect they still do."""
    leaky = Namespace("shop", permitted=f"{P}a|{P}b")
    kiam = replace(SETTINGS, permitted_dialect=PermittedDialect.KIAM)

    assert why_not(decide(Wish(role="a-admin"), leaky)) is Reason.NAMESPACE_FORBIDS
    assert why_not(decide(Wish(role="a-admin"), leaky, kiam)) is None


def test_only_allowed_accounts_are_reached() -> None:
    """Whatever the namespace permits, in whatever mode."""
    for mode in NamespaceMode:
        settings = replace(
            SETTINGS, allowed_accounts=frozenset({"111122223333"}), namespace_mode=mode
        )

        assert why_not(decide(settings=settings)) is None
        assert why_not(decide(Wish(role=FAR), settings=settings)) is Reason.ACCOUNT_FORBIDDEN


def test_the_default_role_is_for_pods_without_an_annotation() -> None:
    """An empty annotation is a no, and an own role comes first."""
    settings = replace(SETTINGS, default_role="basic")

    assert entitled(None, settings=settings).role_shown == "basic"
    assert entitled(Wish(session_name="x"), settings=settings).role_shown == "basic"
    assert entitled(settings=settings).role_shown == "reader"
    assert why_not(decide(Wish(role=""), settings=settings)) is Reason.NO_ROLE


def test_a_namespaces_own_default_comes_before_the_clusters() -> None:
    """An empty one shuts the cluster's out, a malformed one is denied."""
    settings = replace(SETTINGS, default_role="basic")

    def default(text: str) -> Decision:
        return decide(None, replace(OPEN, default_role=text), settings)

    mine = default("mine")
    assert isinstance(mine, Entitled)
    assert mine.role_shown == "mine"
    assert why_not(default("")) is Reason.NO_ROLE
    assert why_not(default("a//b")) is Reason.ROLE_MALFORMED


def test_the_default_role_needs_the_namespaces_permission() -> None:
    """But with kube2iam's rules, where the cluster's default never did."""
    closed = Namespace("shop", allowed_roles="[]", default_role=None)
    settings = replace(SETTINGS, default_role="basic")
    assert why_not(decide(None, closed, settings)) is Reason.NAMESPACE_FORBIDS

    for dialect in (AllowedDialect.KUBE2IAM, AllowedDialect.KUBE2IAM_REGEXP):
        loose = replace(settings, allowed_dialect=dialect)
        own = replace(closed, default_role="own")
        assert why_not(decide(None, closed, loose)) is None
        assert why_not(decide(Wish(role="/basic"), closed, loose)) is None
        assert why_not(decide(Wish(role="other"), closed, loose)) is Reason.NAMESPACE_FORBIDS
        assert why_not(decide(None, own, loose)) is Reason.NAMESPACE_FORBIDS


def test_a_mirror_pod_never_has_a_role() -> None:
    """Not its own, not a default; one that asks for none is not complained about."""
    policy = Policy(replace(SETTINGS, default_role="basic", namespace_mode=NamespaceMode.OFF))

    assert why_not(policy.decide(pod(mirror=True), OPEN)) is Reason.MIRROR_POD
    assert why_not(policy.decide(pod(mirror=True), None)) is Reason.MIRROR_POD
    assert why_not(policy.decide(pod(None, mirror=True), OPEN)) is Reason.NO_ROLE


def test_a_pod_on_its_nodes_network_is_entitled_and_remarked_on() -> None:
    """Its address proves nothing, so the metadata endpoint will not serve it."""
    decision = Policy(SETTINGS).decide(pod(host_network=True), OPEN)

    assert remarks(decision) == [Reason.HOST_NETWORK_UNSUPPORTED]


def test_what_is_wrong_with_a_rule_that_permits_is_remarked_on() -> None:
    """An entry that permits nothing, and a rule that permits everything."""
    partly = Namespace("shop", allowed_roles='["reader", ""]')
    wide = Namespace("shop", permitted=".*")

    assert remarks(decide(namespace=partly)) == [Reason.RULE_PARTLY_INVALID]
    assert remarks(decide(namespace=wide)) == [Reason.RULE_PERMITS_EVERYTHING]


def test_most_pods_share_one_decision() -> None:
    """Ten thousand pods without a role do not cost ten thousand decisions."""
    policy = Policy(SETTINGS)

    assert policy.decide(pod(None), OPEN) is policy.decide(pod(None, name="b"), OPEN)


@pytest.mark.parametrize("annotations", hostile.ANNOTATIONS)
def test_hostile_annotations_get_a_decision(annotations: dict[str, str]) -> None:
    """On pod and on namespace: nothing is raised, and nobody gets what was not permitted."""
    settings = replace(
        SETTINGS,
        keys=AnnotationKeys(pod_tags=frozenset({"team"})),
        allow_pod_external_id=True,
        allow_pod_session_name=True,
    )
    policy = Policy(settings)
    role = {"iam.amazonaws.com/role": "reader"}
    metadata = kube_objects.Metadata("web-1", "shop", "1", {**role, **annotations})
    parsed = Pod.parse(kube_objects.Pod(metadata), settings.keys)
    namespace = Namespace.parse(
        kube_objects.Namespace(kube_objects.Metadata("shop", annotations=dict(annotations))),
        settings.keys,
    )
    assert isinstance(parsed, Pod)
    assert isinstance(namespace, Namespace)

    assert not isinstance(policy.decide(parsed, namespace), Entitled)
    decision = policy.decide(parsed, OPEN)
    if isinstance(decision, Denied):
        assert decision.sentence.isprintable()


TEXT = st.text(max_size=12) | st.sampled_from(["reader", "/reader", FAR, ""])


@given(
    wish=st.none()
    | st.builds(
        Wish,
        role=st.none() | TEXT,
        external_id=st.none() | TEXT,
        session_name=st.none() | TEXT,
        tags=st.tuples(st.tuples(st.just("team"), TEXT)),
    ),
    namespace=st.builds(
        Namespace,
        st.just("shop"),
        permitted=st.none() | TEXT,
        allowed_roles=st.none() | TEXT,
        default_role=st.none() | TEXT,
    ),
    mirror=st.booleans(),
)
def test_whatever_is_written_gets_a_decision(
    wish: Wish | None, namespace: Namespace, *, mirror: bool
) -> None:
    """In every dialect and mode, and every sentence can be logged as it is."""
    for mode, one, other in itertools.product(NamespaceMode, PermittedDialect, AllowedDialect):
        settings = replace(
            SETTINGS, namespace_mode=mode, permitted_dialect=one, allowed_dialect=other
        )
        decision = Policy(settings).decide(pod(wish, mirror=mirror), namespace)

        if isinstance(decision, Denied):
            assert decision.sentence.isprintable()
        if isinstance(decision, Entitled):
            assert not mirror
            assert all(note.sentence.isprintable() for note in decision.notes)
