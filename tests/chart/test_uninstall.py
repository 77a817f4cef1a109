"""The way back: pods in place of the agents, which take away what wardens have made."""

import argparse
from typing import Any

import pytest

from chart.rendering import Helm, Object, Rendering
from rolecall_cli.options import settings_of
from rolecall_cli.warden import add_arguments
from rolecall_warden.settings import Settings

VALUES: dict[str, Any] = {
    "imagePullSecrets": [{"name": "registry"}],
    "agent": {
        "image": {"registry": "registry.example.com"},
        "nodeSelector": {"example.com/rolecall": "yes"},
        "containerEndpoint": {"listen": ["169.254.170.23:9804"]},
    },
}
SETTINGS = {"endpointIpv4": "169.254.77.1", "routingPriority": 50, "incumbentRules": "adopt"}


@pytest.fixture(scope="module")
def staying(helm: Helm) -> Rendering:
    return helm.render({**VALUES, "warden": {"settings": SETTINGS}})


@pytest.fixture(scope="module")
def leaving(helm: Helm) -> Rendering:
    return helm.render({**VALUES, "warden": {"settings": SETTINGS, "uninstall": True}})


def names(rendering: Rendering) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in rendering.objects}


def uninstalling(rendering: Rendering) -> Object:
    (container,) = rendering.agent["spec"]["initContainers"]
    found: Object = container
    return found


def parsed(container: Object) -> argparse.Namespace:
    command, *words = container["args"]
    assert command == "warden"
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_arguments(parser)
    return parser.parse_args(words)


def test_it_stands_in_place_of_the_agents(staying: Rendering, leaving: Rendering) -> None:
    """A warden that ran on would put back what is removed. All else of the release stays."""
    assert names(staying) - names(leaving) == {("DaemonSet", "rolecall-agent")}
    assert names(leaving) - names(staying) == {("DaemonSet", "rolecall-uninstall")}
    # Another selector, so that its pods are nobody's agents.
    labels = leaving.agent["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "uninstall"


def test_it_takes_away_what_a_warden_of_these_values_makes(
    staying: Rendering, leaving: Rendering
) -> None:
    """The same addresses, endpoint and priorities; only an endpoint's file says nothing to it."""
    typed = parsed(uninstalling(leaving))
    gone = settings_of(Settings, typed, {})
    made = settings_of(Settings, parsed(staying.agent["spec"]["containers"][1]), {})

    assert typed.uninstall
    assert [str(each) for each in gone.redirecting.more_addresses] == ["169.254.170.23"]
    assert gone.redirecting.more_addresses == made.redirecting.more_addresses
    assert gone.redirecting.endpoint_ipv4 == made.redirecting.endpoint_ipv4
    assert gone.keeping == made.keeping


def test_it_reaches_every_node_that_has_an_agent(staying: Rendering, leaving: Rendering) -> None:
    """The same nodes, taints, image and network, and as much weight with the scheduler."""
    agent, spec = staying.agent["spec"], leaving.agent["spec"]
    same = ("nodeSelector", "tolerations", "affinity", "hostNetwork", "priorityClassName")

    assert {each: spec.get(each) for each in same} == {each: agent.get(each) for each in same}
    assert spec["imagePullSecrets"] == agent["imagePullSecrets"]
    assert uninstalling(leaving)["image"] == agent["containers"][1]["image"]


def test_it_has_a_wardens_rights_while_it_works_and_none_while_it_waits(
    staying: Rendering, leaving: Rendering
) -> None:
    """A pod is ready when its node is clean, and then does nothing; nothing is told to it."""
    agent, warden = staying.agent["spec"]["containers"]
    spec = leaving.agent["spec"]
    (waiting,) = spec["containers"]

    assert uninstalling(leaving)["securityContext"] == warden["securityContext"]
    assert waiting["securityContext"] == agent["securityContext"]
    assert waiting["command"] == ["sleep", "infinity"]
    assert spec["automountServiceAccountToken"] is False
    assert spec.keys().isdisjoint({"volumes", "hostPID", "hostIPC"})


def test_helm_waits_for_the_last_node(leaving: Rendering) -> None:
    """It takes a DaemonSet for done without as many pods as may be unavailable."""
    (daemon_set,) = leaving.of_kind("DaemonSet")

    assert daemon_set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 0
