"""Watches a directory of manifests, and tells the engine what there is and what changes."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from rolecall_common.clock import Clock
from rolecall_server.manifests.contents import Problem
from rolecall_server.manifests.directory import Directory, Statistics
from rolecall_server.manifests.files import read_files
from rolecall_server.manifests.placement import Pools
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.source import Change, WatchState

log = logging.getLogger(__name__)

# An editor writes a file in several steps: they are one change if each follows within a step, and
# the last is not later than this.
_SETTLED_MS = 200
_STEP_MS = 25
# How soon a directory is looked for again that is not there.
_RETRY = timedelta(seconds=1)


class ManifestSource:
    """The pods and namespaces of a directory of manifests: a cluster where there is none."""

    def __init__(self, root: Path, pools: Pools, keys: AnnotationKeys, clock: Clock) -> None:
        self._root = root
        self._directory = Directory(pools, keys)
        self._clock = clock
        self._listed = False
        self._known_problems: frozenset[Problem] = frozenset()

    @property
    def statistics(self) -> Statistics:
        """What was found when the directory was last read."""
        return self._directory.statistics

    async def changes(self) -> AsyncGenerator[Change]:
        """Yield everything, then each change, until closed.

        A directory that cannot be read changes nothing. It is looked for until it is back, and the
        watch is not fresh meanwhile.
        """
        while True:
            try:
                with _Watch(self._root) as watch:
                    for change in await self._first():
                        yield change
                    while True:
                        await watch.wait_changed()
                        for change in await self._read():
                            yield change
            except (OSError, WatchfilesRustInternalError) as error:
                log.warning("manifests cannot be read", extra=self._fields(reason=str(error)))
            if self._listed:
                yield WatchState(fresh=False)
            await self._clock.sleep(_RETRY)

    async def _first(self) -> list[Change]:
        """Read what there is: the watch is on already, so that nothing slips through between."""
        changes = await self._read()
        if self._listed:
            return [*changes, WatchState(fresh=True)]
        self._listed = True
        return [*self._directory.listed(), WatchState(fresh=True)]

    async def _read(self) -> list[Change]:
        # In a thread, because a large directory takes longer than a stream may wait.
        changes = await asyncio.to_thread(lambda: self._directory.update(read_files(self._root)))
        self._report()
        return changes

    def _report(self) -> None:
        problems = frozenset(self.statistics.problems)
        for new in sorted(problems - self._known_problems, key=lambda each: (each.file, each.line)):
            log.warning(
                "part of a manifest is left out",
                extra=self._fields(file=new.file, line=new.line, reason=new.reason),
            )
        self._known_problems = problems

    def _fields(self, **fields: object) -> dict[str, object]:
        return {"directory": str(self._root), **fields}


class _Watch:
    """The kernel's word that something below a directory has changed, from construction on."""

    def __init__(self, root: Path) -> None:
        """Raise OSError where *root* cannot be watched."""
        self._stop = threading.Event()
        self._notify = RustNotify(
            [str(root)],
            debug=False,
            force_polling=False,
            poll_delay_ms=300,  # Only where the kernel has no inotify.
            recursive=True,
            ignore_permission_denied=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._notify.close()

    async def wait_changed(self) -> None:
        """Return when something has changed since the last call, or since construction."""
        waiting = asyncio.get_running_loop().run_in_executor(
            None, self._notify.watch, _SETTLED_MS, _STEP_MS, 0, self._stop
        )
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            # The thread must be out of the watch, one step later, before that is closed.
            self._stop.set()
            await waiting
            raise
