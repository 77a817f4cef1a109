"""Takes everything away, the guards last, and says what that means."""

from collections.abc import Callable, Collection
from dataclasses import replace

from rolecall_warden import routing, rules, table_comments
from rolecall_warden.kernel import Kernel
from rolecall_warden.routing import Family
from rolecall_warden.settings import METADATA_IPV4, METADATA_IPV6, Address, Settings


def meaning(left: Collection[Address]) -> str:
    """Return what follows for the node's pods, and what is *left* there."""
    first = "Nothing of Rolecall is left on this node."
    if left:
        first = (
            f"Left on the loopback link: {', '.join(map(str, left))}.\n"
            "Whether a warden has made them, nothing says; if so, name them by --more-addresses."
        )
    return f"""\
{first}
Its pods now reach the real metadata service at {METADATA_IPV4} and [{METADATA_IPV6}]:
they can take the node's own role, read its user data, and be taken for the node."""


async def uninstall(
    settings: Settings, kernel: Kernel, say: Callable[[str], None], *, ipv6: bool
) -> list[Address]:
    """Remove the redirect, the addresses of the endpoints, and the two guards. Raises RefusedError.

    Where a step fails, the guards that come after it stand. Returns the addresses that may be a
    warden's and are left, because nothing says so.
    """
    listing = await kernel.table()
    recorded = table_comments.parse_addresses(listing or "")
    if listing is not None:
        # With the record, for whoever has to do it again.
        more = sorted(recorded.union(settings.redirecting.more_addresses), key=str)
        endpoint = replace(settings.redirecting, more_addresses=tuple(more))
        await kernel.apply(rules.render(replace(settings, redirecting=endpoint), redirect=False))
    say("removed: the redirect to the agent; pods get no answer at the metadata address")
    there = await kernel.addresses("lo")
    ours = recorded.union(settings.redirecting.addresses)
    for each in sorted(there & ours, key=str):
        await kernel.batch([routing.address_line(each, "del")], routing.family_of(each))
    say("removed: the endpoints' addresses")
    for family in (Family.IPV4, Family.IPV6) if ipv6 else (Family.IPV4,):
        await kernel.batch(routing.removal(await kernel.rules(family)), family)
    say("removed: the guard by routing rules")
    await kernel.remove_table()
    say("removed: the guard by packet rules")
    return [] if recorded else sorted(filter(_may_be_ours, there - ours), key=str)


def _may_be_ours(address: Address) -> bool:
    local = address.version == 6 and address.is_private and not address.is_loopback  # noqa: PLR2004 - IPv6
    return local or address.is_link_local
