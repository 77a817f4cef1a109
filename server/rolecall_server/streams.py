"""The open streams of each node: how many it may have, and how often it may ask."""

import asyncio
import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import grpc

from rolecall_proto.values import NodeName
from rolecall_server.authority import Agent

# The agent that is and the one that replaces it; a third means that the first is dead.
STREAMS_PER_NODE = 2
# A kubelet runs 110 pods unless told otherwise, seldom more than 250; all may ask at once, twice.
QUESTIONS_BURST = 512.0
QUESTIONS_PER_SECOND = 50.0

Refusal = tuple[grpc.StatusCode, str]
SUPERSEDED: Refusal = (grpc.StatusCode.ABORTED, "newer streams of this node took over")


@dataclass(slots=True, eq=False)
class Stream:
    """One agent's open call. Whoever wants it to end says so; the call ends itself."""

    agent: Agent
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Refusal | None = None

    def end(self, why: Refusal) -> None:
        self.ending = self.ending or why
        self.changed.set()


@dataclass(slots=True)
class Node:
    """What is kept of a node for as long as it has a stream."""

    streams: list[Stream] = field(default_factory=list)
    _questions: float = QUESTIONS_BURST
    _counted_at: datetime | None = None

    def may_ask(self, count: int, now: datetime) -> bool:
        """Take *count* questions from the node's bucket; false where it has not as many."""
        since = now - self._counted_at if self._counted_at else timedelta()
        earned = max(0.0, since.total_seconds()) * QUESTIONS_PER_SECOND
        self._questions = min(QUESTIONS_BURST, self._questions + earned)
        self._counted_at = now
        if self._questions < count:
            return False
        self._questions -= count
        return True


class Streams:
    """All open streams, by node."""

    def __init__(self) -> None:
        self._nodes: dict[NodeName, Node] = {}

    def __iter__(self) -> Iterator[Stream]:
        return (stream for node in list(self._nodes.values()) for stream in list(node.streams))

    def of(self, node: NodeName) -> Node | None:
        return self._nodes.get(node)

    @contextlib.contextmanager
    def opened(self, agent: Agent) -> Generator[Stream]:
        """Keep a new stream of *agent* while the block runs. Of too many, the oldest ends."""
        stream = Stream(agent)
        node = self._nodes.setdefault(agent.node, Node())
        node.streams.append(stream)
        for oldest in node.streams[:-STREAMS_PER_NODE]:
            oldest.end(SUPERSEDED)
        try:
            yield stream
        finally:
            node.streams.remove(stream)
            if not node.streams:
                del self._nodes[agent.node]
