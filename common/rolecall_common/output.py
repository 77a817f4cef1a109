"""The settings of what a process says about itself; both sides have the same ones."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rolecall_common.settings import types
from rolecall_common.settings.declare import setting
from rolecall_common.settings.types import HostPort

ADMIN_LISTEN_HELP = (
    "Where /healthz, /readyz and /metrics are served, in plain HTTP. Nothing secret is there."
)


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log, which every process has."""

    log_format: LogFormat = setting(
        types.choice(LogFormat),
        "How the log is written, on stderr. auto is text on a terminal and JSON elsewhere.",
        default=LogFormat.AUTO,
    )
    log_level: LogLevel = setting(
        types.choice(LogLevel),
        "The least severity that is logged. Libraries log warnings only, whatever this says.",
        default=LogLevel.INFO,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings(LogSettings):
    """Log, audit records, health and metrics."""

    audit_file: Path | None = setting(
        types.optional(types.PATH),
        "Where audit records go, one JSON object a line; - is stdout, nothing writes none.",
        default=Path("-"),
    )
    admin_listen: HostPort = setting(
        types.HOST_PORT,
        ADMIN_LISTEN_HELP,
        default=HostPort("127.0.0.1", 9801),
    )
