"""A warden whose rules are all in place is not well where others' rules keep pods out."""

import logging

import pytest

from core.warden.node import NodeTools
from core.warden.rig import settings
from rolecall_common.guards import Guard
from rolecall_common.heartbeat_file import Condition
from rolecall_warden.kernel import Kernel
from rolecall_warden.tools import RefusedError
from rolecall_warden.warden import Warden


class Node:
    """One node with one warden, which looks each ten seconds."""

    def __init__(self) -> None:
        self.tools, self.now = NodeTools(), 0.0
        self.warden = Warden(settings(), Kernel(self.tools), ipv6=True, monotonic=lambda: self.now)

    def count(self, **packets: int) -> None:
        for name, count in packets.items():
            self.tools.counts[name] = self.tools.counts.get(name, 0) + count

    async def look(self, times: int = 1) -> Condition:
        for _ in range(times):
            self.now += 10
            condition = await self.warden.reconcile()
        return condition


async def test_pods_that_are_kept_out_are_said_once_and_until_they_come_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Condition and reason stand as long as it is so; the log says the change."""
    caplog.set_level(logging.INFO)
    node = Node()
    before = await node.look()
    node.count(metadata_asked4=5)
    during = await node.look(4)
    reason = node.warden.reason
    node.count(metadata_asked4=1, metadata_arrived4=1)
    after = await node.look()

    assert (before, during, after) == (Condition.IN_PLACE, Condition.BLOCKED, Condition.IN_PLACE)
    assert "keep pods from the metadata endpoint" in reason
    assert node.warden.reason == ""
    said = [each.message for each in caplog.records]
    assert said.count("pods are kept from an endpoint") == 1
    assert said.count("pods are kept from no endpoint any more") == 1


async def test_an_answer_that_cannot_be_read_is_not_taken_for_well() -> None:
    """What is not known is not in place."""
    node = Node()
    await node.look()
    node.count(metadata_asked4=2**64)

    with pytest.raises(RefusedError):
        await node.look()


async def test_a_repair_forgets_no_count() -> None:
    """Somebody flushes all rules: what was dropped before is still told."""
    node = Node()
    await node.look()
    node.count(dropped_forged4=3)
    await node.look()
    node.tools.table = None
    await node.look()
    node.count(dropped_forged4=2)
    await node.look()

    assert node.warden.traffic.dropped[Guard.FORGED] == 5


async def test_another_wardens_counts_are_its_own() -> None:
    """Two that told the same drops would tell them twice."""
    node = Node()
    newer = Warden(settings(generation="9"), Kernel(node.tools), ipv6=True)
    await newer.reconcile()
    node.count(dropped_forged4=3)

    assert await node.look() is Condition.SUPERSEDED
    assert node.warden.traffic.dropped[Guard.FORGED] == 0
