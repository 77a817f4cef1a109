"""The warden, put together, and the two other things that its command can do."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

from rolecall_common import heartbeat_file
from rolecall_common.heartbeat_file import Condition
from rolecall_common.lifecycle import StartError, refusing
from rolecall_common.version import VERSION
from rolecall_warden import routing, rules, table_comments
from rolecall_warden.changes import Changes
from rolecall_warden.file_changes import watching
from rolecall_warden.kernel import Kernel, has_ipv6
from rolecall_warden.liveness import held_name, is_held
from rolecall_warden.routing import Family
from rolecall_warden.settings import IncumbentRules, Settings
from rolecall_warden.tools import RefusedError, SystemTools
from rolecall_warden.uninstall import meaning, uninstall
from rolecall_warden.warden import Warden

log = logging.getLogger(__name__)

# A warden that still runs has put back what was removed long before this.
_RETURNS_WITHIN = timedelta(seconds=2)


async def run(settings: Settings, *, once: bool = False) -> None:
    """Put the rules in place and keep them until cancelled; leave them there.

    Raises StartError where they cannot be had, or where somebody else's are in the way; with *once*
    also where it is not this warden's turn, and the guards alone are kept.
    """
    kernel = Kernel(SystemTools())
    with refusing("", RefusedError):
        await kernel.require_nftables()
        await _report_incumbents(settings, kernel)
    # The file is the agent's; a run that does not stay has nothing to tell it.
    if once:
        warden = Warden(settings, kernel, ipv6=has_ipv6())
        with refusing("", RefusedError):
            condition = await warden.reconcile()
        if condition is not Condition.IN_PLACE:
            raise StartError(warden.reason)
        return
    with ExitStack() as stack:
        warden = Warden(settings, kernel, ipv6=has_ipv6(), holder=stack.enter_context(held_name()))
        with refusing("", OSError):
            changes = stack.enter_context(Changes.opened(settings))
        if settings.redirecting.endpoint_file is not None:
            with refusing("endpointFile", OSError):
                stack.enter_context(watching(settings.redirecting.endpoint_file, changes.changed))
        with refusing("healthFile", OSError, heartbeat_file.HeldError):
            heartbeat = stack.enter_context(heartbeat_file.hold(settings.keeping.health_file))
        with refusing("", RefusedError):
            condition = await warden.reconcile()
        fields = {"condition": condition, "version": VERSION, "ipv6": has_ipv6()}
        log.info("the rules are looked after", extra=fields)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(changes.follow(), name="follow the kernel's changes")
            tasks.create_task(warden.run(changes.changed, heartbeat), name="keep the rules")


async def remove(settings: Settings, say: Callable[[str], None]) -> None:
    """Remove what a warden has made. Raises StartError where that fails, or where it comes back."""
    kernel = Kernel(SystemTools())
    with refusing("", RefusedError, OSError), Changes.opened(settings) as changes:
        there = table_comments.parse(await kernel.table() or "")
        if there and there.is_of_another(settings.keeping.installation) and is_held(there.holder):
            raise StartError(f"the rules are those of the installation {there.installation}")
        left = await uninstall(settings, kernel, say, ipv6=has_ipv6())
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(changes.follow(), name="follow the kernel's changes")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETURNS_WITHIN.total_seconds()):
                    while await kernel.table() is None:
                        await changes.changed.wait()
                        changes.changed.clear()
            following.cancel()
        if await kernel.table() is not None:
            raise StartError("a warden still runs on this node, and has put the rules back")
    say(meaning(left))


def preview(settings: Settings) -> str:
    """Return all that a warden of these *settings* would do, without asking the node anything."""
    lines = ["# Packet rules, as for nft -f:", rules.render(settings).text]
    lines += ["# The endpoint's addresses and the routing rules, as for ip -batch:"]
    for address in settings.redirecting.addresses:
        lines.append(f"-{routing.family_of(address)} {routing.address_line(address)}")
    for family in Family:
        for rule in routing.wanted_rules(settings, family):
            lines.append(f"-{family} rule add {rule.words}")
    return "\n".join(lines) + "\n"


async def _report_incumbents(settings: Settings, kernel: Kernel) -> None:
    found = await kernel.incumbents()
    if found and settings.keeping.incumbent_rules is IncumbentRules.REFUSE:
        lines = [f"incumbentRules: refuse, and this node has: {each}" for each in found]
        way = "incumbentRules: adopt comes before them and leaves them; or delete them"
        raise StartError("\n".join([*lines, way]))
    for each in found:
        log.warning("somebody else's redirect is left behind ours", extra={"rule": each})
