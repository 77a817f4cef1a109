"""What a request gets where the kernel vouches for another pod, for none, or cannot."""

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address

from fakes.endpoint_rig import KEYS, known, pod
from rolecall_agent.store.cache import Cache
from rolecall_agent.store.standing import (
    REWRITTEN,
    UNCONFIRMED,
    UNKNOWN,
    Granted,
    Refused,
    Unwitnessed,
)
from rolecall_agent.witness.observation import Doubt, Holder, Holders
from rolecall_proto.values import Address, Assignment, PodUid, SnapshotEnd

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HERE = ip_address("10.0.0.1")
FIRST = pod("10.0.0.1", uid="first")
SECOND = pod("10.0.0.1", uid="second")
NODE = pod("10.0.0.1", uid="node", host_network=True)


def cache(holders: Mapping[Address, Holder] | None, *pods: Assignment) -> Cache:
    made = Cache(None if holders is None else Holders(holders))
    made.begin()
    for update in (KEYS, *known(*pods), SnapshotEnd()):
        made.apply(update, NOW)
    return made


def test_the_pod_that_the_kernel_vouches_for_is_served() -> None:
    """Also where the API has two at that address."""
    standing = cache({HERE: PodUid("second")}, FIRST, SECOND).standing(HERE, NOW)

    assert isinstance(standing, Granted)
    assert standing.assignment == SECOND


def test_a_mapped_address_is_the_one_it_maps() -> None:
    """An IPv6 socket shows IPv4 peers so."""
    mapped = ip_address("::ffff:10.0.0.1")

    assert isinstance(cache({HERE: PodUid("first")}, FIRST).standing(mapped, NOW), Granted)


def test_nobody_is_served_while_the_kernel_vouches_for_none() -> None:
    """Suspended, never looked at, or vouched for as a pod that the API does not name there."""
    for holders in ({HERE: Doubt.SUSPENDED}, {}, {HERE: PodUid("second")}):
        assert cache(holders, FIRST).standing(HERE, NOW) == UNCONFIRMED


def test_without_a_witness_a_pod_is_refused() -> None:
    """And the reason is its own, not its role's."""
    assert cache({HERE: Doubt.UNWITNESSED}, FIRST).standing(HERE, NOW) == Unwitnessed(FIRST)


def test_without_a_witness_the_api_is_believed_where_that_is_accepted() -> None:
    """As where the kernel is not asked at all: unless two claim the address."""
    for holders in ({HERE: Doubt.ACCEPTED}, None):
        assert isinstance(cache(holders, FIRST).standing(HERE, NOW), Granted)
        assert cache(holders, FIRST, SECOND).standing(HERE, NOW) == UNKNOWN


def test_the_nodes_own_address_is_refused_whoever_is_vouched_for() -> None:
    """Every process of the node has it."""
    made = cache({HERE: PodUid("first")}, FIRST, NODE)

    assert isinstance(made.standing(HERE, NOW), Refused)
    assert made.claims(HERE) == {}


def test_an_address_that_nobody_has_is_unknown() -> None:
    """Whatever is remembered of it."""
    assert cache({HERE: PodUid("first")}).standing(HERE, NOW) == UNKNOWN


def test_another_witness_is_another_generation() -> None:
    """What was answered before is not answered again from memory."""
    made = cache({HERE: PodUid("first")}, FIRST)
    before = made.generation
    made.holders_changed()

    assert made.generation != before


def test_who_was_granted_is_nobody_as_soon_as_the_kernel_says_so() -> None:
    """Also before anybody is told of it: a request may be answered in between."""
    holders = Holders({HERE: PodUid("first")})
    made = Cache(holders)
    made.begin()
    for update in (KEYS, *known(FIRST, SECOND), SnapshotEnd()):
        made.apply(update, NOW)
    for uid, assignment in ((PodUid("first"), FIRST), (PodUid("second"), SECOND)):
        holders[HERE] = uid
        for _ in range(2):
            standing = made.standing(HERE, NOW)
            assert isinstance(standing, Granted)
            assert standing.assignment == assignment
    del holders[HERE]

    assert made.standing(HERE, NOW) == UNCONFIRMED


def test_an_address_of_the_node_is_nobody_s_for_good() -> None:
    """Unless a pod is known there: the API may name one that the network rewrites to."""
    for pods, expected in (((), REWRITTEN), ((NODE,), Refused(NODE)), ((FIRST,), UNCONFIRMED)):
        made = Cache(Holders(), {HERE})
        made.begin()
        for update in (KEYS, *known(*pods), SnapshotEnd()):
            made.apply(update, NOW)

        assert made.standing(HERE, NOW) == expected
