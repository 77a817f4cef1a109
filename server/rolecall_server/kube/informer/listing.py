"""Gathers a listing until it is whole: from pages, or from the first events of a watch."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from rolecall_server.kube.informer.decoder import Deleted, Event, Page, Present
from rolecall_server.kube.informer.resources import Resource
from rolecall_server.model.pods import ObjectUnusable
from rolecall_server.model.source import Change

V = TypeVar("V")


class Listing(Generic[V]):
    """Everything that was told so far, by what it is known by. Half a listing is told to nobody."""

    def __init__(self, resource: Resource[V]) -> None:
        self._resource = resource
        self._found: dict[str, V | ObjectUnusable] = {}

    def add_page(self, page: Page[V]) -> None:
        for each in page.objects:
            self._put(each)

    def add_event(self, event: Event[V]) -> None:
        """Take in one event; of a bookmark nothing is kept."""
        match event:
            case Present(each):
                self._put(each)
            case Deleted(key):
                self._found.pop(key, None)

    def changes(self) -> Iterator[Change]:
        """Yield the listing, and then what had to be left out of it."""
        found = self._found.values()
        yield self._resource.listed(each for each in found if not isinstance(each, ObjectUnusable))
        yield from (each for each in found if isinstance(each, ObjectUnusable))

    def _put(self, each: V | ObjectUnusable) -> None:
        key = each.key if isinstance(each, ObjectUnusable) else self._resource.key(each)
        self._found[key] = each


def changes_of(resource: Resource[V], event: Event[V]) -> Iterator[Change]:
    """Yield what *event* changes, where everything before it was told."""
    match event:
        case Present(each):
            yield each if isinstance(each, ObjectUnusable) else resource.changed(each)
        case Deleted(key) if key:
            yield resource.gone(key)
