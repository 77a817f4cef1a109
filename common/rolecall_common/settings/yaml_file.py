"""Reads a file of settings: YAML, of which each scalar stays the text that somebody wrote."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from rolecall_common.quoting import quoted
from rolecall_common.settings.declare import Problem, SettingsError, shown_path
from rolecall_common.settings.types import Raw

# A settings file is written by hand; one that is larger is some other file.
_LARGEST_FILE = 1024 * 1024
# YAML's words for nothing, where they are not in quotes.
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


def read_file(file: Path, problems: list[Problem]) -> dict[str, Raw]:
    """Return the settings that *file* holds by their names; what is set twice goes to *problems*.

    Raises SettingsError where the file cannot be used at all.
    """
    try:
        tree = yaml.compose(_text(file), Loader=yaml.BaseLoader)
        document = "" if tree is None else _Tree(file, problems).value(tree)
    except OSError as error:
        raise _unusable(file, error.strerror or "it cannot be read") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else type(error).__name__
        raise _unusable(file, f"it is not YAML: {where}") from error
    if document == "":
        return {}
    if not isinstance(document, dict):
        raise _unusable(file, "a mapping of settings is wanted, such as `region: eu-west-1`")
    return document


def _unusable(file: Path, reason: str) -> SettingsError:
    return SettingsError([_problem(file, reason)])


def _problem(file: Path, reason: str) -> Problem:
    return Problem("the settings file", shown_path(file), "", reason)


def _text(file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        text = stream.read(_LARGEST_FILE + 1)
    if len(text) > _LARGEST_FILE:
        raise _unusable(file, "it is larger than a settings file can be")
    return text


class _Tree:
    """Turns YAML's nodes into text, lists and mappings."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._seen: set[int] = set()

    def value(self, node: yaml.Node) -> Raw:
        # An alias is the same node once more. A few lines of them can stand for gigabytes.
        if id(node) in self._seen:
            raise _unusable(self._file, f"{_line(node)}: aliases are not accepted here")
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node))
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        return "" if plain and node.value in _NOTHING else str(node.value)

    def _items(self, node: yaml.MappingNode) -> Iterator[tuple[str, Raw]]:
        names = set()
        for key, value in node.value:
            name = self.value(key)
            if not isinstance(name, str):
                raise _unusable(self._file, f"{_line(key)}: a name is wanted here")
            # YAML lets the last of two win in silence; who wrote the first one should know.
            if name in names:
                twice = f"{_line(key)}: {quoted(name)} is set twice"
                self._problems.append(_problem(self._file, twice))
            names.add(name)
            yield name, self.value(value)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
