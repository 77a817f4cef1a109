"""The open streams of each node: how many it may have, and how often it may ask."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from rolecall_common.secret import NotPickled, Secret
from rolecall_common.token_bucket import TokenBucket
from rolecall_proto.values import NodeName
from rolecall_server.model.authenticator import Agent
from rolecall_server.rpc.refusals import STOPPING, SUPERSEDED, Refusal

# The agent that is and the one that replaces it; a third means that the first is dead.
STREAMS_PER_NODE = 2
# Two agents, each with its stream and half a dozen questions; and streams that have ended and whose
# peer does not take the last message, which nothing but the end of the connection can free.
CALLS_PER_NODE = 16
# A kubelet runs 110 pods unless told otherwise, seldom more than 250; all may ask at once, twice.
QUESTIONS_BURST = 512
QUESTIONS_PER_SECOND = 50


@dataclass(slots=True, eq=False)
class Stream(NotPickled):
    """One agent's open call. Whoever wants it to end says so; the call ends itself."""

    agent: Agent
    token: Secret
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    end_reason: Refusal = STOPPING  # Of use once it has ended.
    recheck_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return not self.ended.is_set()

    def end(self, why: Refusal) -> None:
        """End the stream, also where a write is stuck; nothing more is written to it."""
        if self.is_open:
            self.end_reason = why
        self.ended.set()
        self.changed.set()

    def take_due(self, now: datetime) -> bool:
        """Tell whether its turn has come; true once, until `recheck_at` is set anew."""
        if self.recheck_at is None or now < self.recheck_at or not self.is_open:
            return False
        self.recheck_at = None
        return True


@dataclass(slots=True)
class Node(NotPickled):
    """What is kept of a node for as long as it has a stream."""

    streams: list[Stream] = field(default_factory=list)
    questions: TokenBucket = field(
        default_factory=lambda: TokenBucket(QUESTIONS_BURST, QUESTIONS_PER_SECOND)
    )


class Streams:
    """All open streams, by node, and the calls that each node has not let go of."""

    def __init__(self) -> None:
        self._nodes: dict[NodeName, Node] = {}
        self._calls: Counter[NodeName] = Counter()

    def __iter__(self) -> Iterator[Stream]:
        return (stream for node in list(self._nodes.values()) for stream in list(node.streams))

    def of(self, node: NodeName) -> Node | None:
        return self._nodes.get(node)

    def begin_call(self, node: NodeName) -> bool:
        """Count a call of *node*, to be taken back by `end_call`; false where it has too many."""
        if self._calls[node] >= CALLS_PER_NODE:
            return False
        self._calls[node] += 1
        return True

    def end_call(self, node: NodeName) -> None:
        """Note that a call which `begin_call` has counted is over, in gRPC's eyes as well."""
        self._calls[node] -= 1
        if not self._calls[node]:
            del self._calls[node]

    @contextlib.contextmanager
    def opened(self, agent: Agent, token: Secret) -> Generator[Stream]:
        """Keep a new stream of *agent* while the block runs. Of too many, the oldest ends."""
        stream = Stream(agent, token, recheck_at=agent.recheck_at)
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
