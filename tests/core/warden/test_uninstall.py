"""An uninstallation takes away what wardens have made, by what their table says of it."""

import asyncio

from core.warden.node import NodeTools
from core.warden.rig import settings
from rolecall_common.settings.types import Raw
from rolecall_warden import rules, table_comments
from rolecall_warden.kernel import Kernel
from rolecall_warden.uninstall import meaning, uninstall
from rolecall_warden.warden import Warden

CONTAINER = "169.254.170.23,fd00:ec2::23"


def guarded(**flags: Raw) -> NodeTools:
    """Return a node on which a warden with those settings has been."""
    tools = NodeTools()
    asyncio.run(Warden(settings(**flags), Kernel(tools), ipv6=True).reconcile())
    return tools


def uninstalled(tools: NodeTools, **flags: Raw) -> list[str]:
    """Take all away that is known of; return which addresses it says are left."""
    removed = uninstall(settings(**flags), Kernel(tools), lambda _: None, ipv6=True)
    return [str(each) for each in asyncio.run(removed)]


def test_the_table_says_which_addresses_its_warden_has_made() -> None:
    """Those of both endpoints, whatever else a listing holds."""
    told = settings(more_addresses=CONTAINER)
    text = rules.render(told).text

    assert table_comments.parse_addresses(text) == frozenset(told.redirecting.addresses)
    assert table_comments.parse_addresses(
        text.replace("169.254.170.23", "999.254.170.23")
    ) == frozenset(told.redirecting.addresses) - {told.redirecting.more_addresses[0]}


def test_addresses_go_that_nobody_has_named_again() -> None:
    """Neither the container endpoint's, nor an endpoint that was set to another address."""
    tools = guarded(more_addresses=CONTAINER, endpoint_ipv4="169.254.77.1")
    tools.addresses.add("169.254.9.9")  # Somebody else's.

    assert len(tools.addresses) == 5
    assert uninstalled(tools) == []
    assert tools.addresses == {"169.254.9.9"}
    assert (tools.table, tools.rules) == (None, {"-4": [], "-6": []})


def test_what_cannot_be_known_is_named_and_left() -> None:
    """Where the table is gone, or was made before tables said it."""
    tools = guarded(more_addresses=CONTAINER)
    tools.table = None
    tools.addresses.add("10.9.8.7")
    left = uninstalled(tools)

    assert left == ["169.254.170.23", "fd00:ec2::23"]
    assert "169.254.170.23" in meaning(
        settings(more_addresses=CONTAINER).redirecting.more_addresses
    )
    assert "Nothing of Rolecall is left" in meaning([])
    assert uninstalled(tools, more_addresses=CONTAINER) == []
    assert tools.addresses == {"10.9.8.7"}
