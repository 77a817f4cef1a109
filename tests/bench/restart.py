"""A server that starts anew while agents hold sessions: when it serves, what it asks STS."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from bench.asking import ROLE_LIST, ask
from bench.fleet import Fleet, enlist, fleet
from bench.ground import Ground
from bench.population import NODES, Inhabitant, move_in
from cluster.serving import loopback_node

# The node of the real agent, whose pods can be spoken for on this machine.
_NUMBER = 150
NODE = f"node-{_NUMBER}"
# How long it is looked whether STS is asked after all.
_WATCHED = 5.0  # seconds
_BETWEEN_QUESTIONS = 0.02


@dataclass(frozen=True, slots=True)
class Restarted:
    """What one restart came to; times in seconds from the start of the new process."""

    sessions: int  # Held by the agents, each counted once.
    agents: int
    ready: float
    all_in: float
    sts_calls: int
    reviews: int
    asked: int  # Requests of a pod, from the old process's end on.
    served: int


def neighbours(count: int) -> list[Inhabitant]:
    """Return the pods of the real agent's node, each with a role of its own."""
    return [
        Inhabitant(
            name=f"solo-{number}",
            namespace="team-0",
            node=NODE,
            address=f"127.{_NUMBER}.1.{number}",
            application=f"solo-{number}",
            role=f"solo-{number}",
        )
        for number in range(1, count + 1)
    ]


async def prepare(ground: Ground, own: list[Inhabitant]) -> None:
    """Make the node of the real agent with its *own* pods, and the pods of all agents."""
    await ground.at.admin.create(loopback_node(_NUMBER))
    await move_in(ground.at.admin, own)
    await enlist(ground, [NODE, *others()])


def others() -> list[str]:
    """Return the nodes of the agents without endpoints."""
    return [f"node-{number}" for number in range(1, NODES + 1)]


async def restart(ground: Ground, own: list[Inhabitant], run: int) -> Restarted:
    """Let everybody hold what is theirs, then replace the server by a new one."""
    async with contextlib.AsyncExitStack() as stack:
        before = calls(ground)
        first = await stack.enter_async_context(contextlib.AsyncExitStack())
        await first.enter_async_context(ground.server(run=f"-first-{run}"))
        await stack.enter_async_context(ground.agent(NODE))
        agents = await stack.enter_async_context(fleet(ground, others()))
        await _everybody_holds(ground, agents, len(own))
        held, reviews = calls(ground), len(ground.reviews())
        async with _asking(ground, own[0]) as answers:
            await first.aclose()
            async with ground.server(run=f"-second-{run}") as server:
                back = await agents.all_in(server.started)
                await agents.all_settled()
                await _says(ground, "rolecall_agent_stream_connected 1.0")
                await asyncio.sleep(_WATCHED)
                return Restarted(
                    sessions=held - before,
                    agents=len(agents.members) + 1,
                    ready=server.ready - server.started,
                    all_in=back - server.started,
                    sts_calls=calls(ground) - held,
                    reviews=len(ground.reviews()) - reviews,
                    asked=len(answers),
                    served=answers.count(200),
                )


async def _everybody_holds(ground: Ground, agents: Fleet, own: int) -> None:
    await agents.all_in(0)
    await agents.all_settled()
    await _says(ground, f"rolecall_agent_sessions {own}.0")


def calls(ground: Ground) -> int:
    """Return how often STS was asked for a session so far."""
    return sum(ground.sts.calls().values())


async def _says(ground: Ground, line: str) -> None:
    """Return once the real agent's metrics have *line*."""
    deadline = time.perf_counter() + 60
    while line not in (await ask(ground.at.port(f"{NODE}-admin"), "/metrics")).body.splitlines():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"the agent of {NODE} never said {line}")
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _asking(ground: Ground, pod: Inhabitant) -> AsyncGenerator[list[int]]:
    """Ask for the credentials of *pod* again and again; the block gets the statuses so far."""
    statuses: list[int] = []

    async def go_on() -> None:
        while True:
            endpoint = ground.at.port(f"{NODE}-endpoint")
            answer = await ask(endpoint, f"{ROLE_LIST}{pod.role}", source=pod.address)
            statuses.append(answer.status)
            await asyncio.sleep(_BETWEEN_QUESTIONS)

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(go_on(), name="ask all the while")
        yield statuses
        asking.cancel()
