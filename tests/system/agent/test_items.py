"""The node's own items through a real agent, beside a metadata service that records everything."""

import asyncio
from pathlib import Path

from fakes.cluster import namespace, pod
from fakes.imds import REGION, fake_imds
from fakes.system import LIST, system

READER = "127.7.9.1"
PLACEMENT = "/latest/meta-data/placement/"
WANTED = (REGION, PLACEMENT, "/latest/meta-data/iam/info", LIST, "/latest/user-data")


async def test_pods_learn_their_region_and_nothing_else_of_the_node(tmp_path: Path) -> None:
    """Whatever they ask, the real service sees the agent's own token and one path."""
    async with fake_imds() as imds, system(tmp_path) as node:
        node.write("all", namespace(), pod("reader", READER, "reader"))
        await node.start_sts()
        await node.start_server()
        service = f"127.0.0.1:{imds.port}"
        await node.start_agent(
            "--metadata-service", service, "--metadata-items", REGION[8:], "--hold", "8s"
        )
        await node.until_served(READER, "reader")
        crowd = await asyncio.gather(*(node.get(REGION, READER) for _ in range(50)))
        answers = [await node.get(path, READER) for path in WANTED]
        await node.until_measured(
            "agent", 'rolecall_agent_metadata_items_asked_total{result="ok"} 1.0'
        )

    region, placement, (info_status, info), roles, user_data = answers
    assert set(crowd) == {(200, "eu-central-1")}
    assert region == (200, "eu-central-1")
    assert placement == (200, "region")
    assert (info_status, ":instance-profile/reader" in info) == (200, True)
    assert roles == (200, "reader")
    assert user_data[0] == 404
    assert imds.requests == ["PUT /latest/api/token", f"GET {REGION}"]
