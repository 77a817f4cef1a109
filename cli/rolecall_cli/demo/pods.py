"""The demo's pods: processes that run boto3, and what they got."""

import asyncio
import json
from asyncio.subprocess import Process
from dataclasses import dataclass
from typing import Any

from rolecall_cli.demo.processes import DemoError
from rolecall_server.model.pods import Pod

# Longer than a pod's own patience with a change.
_PATIENCE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Answer:
    """What boto3 got: the role's ARN as STS tells it, or nothing; and how long it took."""

    milliseconds: float
    arn: str | None

    @property
    def text(self) -> str:
        if self.arn is None:
            return "nothing"
        account, _, role = self.arn.rpartition("::")[2].partition(":assumed-role/")
        return f"{role} in {account}"


class DemoPod:
    """One pod and the process in it."""

    def __init__(self, pod: Pod, process: Process) -> None:
        self.pod = pod
        self._process = process

    @property
    def name(self) -> str:
        return f"{self.pod.namespace}/{self.pod.name}"

    @property
    def role(self) -> str:
        """The role that it names, or an empty text."""
        return (self.pod.wish.role if self.pod.wish else None) or ""

    def is_sibling(self, other: "DemoPod") -> bool:
        """Tell whether both are pods of one Deployment."""
        mine, its = ((each.pod.namespace, each.pod.name[:-5]) for each in (self, other))
        return mine == its and self is not other

    async def wait_ready(self) -> None:
        await self._read()

    async def ask(self) -> Answer:
        """Let it open a session and say whose credentials it has."""
        return await self._say("ask")

    async def ask_until(self, role: str | None) -> Answer:
        """Let it ask until it has that role, or none; raise DemoError where it does not come."""
        answer = await self._say(f"until {role or '-'}")
        if (answer.arn is None) != (role is None) or f"/{role or ''}" not in f"{answer.arn}/":
            raise DemoError(f"{self.name} has {answer.text} and not {role or 'nothing'}")
        return answer

    async def _say(self, words: str) -> Answer:
        assert self._process.stdin is not None  # noqa: S101 -- it was started with a pipe
        self._process.stdin.write(words.encode() + b"\n")
        answer = await self._read()
        return Answer(float(answer["milliseconds"]), answer["arn"])

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 -- it was started with a pipe
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise DemoError(f"{self.name} does not answer") from None
        if not line:
            raise DemoError(f"the program in {self.name} has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DemoError(f"{self.name}: {answer['error']}")
        return answer
