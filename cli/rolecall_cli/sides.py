"""`rolecall server` and `rolecall agent`: settings are read, then the side is run."""

import argparse
import logging
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from rolecall_cli.options import add_settings, settings_of
from rolecall_cli.usage import UsageError
from rolecall_common import logs
from rolecall_common.callbacks import Bugs
from rolecall_common.exit_code import Exit
from rolecall_common.lifecycle import StartError, run
from rolecall_common.line_writer import Room

if TYPE_CHECKING:
    from rolecall_agent.process.inherited import Inherited
    from rolecall_agent.settings import Settings

log = logging.getLogger(__name__)

# How much of the log may wait for its reader: on a node memory is scarce; a server may say a line
# of each of ten thousands of pods in one step.
_AGENT_LOG = Room(lines=4096, size=1 << 20)
_SERVER_LOG = Room(lines=65_536, size=32 << 20)


def add_server(parser: argparse.ArgumentParser) -> None:
    from rolecall_server.settings import Settings  # noqa: PLC0415 - each side loads itself only

    add_settings(parser, Settings)
    parser.set_defaults(run=run_server)


def add_agent(parser: argparse.ArgumentParser) -> None:
    from rolecall_agent.settings import Settings  # noqa: PLC0415 - each side loads itself only

    add_settings(parser, Settings)
    parser.set_defaults(run=run_agent)


def run_server(arguments: argparse.Namespace) -> Exit:
    _silence_grpc()
    from rolecall_server import app  # noqa: PLC0415 - each side loads itself only
    from rolecall_server.settings import Settings  # noqa: PLC0415

    settings = settings_of(Settings, arguments, os.environ)
    logs.configure(settings.output.log_format, settings.output.log_level)
    logs.queue(_SERVER_LOG)
    return _run(app.run(settings))


def run_agent(arguments: argparse.Namespace) -> Exit:
    """Become the supervisor of a worker, or be that worker where there is one."""
    _silence_grpc()
    from rolecall_agent.process import inherited  # noqa: PLC0415 - each side loads itself only
    from rolecall_agent.settings import Settings  # noqa: PLC0415

    given = inherited.take(os.environ)
    settings = settings_of(Settings, arguments, os.environ)
    logs.configure(settings.output.log_format, settings.output.log_level)
    if given is None:
        _become_supervisor(settings)
    logs.queue(_AGENT_LOG)
    return _work(settings, given)


def _become_supervisor(settings: "Settings") -> NoReturn:
    from rolecall_agent.process import inherited, sockets  # noqa: PLC0415 - each side loads itself only

    try:
        inherited.become_supervisor(sockets.bind_endpoints(settings))
    except StartError as error:
        raise UsageError(str(error)) from error


def _work(settings: "Settings", given: "Inherited") -> Exit:
    import uvloop  # noqa: PLC0415 - each side loads itself only

    from rolecall_agent import app  # noqa: PLC0415
    from rolecall_agent.process.memory import MemoryLimitError  # noqa: PLC0415

    bugs = Bugs()
    for sentence in settings.cautions():
        log.warning("a setting has a consequence", extra={"sentence": sentence})
    try:
        return _run(app.run(settings, given, bugs), uvloop.new_event_loop, bugs)
    except UsageError as error:
        if not given.has_begun:
            raise
        # The endpoints stay open, and the supervisor tries again: it is no end, and is logged.
        log.error("this worker cannot begin", extra={"reason": str(error)})  # noqa: TRY400 - it has no cause of ours
        return Exit.USAGE
    except ExceptionGroup as group:
        if group.split(MemoryLimitError)[1] is not None:
            raise
        return Exit.MEMORY


def _run(
    main: Coroutine[Any, Any, None],
    loop_factory: Callable[[], Any] | None = None,
    bugs: Bugs | None = None,
) -> Exit:
    try:
        return run(main, loop_factory, bugs)
    except StartError as error:
        raise UsageError(str(error)) from error


def _silence_grpc() -> None:
    # Its core writes to stderr on its own, past the log; what matters of it arrives as errors too.
    # It looks here once, as it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
