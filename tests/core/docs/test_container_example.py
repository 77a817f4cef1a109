"""The page about the container endpoint says what the code and the chart do."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

import rolecall_server.settings
from fakes.example import PAGE, container_pod, environment_of, token_of
from rolecall_agent.container.decide import CREDENTIALS, find
from rolecall_agent.container.responses import ERRORS
from rolecall_common.settings.declare import declared

ROOT = Path(__file__).parents[3]
POD = container_pod()


def test_the_uri_is_where_the_chart_has_agents_listen() -> None:
    """Both addresses, and the path that the endpoint knows."""
    values = yaml.safe_load((ROOT / "charts" / "rolecall" / "values.yaml").read_text())
    ipv4, ipv6 = values["agent"]["containerEndpoint"]["listen"]
    uri = environment_of(POD)["AWS_CONTAINER_CREDENTIALS_FULL_URI"]

    assert uri == f"http://{ipv4}/v1/credentials"
    assert f"`http://{ipv6}/v1/credentials`" in PAGE.read_text()
    assert find(b"/v1/credentials") is CREDENTIALS


def test_the_audience_is_the_servers_default() -> None:
    """And the token is where the environment says that it is."""
    defaults: dict[str, Any] = {
        each.name: each.default for each in declared(rolecall_server.settings.Settings)
    }
    projected, [container] = token_of(POD), POD["spec"]["containers"]
    [mount] = container["volumeMounts"]
    file = PurePosixPath(mount["mountPath"]) / projected["path"]

    assert (projected["audience"],) == defaults["containerAudience"]
    assert environment_of(POD)["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == str(file)


def test_every_error_is_on_the_page() -> None:
    """With its status and its code."""
    listed = set(re.findall(r"^\| (\d{3}) `(\w+)` \|", PAGE.read_text(), re.MULTILINE))

    # Malformed requests are HTTP's matter.
    assert listed == {(str(int(status)), code) for status, code, _ in ERRORS} - {
        ("400", "BadRequest")
    }
