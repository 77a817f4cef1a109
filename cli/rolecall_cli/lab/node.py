"""The lab from outside: starts its keeper, and says how to run a command inside."""

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

from rolecall_cli.lab.addresses import Kind

# Networks are made in milliseconds; Python and its netlink library take a second to start.
_PATIENCE_SECONDS = 20
_GRACE_SECONDS = 5
_TOOLS = ("unshare", "nsenter", "setpriv", "mount", "nft", "ip")
# Where Debian keeps nft and ip, for users whose PATH leaves it out.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class LabError(Exception):
    """The lab cannot be had on this machine, or refuses; the text says why in one line."""


class LabNode:
    """A node of its own: network, pods, the metadata address. See `opened`."""

    def __init__(self, keeper: Process) -> None:
        self._keeper = keeper
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def opened(cls, kind: Kind = Kind.ROUTED) -> AsyncGenerator["LabNode"]:
        """Make the namespaces, and leave them at the end. Raise LabError where they cannot be."""
        keeper = await _start_keeper(kind)
        node = cls(keeper)
        try:
            await node._answer()
            yield node
        finally:
            await _end(keeper)

    def command(self, *command: str, pod: str | None = None) -> list[str]:
        """Return *command* as it runs on the node, in *pod* or OUTSIDE, with no path relative.

        It keeps its process id, and is killed when whoever starts it dies.
        """
        node = f"--target={self._keeper.pid}"
        enter = ["nsenter", node, "--user", "--net", "--mount", "--preserve-credentials", "--"]
        if pod is not None:
            enter += ["nsenter", f"--net=/run/netns/{pod}", "--"]
        return [*enter, "setpriv", "--pdeathsig=KILL", "--", *command]

    async def add_pod(self, name: str, address: IPv4Address) -> None:
        """Make a pod's network namespace, with that *address*."""
        await self._ask(operation="add_pod", name=name, address=str(address))

    async def remove_pod(self, name: str) -> None:
        """Cut the pod's link; what runs in it is no longer reached and reaches nobody."""
        await self._ask(operation="remove_pod", name=name)

    async def fetch(self, url: str) -> tuple[int, str]:
        """Return status and text of a GET on the node; status 0 where nobody answers."""
        result = await self._ask(operation="fetch", url=url)
        return int(result["status"]), str(result["text"])

    async def _ask(self, **request: str) -> Any:  # noqa: ANN401 -- JSON
        async with self._turn:
            assert self._keeper.stdin is not None  # noqa: S101 -- it was started with a pipe
            self._keeper.stdin.write(json.dumps(request).encode() + b"\n")
            return await self._answer()

    async def _answer(self) -> Any:  # noqa: ANN401 -- JSON
        assert self._keeper.stdout is not None  # noqa: S101 -- it was started with a pipe
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                line = await self._keeper.stdout.readline()
        except TimeoutError:
            raise LabError("the lab does not answer") from None
        if not line:
            raise LabError(await self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(answer["error"])
        return answer["result"]

    async def _last_words(self) -> str:
        assert self._keeper.stderr is not None  # noqa: S101 -- it was started with a pipe
        lines = (await self._keeper.stderr.read()).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the lab ended without a word"


async def _end(keeper: Process) -> None:
    """End it by the end of its input; the namespaces end with the last process in them."""
    assert keeper.stdin is not None  # noqa: S101 -- it was started with a pipe
    keeper.stdin.close()
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await keeper.wait()
    except TimeoutError:
        keeper.kill()
        await keeper.wait()


async def _start_keeper(kind: Kind) -> Process:
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=_PATH) is None]
    if sys.platform != "linux" or missing:
        lacks = ", ".join(missing) or "Linux"
        raise LabError(f"needs Linux with util-linux, nftables and iproute2; missing: {lacks}")
    python = [sys.executable, "-m", "rolecall_cli.lab.keeper", kind]
    # A process with threads cannot make a user namespace, so a fresh one does. /run is its own,
    # because network namespaces are given names there.
    return await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--net", "--mount", "--"),
        *("sh", "-c", 'mount -t tmpfs rolecall-lab /run && exec "$@"', "sh", *python),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,  # Ctrl-C is for whoever opened the lab.
    )
