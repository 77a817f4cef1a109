"""What cannot be is refused before anything reaches a cluster, with a text that helps."""

import json
from typing import Any

import pytest

from chart.rendering import CHART, KUBERNETES, ChartRefusedError, Helm
from chart.sets import SETS

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sever": {}}, "additional properties 'sever' not allowed"),
    ({"server": {"replica": 2}}, "additional properties 'replica' not allowed"),
    ({"server": {"replicas": 0}}, "at '/server/replicas': minimum: got 0, want 1"),
    ({"server": {"replicas": "2"}}, "at '/server/replicas': got string, want integer"),
    (
        {"server": {"settings": {"sesionDuration": "1h"}}},
        "at '/server/settings': additional properties 'sesionDuration' not allowed",
    ),
    # What the chart sets itself cannot be set against it.
    ({"server": {"settings": {"listen": "[::]:1"}}}, "additional properties 'listen' not allowed"),
    ({"agent": {"settings": {"tokenFile": "/x"}}}, "additional properties 'tokenFile' not allowed"),
    # A number that YAML made of an account has lost its zeros.
    (
        {"server": {"settings": {"allowedAccounts": [12345678901]}}},
        "at '/server/settings/allowedAccounts/0': got number, want string",
    ),
    ({"server": {"settings": {"stsBurst": 0}}}, "at '/server/settings/stsBurst': minimum: got 0"),
    (
        {"server": {"settings": {"namespacePolicy": "lax"}}},
        "at '/server/settings/namespacePolicy': value must be one of 'enforce', 'warn', 'off'",
    ),
    ({"server": {"port": 443}}, "at '/server/port': minimum: got 443, want 1,024"),
    ({"agent": {"image": {"digest": "sha256:abc"}}}, "at '/agent/image/digest'"),
    ({"tls": {"source": "self-signed"}}, "value must be one of 'generated', 'cert-manager', 'exi"),
    ({"tls": {"source": "existing"}}, "tls.existing.secretName: tls.source is existing, so it"),
    ({"tls": {"source": "cert-manager"}}, "tls.certManager.issuerRef.name: tls.source is cert-man"),
    (
        {"tls": {"source": "existing", "existing": {"secretName": "own"}}},
        "tls.authority: with tls.source existing agents must be told whom to trust",
    ),
    ({"tls": {"authority": {"configMapName": "x"}}}, "the chart makes the authority itself"),
    (
        {"tls": {"authority": {"configMapName": "x", "pem": "-----BEGIN CERTIFICATE-----"}}},
        "tls.authority: give configMapName or pem, not both",
    ),
    ({"tls": {"generated": {"days": 30}}}, "tls.generated.renewBeforeDays: it must be less than"),
    ({"tls": {"generated": {"authorityDays": 365}}}, "tls.generated.authorityDays: it must be mor"),
    ({"agent": {"adminPort": 9803}}, "agent.adminPort: it must differ from agent.port"),
    ({"server": {"adminPort": 8443}}, "server.adminPort: it must differ from server.port"),
    ({"server": {"hostNetwork": True, "adminPort": 9802}}, "it must differ from the agent's ports"),
    (
        {"agent": {"containerEndpoint": {"listen": ["169.254.170.23:9802"]}}},
        "agent.containerEndpoint.listen: its ports must differ from agent.adminPort",
    ),
    # A second agent of a node takes one of the seven that follow.
    (
        {"server": {"hostNetwork": True, "port": 9810}},
        "it must differ from the agent's ports: 9803",
    ),
    ({"server": {"hostNetwork": True, "port": 9804}}, "server.port: with server.hostNetwork"),
    (
        {
            "server": {"hostNetwork": True, "port": 9900},
            "agent": {"containerEndpoint": {"listen": ["169.254.170.23:9900"]}},
        },
        "to 9810, agent.adminPort and those of agent.containerEndpoint.listen",
    ),
    # A rollout of none at a time is one that the API server refuses.
    (
        {"agent": {"updateStrategy": {"rollingUpdate": {"maxSurge": 0}}}},
        "at '/agent/updateStrategy/rollingUpdate/maxSurge': minimum: got 0, want 1",
    ),
    (
        {"agent": {"updateStrategy": {"rollingUpdate": {"maxSurge": "0%"}}}},
        "at '/agent/updateStrategy/rollingUpdate/maxSurge': '0%' does not match pattern",
    ),
    (
        {"agent": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "00%"}}}},
        "at '/agent/updateStrategy/rollingUpdate/maxUnavailable': '00%' does not match pattern",
    ),
    # A second value for a label by which pods are found.
    (
        {"commonLabels": {"app.kubernetes.io/name": "x"}},
        "commonLabels: app.kubernetes.io/name is the chart's own",
    ),
    (
        {"agent": {"podLabels": {"app.kubernetes.io/component": "x"}}},
        "agent.podLabels: app.kubernetes.io/component is the chart's own",
    ),
    (
        {"server": {"podLabels": {"app.kubernetes.io/instance": "x"}}},
        "server.podLabels: app.kubernetes.io/instance is the chart's own",
    ),
    (
        {"agent": {"serviceAccount": {"name": "rolecall-server"}}},
        "agents need a service account of their own",
    ),
    (
        {
            "server": {
                "webIdentity": {"roleArn": "arn:aws:iam::111122223333:role/rolecall"},
                "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn"}},
            }
        },
        "server.webIdentity.roleArn: the annotation eks.amazonaws.com/role-arn",
    ),
]


@pytest.mark.parametrize(("values", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_be_is_refused(helm: Helm, values: dict[str, Any], text: str) -> None:
    """The message names the value, and what would be accepted."""
    with pytest.raises(ChartRefusedError) as caught:
        helm.render(values)

    assert text in " ".join(str(caught.value).split())


@pytest.mark.parametrize("release", ["2rolecall", "rolecall.eu"])
def test_a_release_whose_name_no_service_can_have_needs_another_name(
    helm: Helm, release: str
) -> None:
    """The API server would say so half-way through."""
    with pytest.raises(ChartRefusedError, match="fullnameOverride: the name of a Service begins"):
        helm.render(release=release)

    assert helm.render({"fullnameOverride": "two"}, release=release).objects


def test_an_older_cluster_is_refused(helm: Helm) -> None:
    """The admission policies and the node in tokens came with Kubernetes 1.30."""
    with pytest.raises(ChartRefusedError, match=r"requires kubeVersion: >=1\.30\.0-0"):
        helm.run("template", "rolecall", "charts/rolecall", "--kube-version", "1.29.9")


@pytest.mark.parametrize("values", [{}, SETS["cert-manager"]], ids=["all", "token-secret"])
def test_nothing_secret_is_made_where_helm_asks_no_cluster(
    helm: Helm, values: dict[str, Any]
) -> None:
    """Each rendering would have another one, and whoever applies them would change it each time."""
    words = ("template", "rolecall", str(CHART), "--kube-version", KUBERNETES, "--values", "-")
    with pytest.raises(ChartRefusedError, match="Helm asks no cluster here"):
        helm.run(*words, given=json.dumps(values))

    assert helm.run(*words, given=json.dumps(SETS["existing"]))
