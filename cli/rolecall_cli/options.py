"""Turns the declaration of settings into flags and help, and what was typed back into settings."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rolecall_cli.usage import UsageError
from rolecall_common.quoting import quoted
from rolecall_common.settings.declare import (
    Problem,
    Setting,
    SettingsError,
    declared,
    did_you_mean,
)
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw

T = TypeVar("T")

CONFIG_VARIABLE = "ROLECALL_CONFIG"
_LONGEST_WORD = 80


def add_settings(parser: argparse.ArgumentParser, kind: type[object]) -> None:
    """Give *parser* a flag for each setting of *kind*, grouped as they are declared."""
    parser.set_defaults(strange=[])
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"a YAML file of settings; its names are those of the flags, in camelCase "
        f"[{CONFIG_VARIABLE}]",
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for setting in declared(kind):
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        _add(groups[setting.group], setting)


def has_settings(arguments: argparse.Namespace) -> bool:
    """Whether `settings_of` is for the command that was chosen."""
    return hasattr(arguments, "config")


def problems_of(strange: Sequence[str], parser: argparse.ArgumentParser) -> list[Problem]:
    """Return a problem for each of the words that *parser* does not know; a flag has its value."""
    known = [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001 - argparse has no other way
    problems: list[Problem] = []
    is_value = False
    for word in strange:
        is_flag = word.startswith("-") and word != "--"
        name = word.partition("=")[0] if is_flag else word
        if is_flag:
            hint = did_you_mean(name, known, "--") or f"; `{parser.prog} --help` names all"
            problems.append(Problem(_shown(name), "", "the command line", f"no such flag{hint}"))
        elif not is_value:
            problems.append(Problem(_shown(name), "", "the command line", "no flag goes before it"))
        is_value = is_flag and "=" not in word
    return problems


def usage_error(problems: Iterable[Problem]) -> UsageError:
    return UsageError("\n".join(map(str, problems)))


def settings_of(kind: type[T], arguments: argparse.Namespace, environ: Mapping[str, str]) -> T:
    """Return the settings; raises UsageError, which names what is strange on the line as well."""
    flags: dict[str, Raw] = {}
    for setting in declared(kind):
        typed = getattr(arguments, setting.field)
        if typed is not None:
            # A flag that is given several times is a list of them, each perhaps with commas.
            flags[setting.field] = ",".join(typed) if isinstance(typed, list) else typed
    config = arguments.config or environ.get(CONFIG_VARIABLE)
    try:
        settings = load_settings(kind, flags, environ, Path(config) if config else None)
    except SettingsError as error:
        raise usage_error([*arguments.strange, *error.problems]) from error
    if arguments.strange:
        raise usage_error(arguments.strange)
    return settings


def _shown(word: str) -> str:
    return word if word.isprintable() and len(word) < _LONGEST_WORD else quoted(word)


def _add(group: argparse._ArgumentGroup, setting: Setting) -> None:
    shown = setting.default_text
    default = "required" if setting.required else f"default: {shown or 'none'}"
    text = f"{setting.help} [{setting.variable}; {default}]".replace("%", "%%")
    value_type = setting.type
    if value_type.switch:
        group.add_argument(
            setting.flag,
            nargs="?",
            const="true",
            metavar=value_type.metavar,
            default=None,
            help=text,
        )
    elif value_type.many:
        group.add_argument(
            setting.flag, action="append", metavar=value_type.metavar, default=None, help=text
        )
    else:
        group.add_argument(setting.flag, metavar=value_type.metavar, default=None, help=text)
