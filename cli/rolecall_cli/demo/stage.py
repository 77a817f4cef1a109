"""What the demo runs, on whichever kind of node the machine allows."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from rolecall_cli.demo.layout import NODE, REGION, Layout
from rolecall_cli.demo.pods import DemoPod
from rolecall_cli.demo.processes import DemoError, Part, clean_environment, running, talking
from rolecall_common import heartbeat_file
from rolecall_server.manifests.directory import Directory
from rolecall_server.manifests.files import read_files
from rolecall_server.manifests.placement import Pools
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Pod

# What `python -m` runs as the `rolecall` command.
ROLECALL = "rolecall_cli"
_PATIENCE_SECONDS = 15
_PAUSE = 0.02


class Node(Protocol):
    """What the demo needs of a node: the lab's, or the one on loopback."""

    def command(self, *command: str, pod: str | None = None) -> list[str]: ...
    async def add_pod(self, name: str, address: IPv4Address) -> None: ...
    async def fetch(self, url: str) -> tuple[int, str]: ...


def cluster(layout: Layout) -> Directory:
    """Return the demo's own reading of the manifests: it is what makes the pods exist.

    The server reads the same files by itself, and comes to the same names and addresses.
    """
    directory = Directory(Pools([(NODE, layout.pod_network)]), AnnotationKeys())
    directory.update(read_files(layout.manifests))
    return directory


@dataclass(slots=True)
class Stage:
    """Everything that runs; it ends with the block of `opened`."""

    node: Node
    layout: Layout
    pod_environment: Mapping[str, str]
    _exits: AsyncExitStack
    pods: list[DemoPod] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, node: Node, layout: Layout, pod_environment: Mapping[str, str]
    ) -> AsyncGenerator["Stage"]:
        """Start STS, server and agent, and the pods that are in the manifests by now."""
        async with AsyncExitStack() as exits:
            stage = cls(node, layout, pod_environment, exits)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stage._start_parts(), name="start the parts")
                for pod in cluster(layout).pods:
                    tasks.create_task(stage._start_pod(pod), name=f"start {pod.name}")
            stage.pods.sort(key=lambda each: each.name)
            yield stage

    async def start(self, name: str) -> None:
        """Start the part of that *name* (`sts`, `server`, `warden`, `agent`); not ready yet."""
        layout = self.layout
        if name == "sts":
            where = (str(layout.node_address), str(layout.sts_port), str(layout.calls))
            await self._start(name, "rolecall_cli.demo.sts", *where)
        else:
            await self._start(name, ROLECALL, name)

    async def stop(self, name: str) -> None:
        """End that part as an operator would, and wait until it is gone."""
        await self.parts[name].stop()

    async def wait_ready(self, name: str) -> None:
        """Wait until that part says that it is ready. Raise DemoError where it ends instead."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not await self._is_ready(name):
                    self.parts[name].require_alive()
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise DemoError(f"the {name} is not ready after {_PATIENCE_SECONDS} s") from None

    async def _is_ready(self, name: str) -> bool:
        layout = self.layout
        if name == "warden":
            return heartbeat_file.read(layout.warden_health).ok
        urls = {
            "sts": layout.sts_url,
            "server": f"http://127.0.0.1:{layout.server_admin_port}/readyz",
            "agent": f"http://127.0.0.1:{layout.agent_admin_port}/readyz",
        }
        status, _ = await self.node.fetch(urls[name])
        return status == HTTPStatus.OK

    async def _start_parts(self) -> None:
        for name in ("sts", "server"):
            await self.start(name)
        if self.layout.has_warden:
            # It makes the address that the agent listens on.
            await self.start("warden")
            await self.wait_ready("warden")
        # From the agent on STS is asked, and what asks in vain asks again ever more rarely.
        await self.wait_ready("sts")
        await self.start("agent")
        for name in ("server", "agent"):
            await self.wait_ready(name)

    async def _start(self, name: str, module: str, *arguments: str) -> None:
        environment = clean_environment(
            self.layout.root / "home",
            ROLECALL_CONFIG=str(self.layout.config(name)),
            # The server's own credentials; moto takes any.
            AWS_ACCESS_KEY_ID="AKIADEMODEMODEMODEMO",
            AWS_SECRET_ACCESS_KEY="demo",  # noqa: S106 -- opens nothing
        )
        command = self.node.command(sys.executable, "-m", module, *arguments)
        part = running(name, command, environment, self.layout.log(name))
        self.parts[name] = await self._exits.enter_async_context(part)

    async def _start_pod(self, pod: Pod) -> None:
        await self.node.add_pod(pod.name, _address(pod))
        environment = clean_environment(self.layout.root / "home", **self.settings_of(pod))
        program = (sys.executable, "-m", "rolecall_cli.demo.program")
        command = self.node.command(*program, pod=pod.name)
        process = talking(command, environment, self.layout.log(f"pod-{pod.name}"))
        demo_pod = DemoPod(pod, await self._exits.enter_async_context(process))
        await demo_pod.wait_ready()
        self.pods.append(demo_pod)

    def settings_of(self, pod: Pod) -> dict[str, str]:
        """Return what the environment of *pod* says of AWS: where STS is, no credentials."""
        address = _address(pod)
        return {
            **{name: text.format(address=address) for name, text in self.pod_environment.items()},
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # The older name, and the only one that boto3 reads.
            "AWS_ENDPOINT_URL_STS": self.layout.sts_url,
        }

    def calls(self) -> list[str | None]:
        """Return the role of every AssumeRole that has reached STS so far."""
        lines = [json.loads(line) for line in self.layout.calls.read_text().splitlines()]
        return [line["role"] for line in lines if line["action"] == "AssumeRole"]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace *old* by *new* in a manifest, in one step, as an editor or `kubectl` does."""
        path = self.layout.manifests / file
        text = path.read_text()
        if old not in text:
            raise DemoError(f"{path} does not say {old!r}")
        draft = path.with_suffix(".draft")
        draft.write_text(text.replace(old, new))
        draft.rename(path)

    def denials(self) -> dict[str, str]:
        """Return the reason of each denial so far, by `namespace/name` of its pod."""
        return denials_in(self.layout.server_audit)


def _address(pod: Pod) -> IPv4Address:
    return next(each for each in pod.addresses if isinstance(each, IPv4Address))


def denials_in(audit: Path) -> dict[str, str]:
    """Return what audit records say of denied pods, by `namespace/name`."""
    reasons: dict[str, str] = {}
    for line in audit.read_text().splitlines() if audit.exists() else ():
        record = json.loads(line)
        if "reason" in record and "pod" in record:
            reasons[f"{record.get('namespace')}/{record['pod']}"] = str(record["reason"])
    return reasons
