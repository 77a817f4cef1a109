"""`rolecall server` as it is, which also writes down when each pod reached the engine.

How long a change of a file takes to be noticed is the manifest directory's matter: in a cluster a
watch event arrives there at once. So the bench counts from here. BENCH_STAMPS names the file; each
line is a moment on the clock of `time.perf_counter`, which all processes of a machine share.
"""

import os
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from rolecall_cli.__main__ import main
from rolecall_server.manifests.source import ManifestSource
from rolecall_server.model.source import Change, PodChanged

_changes = ManifestSource.changes


_stamps = Path(os.environ["BENCH_STAMPS"]).open("a", encoding="ascii", buffering=1)  # noqa: SIM115 (until the process ends)


async def _stamped(source: ManifestSource) -> AsyncGenerator[Change]:
    async for change in _changes(source):
        if isinstance(change, PodChanged):
            _stamps.write(f"{change.pod.name} {time.perf_counter()}\n")
        yield change


if __name__ == "__main__":
    ManifestSource.changes = _stamped  # type: ignore[method-assign]  # on purpose
    sys.exit(main())
