"""Which of the node's own items pods may be told, and what is kept of them."""

from datetime import UTC, datetime, timedelta

import pytest

from rolecall_agent.decision import COMMON_ITEMS, Item
from rolecall_agent.metadata.item_cache import ItemCache, Missed, Result
from rolecall_agent.metadata.items import ROOT, listings

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# How long what is no value is not asked for again.
RESTS = [(Missed.REFUSED, 60 * SECOND), (Missed.UNAVAILABLE, SECOND)]
LINES = {
    ROOT: b"1.0\nlatest",
    "": b"meta-data",
    "meta-data": b"iam/\ninstance-id\ninstance-type\nplacement/\nservices/",
    "meta-data/iam": b"info\nsecurity-credentials/",
    "meta-data/placement": b"availability-zone\navailability-zone-id\nregion",
    "meta-data/services": b"domain\npartition",
}


def test_listings_lead_to_what_there_is() -> None:
    """Made by us: nothing of the node's own listings is in them."""
    assert dict(listings(COMMON_ITEMS)) == LINES


def test_the_identity_document_is_listed_where_it_is_told() -> None:
    """And nothing beside it: EC2 has its signatures there."""
    found = listings((*COMMON_ITEMS, Item.IDENTITY_DOCUMENT))

    assert dict(found) == {
        **LINES,
        "": b"dynamic\nmeta-data",
        "dynamic": b"instance-identity/",
        "dynamic/instance-identity": b"document",
    }


def test_without_items_only_the_role_is_listed() -> None:
    """A folder that would be empty is none."""
    assert dict(listings(())) == {
        ROOT: LINES[ROOT],
        "": b"meta-data",
        "meta-data": b"iam/",
        "meta-data/iam": LINES["meta-data/iam"],
    }


def test_an_item_that_is_not_offered_is_refused_and_never_asked_for() -> None:
    """Whatever is known of it."""
    items = ItemCache(COMMON_ITEMS)
    items.put(Item.IDENTITY_DOCUMENT, b"{}", NOW)

    assert items.find(Item.IDENTITY_DOCUMENT, NOW) is Missed.REFUSED
    assert not items.is_due(Item.IDENTITY_DOCUMENT, NOW + timedelta(days=1))


@pytest.mark.parametrize(("missed", "rest"), RESTS)
def test_a_value_is_served_on_while_it_is_asked_for_again(missed: Missed, rest: timedelta) -> None:
    """No answer waits for the network twice, and neither a silence nor a no takes it away."""
    items = ItemCache(COMMON_ITEMS)
    items.put(Item.REGION, b"eu-central-1", NOW)
    later = NOW + timedelta(minutes=5)
    due = items.is_due(Item.REGION, later - SECOND), items.is_due(Item.REGION, later)
    items.put(Item.REGION, missed, later)

    assert due == (False, True)
    assert items.find(Item.REGION, later + timedelta(days=1)) == b"eu-central-1"
    assert not items.is_due(Item.REGION, later + rest - timedelta(milliseconds=1))
    assert items.is_due(Item.REGION, later + rest)


@pytest.mark.parametrize(("missed", "rest"), RESTS)
def test_a_miss_holds_for_a_while(missed: Missed, rest: timedelta) -> None:
    """Nobody waits and nobody is asked meanwhile: pods that ask at once are no load there."""
    items = ItemCache(COMMON_ITEMS)
    items.put(Item.REGION, missed, NOW)
    last = NOW + rest - timedelta(milliseconds=1)

    assert items.find(Item.REGION, last) is missed
    assert not items.is_due(Item.REGION, last)
    assert items.find(Item.REGION, NOW + rest) is None
    assert items.is_due(Item.REGION, NOW + rest)


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    """A second's rest is not an hour's."""
    items = ItemCache(COMMON_ITEMS)
    items.put(Item.REGION, Missed.UNAVAILABLE, NOW)

    assert items.is_due(Item.REGION, NOW - timedelta(hours=1))


def test_every_question_is_counted() -> None:
    """By how it ended."""
    items = ItemCache(COMMON_ITEMS)
    for told in (b"x", Missed.REFUSED, Missed.UNAVAILABLE, Missed.UNAVAILABLE):
        items.put(Item.REGION, told, NOW)

    assert items.results == {Result.OK: 1, Result.REFUSED: 1, Result.UNAVAILABLE: 2}
