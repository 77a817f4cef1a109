"""What Helm says after an installation: commands that show everything, and what one should know."""

from typing import Any

import pytest

from chart.rendering import Helm
from chart.sets import SETS

NO_CREDENTIALS = "nothing here gives the servers AWS credentials of their own"
ROLE = "arn:aws:iam::111122223333:role/rolecall"


def test_logs_are_shown_of_every_container(helm: Helm) -> None:
    """By itself kubectl shows the first one, and stops at a container that has not begun."""
    commands = [line for line in helm.notes().splitlines() if " logs " in line]

    assert commands
    assert all("--all-containers --ignore-errors" in line for line in commands)


def test_a_rollout_is_waited_for_where_there_is_one(helm: Helm) -> None:
    """With OnDelete the status of the DaemonSet's rollout is an error."""
    command = "rollout status daemonset/rolecall-agent"

    assert command in helm.notes()
    assert command not in helm.notes({"agent": {"updateStrategy": {"type": "OnDelete"}}})


@pytest.mark.parametrize(
    "server",
    [
        {"webIdentity": {"roleArn": ROLE}},
        {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}},
        {"hostNetwork": True},
        {"extraEnv": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]},
        {"extraVolumes": [{"name": "aws", "secret": {"secretName": "aws"}}]},
    ],
    ids=lambda server: next(iter(server)),
)
def test_servers_without_credentials_of_their_own_are_warned_of(
    helm: Helm, server: dict[str, Any]
) -> None:
    """Any of the documented ways is enough."""
    assert NO_CREDENTIALS in helm.notes()
    assert NO_CREDENTIALS not in helm.notes({"server": server})


def test_certificate_and_token_secret_are_spoken_of_each_where_it_is_made(helm: Helm) -> None:
    """Who has cert-manager for the one has still Helm for the other."""
    both, secret, none = (helm.notes(SETS.get(each)) for each in ("", "cert-manager", "existing"))

    assert "tls.source is generated" in both
    assert "the token secret is made here" in both
    assert "tls.source is generated" not in secret
    assert "the token secret is made here" in secret
    assert "the token secret is made here" not in none


def test_without_a_warden_nobody_leads_the_pods(helm: Helm) -> None:
    """The notes do not promise that nothing changes: rules of wardens that ran would stay."""
    said = helm.notes({"warden": {"enabled": False}})

    assert "warden.enabled is false, so nobody does it" in said
    assert "no pod reaches the node's own credentials" not in said


def test_an_uninstallation_says_what_comes_next(helm: Helm) -> None:
    """Both commands, and what pods can do from then on."""
    said = helm.notes({"warden": {"uninstall": True}})

    assert "rollout status daemonset/rolecall-uninstall" in said
    assert "--container=uninstall" in said
    assert "helm -n default uninstall rolecall" in said
    assert "reach the\nnode's own credentials" in said
    assert "is installed" not in said
