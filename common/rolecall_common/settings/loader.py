"""Reads settings from flags, environment and file; every problem is found, not just the first."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from rolecall_common.quoting import quoted
from rolecall_common.settings.declare import (
    NOT_SETTINGS,
    PREFIX,
    SERVICE_LINK,
    Checked,
    Problem,
    Setting,
    SettingsError,
    Written,
    declared,
    did_you_mean,
    shown_path,
)
from rolecall_common.settings.types import Raw

T = TypeVar("T")

_BROKEN: Any = object()  # Stands for a value that could not be read; the problem says why.


def load_settings(
    kind: type[T], flags: Mapping[str, Raw], environ: Mapping[str, str], file: Path | None
) -> T:
    """Return *kind*, filled from *flags* (by field), *environ*, and *file*; raises SettingsError.

    A flag wins over a variable, a variable over the file, the file over the default.
    """
    settings = declared(kind)
    problems: list[Problem] = []
    layers = [
        {field: Written(raw, "the command line") for field, raw in flags.items()},
        _from_environ(settings, environ, problems),
        _from_file(settings, file, problems),
    ]
    written = {field: each for layer in reversed(layers) for field, each in layer.items()}
    read = {each.field: _value(each, written.get(each.field), problems) for each in settings}
    values = {field: value for field, value in read.items() if value is not _BROKEN}
    problems += _conflicts(kind, values, {each.field: each for each in settings}, written)
    if problems:
        raise SettingsError(problems)
    return cast("T", _build(kind, values))


def _value(setting: Setting, written: Written | None, problems: list[Problem]) -> object:
    if written is None:
        if setting.required:
            reason = f"it must be set: accepted is {setting.type.accepted}"
            problems.append(Problem(setting.name, "", "", reason))
            return _BROKEN
        return setting.default
    try:
        return setting.type.read(written.raw)
    except ValueError as error:
        # A type that raises without a reason has nothing to add to what it accepts.
        why = f"{error}; " if _said_by_type(error) else ""
        reason = f"{why}accepted is {setting.type.accepted}"
        problems.append(Problem(setting.name, quoted(written.raw), written.origin, reason))
        return _BROKEN


def _said_by_type(error: ValueError) -> bool:
    # Python's own parsers repeat the whole value, however long; a message shows it once, cut.
    text = str(error)
    return bool(text) and text.isprintable() and len(text) < 120  # noqa: PLR2004 - a sentence


def _from_environ(
    settings: list[Setting], environ: Mapping[str, str], problems: list[Problem]
) -> dict[str, Written]:
    by_variable = {each.variable: each for each in settings}
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        if variable in by_variable:
            found[by_variable[variable].field] = Written(text, variable)
        elif not SERVICE_LINK.fullmatch(variable):
            hint = did_you_mean(variable, by_variable, PREFIX)
            name = variable if variable.isprintable() else quoted(variable)
            problems.append(Problem(name, "", "the environment", f"no such setting{hint}"))
    return found


def _from_file(
    settings: list[Setting], file: Path | None, problems: list[Problem]
) -> dict[str, Written]:
    if file is None:
        return {}
    by_name = {each.name: each for each in settings}
    found = {}
    for name, raw in _document(file, problems).items():
        if name in by_name:
            found[by_name[name].field] = Written(raw, shown_path(file))
        else:
            hint = did_you_mean(name, by_name)
            problems.append(Problem(quoted(name), "", shown_path(file), f"no such setting{hint}"))
    return found


def _document(file: Path, problems: list[Problem]) -> dict[str, Raw]:
    # An agent that is told everything by flags does without YAML.
    from rolecall_common.settings.yaml_file import read_file  # noqa: PLC0415

    try:
        return read_file(file, problems)
    except SettingsError as error:
        # What the file would have set is not missed in a line each: it could not be read.
        raise SettingsError([*problems, *error.problems]) from error


def _build(kind: type[Any], values: Mapping[str, object]) -> object:
    return kind(
        **{
            field.name: _build(field.metadata["kind"], values)
            if "kind" in field.metadata
            else values[field.name]
            for field in dataclasses.fields(kind)
        }
    )


def _conflicts(
    kind: type[Any],
    values: Mapping[str, object],
    by_field: Mapping[str, Setting],
    written: Mapping[str, Written],
) -> Iterator[Problem]:
    """Yield what contradicts itself in *kind* and its groups, as far as their values are known."""
    for field in dataclasses.fields(kind):
        if "kind" in field.metadata:
            yield from _conflicts(field.metadata["kind"], values, by_field, written)
    if not all(setting.field in values for setting in declared(kind)):
        return
    built = _build(kind, values)
    if isinstance(built, Checked):
        for conflict in built.conflicts():
            setting, origin = by_field[conflict.field], written.get(conflict.field)
            value = quoted(origin.raw) if origin is not None else setting.default_text
            said_in = origin.origin if origin is not None else "the default"
            yield Problem(setting.name, value, said_in, conflict.reason)
