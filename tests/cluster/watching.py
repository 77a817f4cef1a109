"""Pods that ask for their credentials all the time, and what they saw, second by second."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cluster.grounds import PATIENCE, Grounds, client_pod, placed
from testcluster.machines.addresses import SITE

SPACE: Final = "watched"
GIVEN: Final = "given"
_PORT = 9912
# What is asked for ten times a second; how long an answer took is told, and judged elsewhere.
_WATCHER = f"""
import http.client, json, socket, sys, time

name, role = sys.argv[1:]
credentials = "/latest/meta-data/iam/security-credentials/"

def ask(path):
    endpoint = http.client.HTTPConnection("169.254.169.254", timeout=5)
    try:
        endpoint.request("GET", path)
        answer = endpoint.getresponse()
        body = answer.read().decode()
    except ConnectionRefusedError:
        return "refused", ""
    except TimeoutError:
        return "timeout", ""
    except (OSError, http.client.HTTPException):
        return "broken", ""
    finally:
        endpoint.close()
    return str(answer.status), body

def own():
    status, body = ask(credentials + role)
    if status != "200":
        return status, ""
    return "{GIVEN}", json.loads(body)["AccessKeyId"]

said = socket.create_connection(("{SITE}", {_PORT}))
due, count = time.monotonic(), 0
while True:
    at = time.time()
    what, key = own()
    line = dict(pod=name, at=at, took=time.time() - at, what=what, key=key)
    count += 1
    if count % 10 == 0:
        # What no pod shall ever get, whatever is broken.
        line["stolen"] = [ask(path)[0] for path in ("/latest/user-data", credentials + "node-role")]
    said.sendall(json.dumps(line).encode() + b"\\n")
    # What was missed is not made up for.
    due = max(due + 0.1, time.monotonic())
    time.sleep(max(0, due - time.monotonic()))
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request of a pod: when, how long it took, what came of it, and which key was given."""

    pod: str
    at: float
    took: float
    what: str
    key: str
    # The status of each request for what no pod may have, if there was one.
    stolen: tuple[str, ...] = ()

    @classmethod
    def parse(cls, line: bytes) -> "Seen":
        told = json.loads(line)
        return cls(**told | {"stolen": tuple(told.get("stolen", ()))})


@dataclass(slots=True)
class Phase:
    """What was seen since something was done."""

    label: str
    began: float
    ended: float = 0.0
    seen: list[Seen] = field(default_factory=list)

    def what(self, pod: str) -> Counter[str]:
        """Return how often *pod* met each outcome."""
        return Counter(each.what for each in self.seen if each.pod == pod)


@dataclass(slots=True)
class Watch:
    """Collects what the watching pods say, which they do as it happens."""

    grounds: Grounds
    pods: Mapping[str, str]
    seen: list[Seen] = field(default_factory=list)
    # How many requests the nodes' own service had before.
    asked_before: int = 0
    # And how many when a node was started anew, and when its warden had had its first pass.
    booting: tuple[int, int] = (0, 0)
    phases: list[Phase] = field(default_factory=list)
    _grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def collect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            async for line in reader:
                async with self._grown:
                    self.seen.append(Seen.parse(line))
                    self._grown.notify_all()
        writer.close()

    async def until_steady(self, requests: int = 30, patience: float = 120.0) -> None:
        """Return once the last *requests* of each pod, made from now on, were all answered."""
        begin = time.time()

        def steady() -> bool:
            for pod in self.pods:
                own = [each for each in self.seen if each.pod == pod and each.at > begin]
                last = own[-requests:]
                if len(last) < requests or any(each.what != GIVEN for each in last):
                    return False
            return True

        async with asyncio.timeout(patience), self._grown:
            await self._grown.wait_for(steady)

    @contextlib.asynccontextmanager
    async def phase(self, label: str) -> AsyncGenerator[Phase]:
        """Have some quiet, let the block do something, and go on until all is quiet again."""
        await self.until_steady(10)
        phase = Phase(label, time.time())
        self.phases.append(phase)
        yield phase
        await self.until_steady()
        phase.ended = time.time()
        phase.seen = [each for each in self.seen if phase.began <= each.at <= phase.ended]


@contextlib.asynccontextmanager
async def watching(grounds: Grounds) -> AsyncGenerator[Watch]:
    """Have two watching pods on each node, each with a role of its own."""
    await grounds.make_namespace(SPACE, "watch-.*")
    pods = {f"{letter}-{node.name}": node.name for node in grounds.nodes for letter in "ab"}
    watch = Watch(grounds, pods, asked_before=len(grounds.imds.requests))
    listening = grounds.fleet.site.listener(SITE, _PORT)
    async with await asyncio.start_server(watch.collect, sock=listening):
        for name, node in pods.items():
            pod = client_pod(name, f"watch-{name}", node, _WATCHER)
            pod["spec"]["containers"][0]["command"] += [name, f"watch-{name}"]
            await grounds.admin.create(placed(pod, SPACE))
        yield watch
        await grounds.admin.delete("Namespace", SPACE)
        await grounds.admin.until("Namespace", lambda found: SPACE not in found, patience=PATIENCE)


def stolen(seen: list[Seen]) -> Iterator[Seen]:
    """Give each request that was answered although it must never be."""
    for each in seen:
        if "200" in each.stolen:
            yield each
