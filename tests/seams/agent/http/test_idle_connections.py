"""Hundreds of processes of one pod, each with a connection that it keeps."""

import contextlib

from fakes.endpoint_rig import LIST, LONG, OWN, endpoint_rig, known, pod
from rolecall_agent.http.connection_limits import MOST_AT_ONCE
from rolecall_agent.http.server_state import ServerRules

PROCESSES = 600


async def test_six_hundred_processes_of_one_pod_are_all_answered() -> None:
    """More than have a place: whoever asks next has that of the oldest idle one."""
    async with endpoint_rig() as rig, contextlib.AsyncExitStack() as stack:
        rig.snapshot(*known(pod(OWN)))
        statuses = []
        for _ in range(PROCESSES):
            client = await stack.enter_async_context(rig.client())
            client.send(LIST)
            statuses.append((await client.answer()).status)
        kept = rig.server.open_connections

    assert statuses == [200] * PROCESSES
    assert kept == MOST_AT_ONCE


async def test_who_is_pushed_out_has_had_all_its_answers() -> None:
    """It is closed as an idle connection is, not reset."""
    async with endpoint_rig(rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot(*known(pod(OWN)))
        async with rig.client() as first, rig.client() as second:
            first.send(LIST)
            second.send(LIST)
            [answer] = await first.until_closed()
            late = await second.answer()

    assert (answer.status, late.status) == (200, 200)


async def test_a_parked_request_keeps_its_connection() -> None:
    """What waits for its pod's credentials is not idle; who comes meanwhile waits as well."""
    async with endpoint_rig(hold=LONG, rules=ServerRules(at_once=1, queued=1)) as rig:
        rig.snapshot()
        async with rig.client() as first, rig.client() as second:
            first.send(LIST)
            await rig.parked.wait()
            second.send(LIST)
            await rig.until(lambda: bool(rig.server.state.limits.crowded))
            rig.server.state.limits.relieve()
            rig.tell(*known(pod(OWN)))
            answers = await first.answer(), await second.answer()

    assert [answer.status for answer in answers] == [200, 200]


async def test_a_connection_that_has_asked_nothing_yet_is_not_idle() -> None:
    """It has the time for its first head, as everybody."""
    rules = ServerRules(at_once=1, queued=1)
    async with endpoint_rig(rules=rules) as rig, rig.client() as silent, rig.client() as second:
        rig.snapshot(*known(pod(OWN)))
        await rig.until(lambda: bool(rig.server.state.limits.crowded))
        rig.server.state.limits.relieve()
        waiting = rig.server.open_connections
        silent.send(LIST)
        answers = await silent.answer(), await second.rest()

    assert waiting == 2
    assert answers[0].status == 200
