"""Turns the declaration of settings into flags and help, and what was typed back into settings."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from rolecall_cli.usage import UsageError
from rolecall_common.settings.declare import Setting, SettingsError, declared
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw

T = TypeVar("T")

CONFIG_VARIABLE = "ROLECALL_CONFIG"


def add_settings(parser: argparse.ArgumentParser, kind: type[object]) -> None:
    """Give *parser* a flag for each setting of *kind*, grouped as they are declared."""
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


def settings_of(kind: type[T], arguments: argparse.Namespace, environ: Mapping[str, str]) -> T:
    """Return the settings; raises UsageError."""
    flags: dict[str, Raw] = {}
    for setting in declared(kind):
        typed = getattr(arguments, setting.field)
        if typed is not None:
            # A flag that is given several times is a list of them, each perhaps with commas.
            flags[setting.field] = ",".join(typed) if isinstance(typed, list) else typed
    config = arguments.config or environ.get(CONFIG_VARIABLE)
    try:
        return load_settings(kind, flags, environ, Path(config) if config else None)
    except SettingsError as error:
        raise UsageError("\n".join(map(str, error.problems))) from error


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
