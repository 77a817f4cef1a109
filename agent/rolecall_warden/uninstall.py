"""Takes everything away, the guards last, and says what that means."""

from collections.abc import Callable

from rolecall_warden import routing, rules
from rolecall_warden.kernel import Kernel
from rolecall_warden.routing import Family
from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, Settings

MEANING = f"""\
Nothing of Rolecall is left on this node.
Its pods now reach the real metadata service at {METADATA_IPV4} and [{METADATA_IPV6}]:
they can take the node's own role, read its user data, and be taken for the node."""


async def uninstall(
    settings: Settings, kernel: Kernel, say: Callable[[str], None], *, ipv6: bool
) -> None:
    """Remove the redirect, the door's addresses, and the two guards. Raises RefusedError.

    Where a step fails, the guards that come after it stand.
    """
    if await kernel.table() is not None:
        await kernel.apply(rules.render(settings, redirect=False))
    say("removed: the redirect to the agent; pods get no answer at the metadata address")
    await _remove_addresses(settings, kernel)
    say("removed: the door's addresses")
    for family in (Family.IPV4, Family.IPV6) if ipv6 else (Family.IPV4,):
        await kernel.batch(routing.removal(await kernel.rules(family)), family)
    say("removed: the guard by routing rules")
    await kernel.remove_table()
    say("removed: the guard by packet rules")


async def _remove_addresses(settings: Settings, kernel: Kernel) -> None:
    door = settings.redirecting
    ours = {door.door_ipv4, door.door_ipv6, *door.more_addresses}
    there = await kernel.addresses("lo") & ours
    for each in sorted(there, key=str):
        await kernel.batch([routing.address_line(each, "del")], routing.family_of(each))
