"""The settings of what a process says about itself; both sides have the same ones."""

from enum import StrEnum
from pathlib import Path

from rolecall_common import forms
from rolecall_common.settings import declare, setting


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@declare
class OutputSettings:
    """Log and audit records."""

    log_format: LogFormat = setting(
        forms.choice(LogFormat),
        "How the log is written, on stderr. auto is text on a terminal and JSON elsewhere.",
        default=LogFormat.AUTO,
    )
    log_level: LogLevel = setting(
        forms.choice(LogLevel),
        "The least severity that is logged. Libraries log warnings only, whatever this says.",
        default=LogLevel.INFO,
    )
    audit_file: Path | None = setting(
        forms.optional(forms.PATH),
        "Where audit records go, one JSON object a line; - is stdout, nothing writes none.",
        default=Path("-"),
    )
