"""The container endpoint of an agent whose server has no cluster: it is there, judging nobody."""

import json
import time
from pathlib import Path

from fakes.cluster import namespace, pod
from fakes.container_rig import token
from fakes.system import ask, system

POD = "127.7.3.1"
PATH = "/v1/credentials"


async def test_without_a_cluster_every_token_waits_and_is_told_to_come_back(tmp_path: Path) -> None:
    """Manifests sign nothing. The metadata endpoint beside it serves the same pod."""
    async with system(tmp_path) as node:
        node.write("pods", namespace(), pod("reader", POD, "reader"))
        endpoint = node.port("container")
        await node.start_sts()
        await node.start_server()
        await node.start_agent("--container-listen", f"127.0.0.1:{endpoint}")
        began = time.monotonic()
        status, body = await ask(endpoint, PATH, POD, f"Authorization: {token()}\r\n")
        held = time.monotonic() - began

        assert (status, json.loads(body)["code"]) == (503, "NotYet")
        assert held >= 0.85
        assert (await ask(endpoint, "/latest/meta-data/iam/security-credentials/", POD))[0] == 404
        await node.until_served(POD, "reader")
        await node.until_measured(
            "agent",
            'rolecall_agent_requests_total{endpoint="container",route="role_document",code="503",'
            'outcome="timeout"} 1.0',
        )
