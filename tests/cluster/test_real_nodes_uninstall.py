"""The way back on real nodes: nothing of a warden is left, and pods show what that means."""

import asyncio

import pytest

from cluster.grounds import METADATA, RELEASE, SPACE, Grounds, client_pod, placed
from fakes.imds import TOKEN
from testcluster.machines.machine import Machine

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

USER_DATA = f"http://{METADATA}/latest/user-data"
# Pods get no answer that says anything while there are guards.
CURL = ("curl", "--silent", "--max-time", "2", "--header", f"X-aws-ec2-metadata-token: {TOKEN}")


async def left_on(node: Machine) -> set[str]:
    """Return which of a warden's works are on a node."""
    looks = {
        "packet rules": (("nft", "list", "tables"), "inet rolecall"),
        "routing rules": (("ip", "rule", "show"), f"to {METADATA} prohibit"),
        "endpoint": (("ip", "address", "show", "lo"), "169.254.170.169/32"),
        "container endpoint": (("ip", "address", "show", "lo"), "169.254.170.23/32"),
    }
    said = {what: await asyncio.to_thread(node.run, *words) for what, (words, _) in looks.items()}
    return {what for what, (_, sign) in looks.items() if sign in said[what]}


async def test_the_way_back_leaves_nothing_and_pods_reach_the_nodes_own_service(
    grounds: Grounds,
) -> None:
    """One upgrade that waits, then the uninstallation: as docs/install.md says."""
    await grounds.make_namespace("leaving", "x-.*")
    for node in grounds.nodes:
        await grounds.admin.create(placed(client_pod(node.name, None, node.name), "leaving"))
    await grounds.until_running("leaving", len(grounds.nodes))
    everything = {"packet rules", "routing rules", "endpoint", "container endpoint"}
    assert [await left_on(node) for node in grounds.nodes] == [everything] * len(grounds.nodes)

    await grounds.install(warden={"uninstall": True})
    assert [await left_on(node) for node in grounds.nodes] == [set()] * len(grounds.nodes)
    await grounds.cluster.helm("uninstall", RELEASE, "--namespace", SPACE, "--wait")
    assert [await left_on(node) for node in grounds.nodes] == [set()] * len(grounds.nodes)
    for node in grounds.nodes:
        said = await grounds.run_in("leaving", node.name, *CURL, USER_DATA)
        assert said == grounds.imds.values["/latest/user-data"]

    # And there again, for whoever comes after.
    await grounds.install()
    assert [await left_on(node) for node in grounds.nodes] == [everything] * len(grounds.nodes)
    await grounds.admin.delete("Namespace", "leaving")
