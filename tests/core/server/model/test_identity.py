"""An identity is all that STS sees; its digest is the key of a session."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_server.model.identity import Identity

READER = Identity("arn:aws:iam::111122223333:role/reader", "shop.web", timedelta(hours=1))
OTHER: dict[str, object] = {
    "role_arn": "arn:aws:iam::111122223333:role/writer",
    "session_name": "shop.worker",
    "duration": timedelta(hours=2),
    "external_id": "",
    "source_identity": "",
    "tags": (("team", "shop"),),
    "transitive_tags": ("team",),
    "policy": "",
    "policy_arns": ("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    "region": "eu-west-1",
}

texts = st.text(max_size=4)
identities = st.builds(
    Identity,
    role_arn=texts,
    session_name=texts,
    duration=st.integers(900, 903).map(lambda seconds: timedelta(seconds=seconds)),
    external_id=st.none() | texts,
    source_identity=st.none() | texts,
    tags=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
    transitive_tags=st.lists(texts, max_size=2).map(tuple),
    policy=st.none() | texts,
    policy_arns=st.lists(texts, max_size=2).map(tuple),
    region=texts,
)


def test_the_digest_is_the_same_on_every_replica_and_after_every_restart() -> None:
    """It is a constant of the wire: a claim of an agent names it."""
    assert READER.session_id == "390a69de75c3f3002c238c18e3d08ac2"


@pytest.mark.parametrize("field", [field.name for field in fields(Identity)])
def test_each_field_parts_sessions(field: str) -> None:
    """Pods share a session only where they agree on everything."""
    assert replace(READER, **{field: OTHER[field]}).session_id != READER.session_id  # type: ignore[arg-type]  # each value fits its field


@given(identities, identities)
def test_two_identities_share_a_digest_only_when_they_are_equal(
    one: Identity, two: Identity
) -> None:
    """No text in one field can pretend to be another field."""
    assert (one.session_id == two.session_id) == (one == two)
