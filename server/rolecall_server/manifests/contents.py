"""The objects in manifest files, each as it was when it last made sense."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from rolecall_proto.values import NodeName
from rolecall_server.manifests import documents
from rolecall_server.manifests.files import File
from rolecall_server.manifests.workloads import (
    KINDS,
    MOST_PODS,
    Wanted,
    WorkloadError,
    pods_of,
    single_pod,
)
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Namespace, ObjectUnusable

# Kind, namespace, name.
Key = tuple[str, str, str]
Object = Namespace | tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that is left out."""

    file: str
    line: int
    reason: str


@dataclass(slots=True)
class _Known:
    """What is known of one file."""

    digest: bytes = b""
    objects: dict[Key, tuple[int, Object]] = field(default_factory=dict)  # With their lines.
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0


@dataclass(slots=True)
class Reading:
    """What all files together say."""

    pods: dict[tuple[str, str], Wanted] = field(default_factory=dict)  # By namespace and name.
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0  # Objects of kinds that make no pods.


class Contents:
    """Remembers each file, so that a change that makes no sense changes nothing.

    As an API server would refuse it: where a file does not parse, its objects stay what they were;
    where one object is wrong, that one does. A file that is gone takes its objects along.
    """

    def __init__(self, nodes: Iterable[NodeName], keys: AnnotationKeys) -> None:
        self._nodes = tuple(nodes)
        self._keys = keys
        self._files: dict[str, _Known] = {}

    def read(self, files: Mapping[str, File]) -> Reading:
        """Take in what is in *files*, which are all there are. Raises nothing, whatever it is."""
        self._files = {
            path: self._known(path, file, self._files.get(path, _Known()))
            for path, file in files.items()
        }
        return self._merged()

    def _known(self, path: str, file: File, former: _Known) -> _Known:
        if file.problem is not None:
            return _Known(objects=former.objects, problems=[Problem(path, 1, file.problem)])
        digest = hashlib.blake2b(file.text.encode(errors="surrogatepass")).digest()
        if digest == former.digest:
            return former
        try:
            found = documents.read(file.text, is_json=path.endswith(".json"))
        except documents.DocumentError as error:
            problem = Problem(path, error.line, error.reason)
            return _Known(digest, former.objects, [problem], former.ignored)
        known = _Known(digest)
        for line, value in _objects(found):
            self._take_in(known, former, Problem(path, line, ""), value)
        return known

    def _take_in(self, known: _Known, former: _Known, where: Problem, value: object) -> None:
        key = _key(value)
        if key in known.objects:
            known.problems.append(replace(where, reason=f"{_shown(key)} occurs twice"))
            return
        try:
            thing = self._object(key, value)
        except WorkloadError as error:
            known.problems.append(replace(where, reason=f"{_shown(key)}: {error}"))
            if key in former.objects:
                known.objects[key] = former.objects[key]
            return
        if key is None or thing is None:
            known.ignored += 1
        else:
            known.objects[key] = where.line, thing

    def _object(self, key: Key | None, value: object) -> Object | None:
        if key is None or not isinstance(value, dict):
            raise WorkloadError("a kind and a metadata.name are missing")
        match key[0]:
            case "Namespace":
                return _namespace(value, self._keys)
            case "Pod":
                return (single_pod(value, self._keys),)
            case kind:
                return tuple(pods_of(value, self._nodes, self._keys)) if kind in KINDS else None

    def _merged(self) -> Reading:
        reading = Reading()
        owners: dict[Key, str] = {}
        for path, known in self._files.items():
            reading.problems += known.problems
            reading.ignored += known.ignored
            for key, (line, thing) in known.objects.items():
                if owners.setdefault(key, path) != path:
                    reason = f"{_shown(key)} is in {owners[key]} already"
                    reading.problems.append(Problem(path, line, reason))
                    continue
                if left_out := _add(reading, thing):
                    reading.problems.append(Problem(path, line, f"{_shown(key)}: {left_out}"))
        return reading


def _add(reading: Reading, thing: Object) -> str | None:
    """Add *thing*; return what kept some of it out."""
    if isinstance(thing, Namespace):
        reading.namespaces[thing.name] = thing
        return None
    if len(reading.pods) + len(thing) > MOST_PODS:
        return f"there are more than {MOST_PODS} pods"
    twice = None
    for wanted in thing:
        if reading.pods.setdefault((wanted.model.namespace, wanted.name), wanted) is not wanted:
            twice = f"there is a pod {wanted.name} already"
    return twice


def _objects(found: Iterable[documents.Document]) -> Iterator[tuple[int, object]]:
    """Yield each object and its line; those of a list have the line of the list."""
    for document in found:
        value = document.value
        is_list = isinstance(value, dict) and str(value.get("kind", "")).endswith("List")
        items = value.get("items") if is_list else None
        for each in items if isinstance(items, list) else [value]:
            yield document.line, each


def _key(value: object) -> Key | None:
    if not isinstance(value, dict):
        return None
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return None
    kind, name = value.get("kind"), metadata.get("name")
    namespace = metadata.get("namespace") or "default"
    if not (isinstance(kind, str) and isinstance(name, str) and isinstance(namespace, str)):
        return None
    return kind, "" if kind == "Namespace" else namespace, name


def _shown(key: Key | None) -> str:
    if key is None:
        return "an object"
    kind, namespace, name = key
    text = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 120 else text[:119] + "…"  # noqa: PLR2004 -- part of one line


def _namespace(value: Mapping[str, Any], keys: AnnotationKeys) -> Namespace:
    try:
        namespace = Namespace.parse(msgspec.convert(value, kube_objects.Namespace), keys)
    except msgspec.ValidationError as error:
        raise WorkloadError(str(error)) from error
    if isinstance(namespace, ObjectUnusable):
        raise WorkloadError(namespace.reason)
    return namespace
