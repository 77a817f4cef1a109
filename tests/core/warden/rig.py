"""Settings of a warden, and texts as the tools write them."""

from pathlib import Path

from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw
from rolecall_warden.settings import Settings

GOLDEN = Path(__file__).parent / "golden"


def settings(**flags: Raw) -> Settings:
    """Return a warden's settings, with those that *flags* name by their fields."""
    return load_settings(Settings, flags, {}, None)
