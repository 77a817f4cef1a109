"""`rolecall`: one command, and a subcommand for each part of the system."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rolecall_cli.usage import UsageError, complain
from rolecall_common.exit_code import Exit
from rolecall_common.version import VERSION


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: what it is for, and the function that gives a parser its flags."""

    summary: str
    module: str
    add: str
    # Modules of Python that it does without, with the libraries behind them: others try to import
    # them, and go on where they are not there.
    without: tuple[str, ...] = ()


COMMANDS = {
    "server": Command(
        "watch pods, obtain credentials, and send each node its own",
        "rolecall_cli.sides",
        "add_server",
    ),
    "agent": Command("answer the pods of this node from memory", "rolecall_cli.sides", "add_agent"),
    "warden": Command(
        "keep pods away from the node's own credentials, and send them to the agent",
        "rolecall_cli.warden",
        "add_arguments",
        # It speaks to nobody, so that OpenSSL would be 5 MB for nothing.
        without=("ssl", "_hashlib"),
    ),
    "demo": Command(
        "run all of it on this machine, and show what it does",
        "rolecall_cli.demo.command",
        "add_arguments",
    ),
}
_EPILOG = """\
Every setting is a flag, an environment variable and a name in a YAML file:
  --session-duration 1h    ROLECALL_SESSION_DURATION=1h    sessionDuration: 1h
A flag wins over a variable, a variable over the file.

Start with `rolecall demo`, or read `rolecall server --help`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (see `Exit`)."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if not word.startswith("-")), "")
    parser, chosen = _parsers(command)
    arguments, strange = parser.parse_known_args(words)
    from rolecall_cli import options  # noqa: PLC0415 - who asks for help does without

    try:
        arguments.strange = options.problems_of(strange, chosen)
        if arguments.strange and not options.has_settings(arguments):
            raise options.usage_error(arguments.strange)
        return int(arguments.run(arguments))
    except UsageError as error:
        complain(command, error)
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _parsers(chosen: str) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser of the whole command line, and the one of the *chosen* command."""
    parser = argparse.ArgumentParser(
        prog="rolecall",
        description="Gives every pod of a cluster its own short-lived AWS credentials.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rolecall {VERSION}")
    own = parser
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        described = command.summary[0].upper() + command.summary[1:] + "."
        # No abbreviations: a script that uses one breaks when a flag is added.
        each = commands.add_parser(
            name,
            help=command.summary,
            description=described,
            usage=f"rolecall {name} [--SETTING VALUE ...]",
            allow_abbrev=False,
        )
        if name == chosen:
            for module in command.without:
                # As Python has it for what is not to be imported; what is there already stays.
                sys.modules.setdefault(module, None)  # type: ignore[arg-type]
            # Only the chosen side is imported: the agent's image has no boto3, nor needs it.
            getattr(importlib.import_module(command.module), command.add)(each)
            own = each
    return parser, own


if __name__ == "__main__":
    sys.exit(main())
