"""The node's own metadata is where a server finds region and keys, unless it is told not to ask.

Off the host's network it would be answered on a node whose warden has not come yet, and by the
node's role, which is not the server's to use.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fakes.aws import forget_machine
from fakes.clock import FakeClock
from rolecall_server.model.issuer import UnavailableError
from rolecall_server.sts.aws_chain import AwsChain, make_session
from rolecall_server.sts.endpoint import find_region
from rolecall_server.sts.options import StsOptions

ROLE = "/latest/meta-data/iam/security-credentials/"
DISABLED = "AWS_EC2_METADATA_DISABLED"


class Metadata(http.server.BaseHTTPRequestHandler):
    """What an instance's metadata answers about its region and its role."""

    asked: list[str]

    def do_PUT(self) -> None:
        self._say("a-token")

    def do_GET(self) -> None:
        self.asked.append(self.path)
        ends = datetime.now(UTC) + timedelta(hours=6)
        keys = {
            "AccessKeyId": "ASIANODE",
            "SecretAccessKey": "the node's",
            "Token": "the node's",
            "Expiration": f"{ends:%FT%TZ}",
        }
        said = {
            # A Local Zone: its region cannot be told from its name.
            "/latest/meta-data/placement/availability-zone": "us-west-2-lax-1a",
            "/latest/meta-data/placement/availability-zone/": "us-west-2-lax-1a",
            "/latest/meta-data/placement/region": "us-west-2",
            ROLE: "node-role",
            f"{ROLE}node-role": json.dumps(keys),
        }
        self._say(said.get(self.path, ""))

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Serve metadata where botocore looks for it; give the paths that were asked for."""
    forget_machine(monkeypatch, tmp_path)
    paths: list[str] = []
    handler = type("Noting", (Metadata,), {"asked": paths})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as metadata:
        url = f"http://127.0.0.1:{metadata.server_port}/"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        thread = threading.Thread(target=metadata.serve_forever)
        thread.start()
        yield paths
        metadata.shutdown()
        thread.join()


async def test_region_and_keys_are_the_instances_where_nothing_else_says_them(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On EC2, and on the host network, nothing has to be set."""
    monkeypatch.setenv(DISABLED, "false")

    assert find_region(make_session(), StsOptions(), {DISABLED: "false"}) == "us-west-2"
    assert (await AwsChain(FakeClock()).fetch()).credentials.access_key_id == "ASIANODE"
    assert f"{ROLE}node-role" in asked


async def test_a_server_that_is_told_so_asks_the_instance_nothing(asked: list[str]) -> None:
    """Neither its region nor its keys are the node's then, and the errors say what to set."""
    with pytest.raises(ValueError, match="set `region`"):
        find_region(make_session(), StsOptions(), {DISABLED: "true"})
    with pytest.raises(UnavailableError, match="no AWS credentials for the server itself"):
        await AwsChain(FakeClock()).fetch()

    assert asked == []
