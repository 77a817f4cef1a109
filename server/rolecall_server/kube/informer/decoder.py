"""What list and watch say, decoded totally: whatever one object says, the others are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from rolecall_common.quoting import quoted
from rolecall_server.kube.api import ApiError, UnavailableError, error_of
from rolecall_server.kube.informer.depth_limit import limit_depth
from rolecall_server.model import kube_objects
from rolecall_server.model.pods import ObjectUnusable

V = TypeVar("V")
E = TypeVar("E")
T = TypeVar("T")

_SERVER_FAULT = 500
# The bookmark with this annotation says that everything there is has been told.
_INITIAL_END = "k8s.io/initial-events-end"


class _ListMetadata(msgspec.Struct, frozen=True):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    next: str | None = msgspec.field(default=None, name="continue")


class _Page(msgspec.Struct, Generic[E], frozen=True):
    kind: str = ""
    metadata: _ListMetadata = _ListMetadata()
    items: list[E] | None = None


class _Event(msgspec.Struct, Generic[E], frozen=True):
    type: str
    object: E


# Of types that are made of a type at run time, mypy can know nothing.
_PAGE: Any = _Page
_EVENT: Any = _Event


class _OddMetadata(msgspec.Struct, frozen=True):
    """What can be said of an object that is otherwise unreadable."""

    uid: object = None
    name: object = None
    namespace: object = None
    resource_version: object = msgspec.field(default=None, name="resourceVersion")


class _Odd(msgspec.Struct, frozen=True):
    metadata: _OddMetadata | None = None


class _Status(msgspec.Struct, frozen=True):
    code: int | None = None
    message: str | None = None


_ODD = msgspec.json.Decoder(_Odd)
_ODD_PAGE = msgspec.json.Decoder(_Page[msgspec.Raw])
_ODD_EVENT = msgspec.json.Decoder(_Event[msgspec.Raw])
_ERROR = msgspec.json.Decoder(_Event[_Status])


@dataclass(frozen=True, slots=True)
class Page(Generic[V]):
    """One page of a list. *next* asks for the one after it; None after the last."""

    objects: tuple[V | ObjectUnusable, ...]
    resource_version: str
    next: str | None


@dataclass(frozen=True, slots=True)
class Present(Generic[V]):
    """An object is there, as it is said to be."""

    object: V | ObjectUnusable
    resource_version: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object is gone, or does not match the watch's selector any more."""

    key: str  # A pod's uid, a namespace's name; empty where it does not say.
    resource_version: str


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything up to here has been told; at *initial_end* everything that there is."""

    resource_version: str
    initial_end: bool


Event = Present[V] | Deleted | Bookmark


class ObjectDecoder(Generic[V]):
    """Decodes pages and events of objects of one kind, from bytes to values."""

    def __init__(
        self, kind: str, struct: type[E], parse: Callable[[E], V | ObjectUnusable]
    ) -> None:
        """*struct* is what msgspec decodes of an object; it has `metadata`, as every object."""
        self.kind = kind
        self._parse: Callable[[Any], V | ObjectUnusable] = parse
        self._one = msgspec.json.Decoder(struct)
        self._page: msgspec.json.Decoder[_Page[Any]] = msgspec.json.Decoder(_PAGE[struct])
        self._event: msgspec.json.Decoder[_Event[Any]] = msgspec.json.Decoder(_EVENT[struct])

    def page(self, body: bytes) -> Page[V]:
        """Read one page. Raises UnavailableError where it is none."""
        try:
            page = _decoded(self._page, body)
        except msgspec.ValidationError:
            return self._page_one_by_one(body)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"a page of {self.kind}s is no JSON: {error}") from error
        return self._page_of(page, self._parse)

    def event(self, line: bytes) -> Event[V] | None:
        """Read one event; None where it is of a kind that is not known.

        Raises UnavailableError where it is none, and what the API server says went wrong.
        """
        try:
            event = _decoded(self._event, line)
        except msgspec.ValidationError:
            return self._odd_event(line)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"an event of a {self.kind} is no JSON: {error}") from error
        metadata = event.object.metadata or kube_objects.Metadata()
        version = metadata.resource_version or ""
        match event.type:
            case "ADDED" | "MODIFIED":
                return Present(self._parse(event.object), version)
            case "DELETED":
                return Deleted(self._key(metadata.uid, metadata.name), version)
            case "BOOKMARK":
                return Bookmark(version, (metadata.annotations or {}).get(_INITIAL_END) == "true")
            case "ERROR":
                raise self._error(line)
            case _:
                return None

    def _page_one_by_one(self, body: bytes) -> Page[V]:
        """Read a page of which at least one object is odd: slower, and only that one is lost."""
        try:
            page = _decoded(_ODD_PAGE, body)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"a page of {self.kind}s is unreadable: {error}") from error
        return self._page_of(page, self.object)

    def _page_of(self, page: _Page[T], read: Callable[[T], V | ObjectUnusable]) -> Page[V]:
        """Return what *page* holds; raises UnavailableError where it is none, and not an empty one.

        Of an empty one, everything that was served is gone.
        """
        meta = page.metadata
        if not page.kind.endswith("List") or not meta.resource_version:
            raise UnavailableError(f"an answer that is no list of {self.kind}s")
        values = tuple(read(each) for each in page.items or ())
        return Page(values, meta.resource_version, meta.next or None)

    def _odd_event(self, line: bytes) -> Event[V] | None:
        """Read an event whose object is odd."""
        try:
            event = _decoded(_ODD_EVENT, line)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"an event of a {self.kind} is unreadable: {error}") from error
        about = _about(event.object)
        match event.type:
            case "ADDED" | "MODIFIED":
                return Present(self.object(event.object), _text(about.resource_version))
            case "DELETED":
                key = self._key(_text(about.uid), _text(about.name))
                return Deleted(key, _text(about.resource_version))
            case "ERROR":
                raise self._error(line)
            case _:
                return None

    def object(self, raw: bytes | msgspec.Raw) -> V | ObjectUnusable:
        """Read one object; whatever it says, nothing is raised."""
        try:
            return self._parse(_decoded(self._one, raw))
        except msgspec.DecodeError as error:
            about = _about(raw)
            names = _text(about.namespace), _text(about.name)
            where = quoted("/".join(name for name in names if name))
            key = self._key(_text(about.uid), _text(about.name)) or where
            return ObjectUnusable(self.kind, key, f"{self.kind.lower()} {where}: {error}")

    def _error(self, line: bytes) -> ApiError:
        try:
            status = _decoded(_ERROR, line).object
        except msgspec.DecodeError:
            status = _Status()
        code, message = status.code or _SERVER_FAULT, status.message or "an error without words"
        return error_of(code, message)

    def _key(self, uid: str | None, name: str | None) -> str:
        """Return what an object of this kind is known by."""
        return (name if self.kind == "Namespace" else uid) or ""


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T:
    """Return what *raw* says. Raises msgspec.DecodeError and nothing else, however deep it is."""
    try:
        try:
            return decoder.decode(raw)
        except RecursionError:
            return decoder.decode(limit_depth(bytes(raw)))
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"{error}") from error


def _about(raw: bytes | msgspec.Raw) -> _OddMetadata:
    try:
        return _decoded(_ODD, raw).metadata or _OddMetadata()
    except msgspec.DecodeError:
        return _OddMetadata()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
