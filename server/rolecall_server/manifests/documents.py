"""Reads the text of one manifest file into plain objects, whatever the text is."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml.
    from yaml import SafeLoader  # type: ignore[assignment]  # same constructor and methods

# Kubernetes' own objects are at most 1.5 MiB (etcd's limit) and nest about a dozen deep.
DEEPEST = 64
# With every alias written out: half a million values, or 8 MB of text.
HEAVIEST = 500_000
_TEXT_OF_WEIGHT_ONE = 16
# What a value may be tagged: nothing, or a string.
_TAGS = (None, "!", "tag:yaml.org,2002:str")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, and the line it starts at."""

    line: int
    value: Any  # What YAML may hold: it is given a type by `contents.py`.


class DocumentError(Exception):
    """A file that cannot be read as manifests."""

    def __init__(self, line: int, reason: str) -> None:
        """*reason* is one line for the operator."""
        super().__init__(reason)
        self.line = line
        self.reason = reason


def read(text: str, *, is_json: bool = False) -> list[Document]:
    """Return the documents of *text*, empty ones left out. Raise DocumentError, and nothing else.

    YAML is read as Kubernetes reads it: `yes` is true, `2020-01-01` and `22:22` are strings, and a
    key that occurs twice is an error. Aliases are allowed as far as they do not multiply.
    """
    return _read_json(text) if is_json else _read_yaml(text)


def _read_json(text: str) -> list[Document]:
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise DocumentError(error.lineno, error.msg) from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(1, _one_line(error)) from error
    if _is_deep(value):
        raise DocumentError(1, f"nested deeper than {DEEPEST}")
    return [] if value is None else [Document(1, value)]


def _is_deep(value: object) -> bool:
    """Whether something could not be copied, say, that could be read."""
    level = [value]
    for _ in range(DEEPEST):
        lists = [each for each in level if isinstance(each, list)]
        mappings = [each.values() for each in level if isinstance(each, dict)]
        level = list(chain(*lists, *mappings))
    return any(isinstance(each, list | dict) for each in level)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return mapping


def _read_yaml(text: str) -> list[Document]:
    try:
        _refuse_strange_events(text)
        loader = _Loader(text)
        try:
            return list(_documents(loader))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "not YAML"
        raise DocumentError(mark.line + 1 if mark else 1, _one_line(reason)) from error
    except (yaml.YAMLError, ValueError) as error:
        # Characters that YAML forbids; a number of more digits than Python reads.
        raise DocumentError(1, _one_line(error)) from error


def _refuse_strange_events(text: str) -> None:
    """Refuse deep nesting before anything recurses into it, and tags. Events are no recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise DocumentError(_line(event), f"nested deeper than {DEEPEST}")
        # PyYAML answers a tag that does not fit its value with whatever exception is nearest.
        if (tag := getattr(event, "tag", None)) not in _TAGS:
            raise DocumentError(_line(event), _one_line(f"the tag {tag!r} is not read"))


def _documents(loader: "_Loader") -> Iterator[Document]:
    while loader.check_node():
        node = loader.get_node()
        if node is None:
            return
        line = _line(node)
        _weigh(node, {})
        value = loader.construct_document(node)
        if value is not None:
            yield Document(line, value)


def _weigh(node: yaml.Node, known: dict[int, int]) -> int:
    """Weigh what is under *node* as if every alias were written out; each node is visited once.

    *known* holds the weight of what was counted, and 0 for what is being counted: an alias to
    something around itself.
    """
    weight = known.get(id(node))
    if weight == 0:
        raise DocumentError(_line(node), "an alias refers to what it is part of")
    if weight is None:
        known[id(node)] = 0
        weight = 1 + sum(_weigh(child, known) for child in _children(node))
        if isinstance(node, yaml.ScalarNode):
            weight += len(node.value) // _TEXT_OF_WEIGHT_ONE
        known[id(node)] = weight
    if weight > HEAVIEST:
        raise DocumentError(_line(node), "larger than any object of Kubernetes")
    return weight


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        _refuse_repeats(node)
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _refuse_repeats(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                reason = f"the key {key.value!r} occurs twice"
                raise DocumentError(_line(key), _one_line(reason))
            seen.add(key.value)


def _line(what: yaml.Node | yaml.Event) -> int:
    return what.start_mark.line + 1 if what.start_mark else 1


def _one_line(reason: object) -> str:
    text = " ".join(str(reason).split())
    return text if len(text) <= 200 else text[:199] + "…"  # noqa: PLR2004 -- a line of a log


class _Loader(SafeLoader):
    """PyYAML's safe loader with the scalars that Kubernetes has: no dates, no base 60."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- PyYAML's way


def _resolve(tag: str, pattern: str, first: str) -> None:
    """Read unquoted text as *tag* where *pattern* matches; *first* is what it may begin with."""
    begins = [*first, ""] if re.match(pattern, "") else list(first)
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), begins)


_BOOLS = "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
_resolve("bool", rf"^(?:{_BOOLS})$", "yYnNtTfFoO")
_resolve("int", r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o?[0-7]+|0b[01]+)$", "-+0123456789")
_resolve(
    "float",
    r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$",
    "-+0123456789.",
)
_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_resolve("merge", r"^(?:<<)$", "<")
