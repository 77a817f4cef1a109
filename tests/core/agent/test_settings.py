"""What an operator may set of the agent, and what is said of it at its start."""

import pytest

from rolecall_agent.settings import Settings as AgentSettings
from rolecall_common.settings.declare import SettingsError
from rolecall_common.settings.loader import load_settings
from rolecall_common.settings.types import Raw


@pytest.mark.parametrize("field", ["servers", "listen"])
def test_an_agent_without_anyone_to_ask_or_to_answer_does_not_start(field: str) -> None:
    """An empty list is written down, and still says nothing."""
    flags: dict[str, Raw] = {"servers": "s:1", "ca_file": "ca", "token_file": "token", field: ","}
    with pytest.raises(SettingsError) as caught:
        load_settings(AgentSettings, flags, {}, None)

    assert [str(problem).partition("; ")[0] for problem in caught.value.problems] == [
        f"{field}: ',' (from the command line): it is empty"
    ]


def test_an_agent_that_holds_longer_than_sdks_wait_says_so() -> None:
    """It works, and somebody should know."""
    flags = {
        "servers": "s:1",
        "ca_file": "ca",
        "token_file": "token",
        "metadata_service": "",
    }

    for hold, cautions in (("950ms", 0), ("951ms", 1)):
        settings = load_settings(AgentSettings, {**flags, "hold": hold}, {}, None)
        assert len(list(settings.cautions())) == cautions


@pytest.mark.parametrize(
    ("listen", "service", "offered", "cautions"),
    [
        ("169.254.170.2:8181", "169.254.169.254:80", 2, 0),
        ("169.254.170.2:8181", "", 0, 0),
        ("169.254.169.254:80", "169.254.169.254:80", 0, 1),
        ("[::1]:80,[fd00:ec2::254]:80", "[fd00:ec2::254]:80", 0, 1),
    ],
)
def test_an_endpoint_in_the_place_of_the_metadata_service_does_not_ask_itself(
    listen: str, service: str, offered: int, cautions: int
) -> None:
    """It passes nothing on, and says so."""
    flags = {
        "servers": "s:1",
        "ca_file": "ca",
        "token_file": "token",
        "listen": listen,
        "metadata_service": service,
        "metadata_items": "meta-data/placement/region,meta-data/instance-id",
    }
    settings = load_settings(AgentSettings, flags, {}, None)

    assert len(settings.endpoint.offered) == offered
    assert len(list(settings.cautions())) == cautions
