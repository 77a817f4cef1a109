"""Stories of pods that trade their addresses, while the API says what was so before."""

import asyncio
import time
from collections.abc import Collection

from lab.watched import NO_ANSWER, ROLES, Agent, Answer, agent, ask, key_of, start_again
from lab.witness_ground import HELD, Ground, begun, story


@story()
async def many_pods_trade_their_addresses_at_once(ground: Ground) -> None:
    """None gets another's role; each gets its own once it has started, and that is posted."""
    async with agent(ground.network) as at:
        await trade(ground, at, 8)


async def trade(ground: Ground, at: Agent, count: int) -> list[float]:
    """Make the sandboxes of pods anew, as after a restart of the container runtime.

    Return for how many seconds each was held.
    """
    names = [f"trade{number}" for number in range(count)]
    addresses = [await begun(at, ground, name) for name in names]
    for name in names:
        await ground.remove(name)
    traded = dict(zip(names, addresses[1:] + addresses[:1], strict=True))
    made_at, held = {}, []
    for name, address in traded.items():
        await ground.pod(name, address)
        made_at[name] = time.monotonic()
    await _get_nothing(traded)
    await start_again(*names)
    for name, address in traded.items():
        at.name(name, address)
    for name in names:
        assert await ask(name) == Answer(200, name)
        assert await key_of(name, name) == f"KEY{name}"
        held.append(time.monotonic() - made_at[name])
    return held


async def _get_nothing(names: Collection[str]) -> None:
    """See that pods get neither a role nor the document of whoever had their address."""
    for name, former in zip(names, list(names)[1:] + list(names)[:1], strict=True):
        answers = await asyncio.gather(ask(name), ask(name, ROLES + former))
        assert {*answers} <= {HELD, NO_ANSWER}, name
