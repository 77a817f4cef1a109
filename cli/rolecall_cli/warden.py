"""`rolecall warden`: keeps the rules, shows them, or takes them away."""

import argparse
import asyncio
import os
import sys

from rolecall_cli.options import add_settings, settings_of
from rolecall_cli.usage import UsageError
from rolecall_common import logs
from rolecall_common.exit_code import Exit
from rolecall_common.lifecycle import StartError
from rolecall_common.lifecycle import run as run_until_signalled
from rolecall_common.line_writer import Room
from rolecall_warden import app
from rolecall_warden.settings import Settings

_LOG = Room(lines=1024, size=1 << 19)  # of which may wait for its reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Instead of keeping the rules")
    instead = group.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry-run", action="store_true", help="print all rules, and touch nothing"
    )
    instead.add_argument(
        "--once", action="store_true", help="put the rules in place, and end; they stay"
    )
    instead.add_argument(
        "--uninstall",
        action="store_true",
        help="remove the redirect, then the guards: pods will reach the node's own credentials",
    )
    add_settings(parser, Settings)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Exit:
    settings = settings_of(Settings, arguments, os.environ)
    if arguments.dry_run:
        sys.stdout.write(app.preview(settings))
        return Exit.OK
    logs.configure(settings.output.log_format, settings.output.log_level)
    logs.queue(_LOG)
    try:
        if arguments.uninstall:
            asyncio.run(app.remove(settings, _say))
            return Exit.OK
        return run_until_signalled(app.run(settings, once=arguments.once))
    except StartError as error:
        raise UsageError(str(error)) from error


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
