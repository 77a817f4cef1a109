"""Where the redirect leads, and from when on it is this warden's to say.

With a file in which the agent of its pod tells where its endpoint is, a warden waits for it. Until
then another agent may be on the node, which is warm, and another warden, which leads pods to it.
Then it takes over, with a generation above any that is there. The number is of the pod, not of the
process: an older warden that is started again stays the older one.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rolecall_common import endpoint_file
from rolecall_warden import rules, table_comments
from rolecall_warden.rules import Ruleset
from rolecall_warden.settings import Settings

log = logging.getLogger(__name__)

WAITING = "the agent of this pod has not said yet where its endpoint is"
_LARGEST = 12  # digits


class DesiredRules:
    """What this warden's rules should be at the moment."""

    def __init__(
        self, settings: Settings, unix_time: Callable[[], float], holder: str = ""
    ) -> None:
        """*holder* is the name by which this warden is seen to live."""
        self._settings = settings
        self._unix_time = unix_time
        self._holder = holder
        self._file = settings.redirecting.endpoint_file
        self._port: int | None = None
        guards = replace(settings, keeping=replace(settings.keeping, generation=0))
        self.ruleset: Ruleset = (
            rules.render(settings, holder=holder)
            if self._file is None
            # No warden's that has rules with a redirect, and behind all of those.
            else rules.render(guards, redirect=False)
        )

    @property
    def waits(self) -> bool:
        """Whether the rules are the guards alone, because the agent is not warm."""
        return self._file is not None and self._port is None

    def update(self, listing: str | None) -> bool:
        """Look for the agent's endpoint; return whether the rules are other ones now.

        *listing* is of the table that is there. Raises OSError where the generation cannot be kept.
        """
        port = endpoint_file.read(self._file) if self._file is not None else None
        if port is None or port == self._port:
            return False
        settings = self._settings
        keeping = replace(settings.keeping, generation=self._generation(listing))
        endpoint = replace(settings.redirecting, endpoint_port=port)
        settings = replace(settings, keeping=keeping, redirecting=endpoint)
        self.ruleset = rules.render(settings, holder=self._holder)
        self._port = port
        log.info("pods are to be led", extra={"port": port, "rules": str(self.ruleset.comments)})
        return True

    def leaves_alone(self, listing: str | None) -> bool:
        """Whether the table is somebody's who leads pods to an agent, while ours is not warm."""
        there = table_comments.parse(listing) if self.waits and listing is not None else None
        return there is not None and there.digest != self.ruleset.comments.digest

    def _generation(self, listing: str | None) -> int:
        path = self._settings.keeping.health_file.with_suffix(".generation")
        kept = _read(path)
        if kept is not None:
            return kept
        there = table_comments.parse(listing) if listing is not None else None
        # The time, so that a node that has lost its table in a restart keeps to the order of its
        # pods; and above what is there, for a clock that was set back.
        generation = max(int(self._unix_time()), there.generation + 1 if there else 0)
        path.write_text(str(generation))
        return generation


def _read(path: Path) -> int | None:
    try:
        text = path.read_text()
    except (OSError, ValueError):
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LARGEST else None
