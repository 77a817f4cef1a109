"""Watches a directory of manifests, and tells the engine what there is and what changes."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

from watchfiles import awatch

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
                async with aclosing(_watch(self._root)) as watch:
                    # The watch is on before the first look: nothing slips through between.
                    await anext(watch)
                    for change in await self._first():
                        yield change
                    async for _ in watch:
                        for change in await self._read():
                            yield change
            except OSError as error:
                log.warning("manifests cannot be read", extra=self._fields(reason=str(error)))
            if self._listed:
                yield WatchState(fresh=False)
            await self._clock.sleep(_RETRY)

    async def _first(self) -> list[Change]:
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


async def _watch(root: Path) -> AsyncGenerator[None]:
    """Yield once the watch is on, and then whenever something below *root* has changed.

    What changes between two of these is kept, and told by the next. Raises OSError where *root*
    cannot be watched.
    """
    watch = awatch(
        root,
        watch_filter=None,
        debounce=_SETTLED_MS,
        step=_STEP_MS,
        rust_timeout=0,
        debug=False,
        force_polling=False,
        ignore_permission_denied=True,
    )
    refusal: Exception | None = None
    try:
        async with aclosing(watch):
            first = asyncio.create_task(_wait_changed(watch), name="first change of the manifests")
            try:
                # The watch is on as soon as it is asked: a task runs up to where it waits.
                await asyncio.sleep(0)
                if not first.done():
                    yield
                await first
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
            yield
            async for _ in watch:
                yield
    except* RuntimeError as refused:
        # What the kernel refuses later on, alone or as awatch hands it on: in a group.
        refusal = refused.exceptions[0]
    if refusal is not None:
        raise OSError(str(refusal)) from refusal


async def _wait_changed(watch: AsyncGenerator[object]) -> None:
    await anext(watch)
