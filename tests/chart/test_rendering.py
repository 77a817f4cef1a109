"""What Helm makes of the chart."""

import base64
import os
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from chart.rendering import CHART, Helm, Rendering, settled
from chart.sets import SETS
from rolecall_server.rpc.certificate import read_pair
from rolecall_server.startup.prechecks import token_secret

GOLDEN = Path(__file__).parent / "golden" / "default.yaml"


@pytest.fixture(scope="session", params=SETS)
def rendering(request: pytest.FixtureRequest, helm: Helm) -> Rendering:
    return helm.render(SETS[request.param])


def test_helm_has_nothing_against_the_chart(helm: Helm) -> None:
    """`helm lint` finds neither errors nor warnings."""
    said = helm.run("lint", str(CHART), "--strict", "--kube-version", "1.30.0")

    assert "1 chart(s) linted, 0 chart(s) failed" in said


def test_the_default_rendering_is_the_one_that_was_reviewed(default: Rendering) -> None:
    """`UPDATE_GOLDEN=1 pytest tests/chart/test_rendering.py` writes it anew."""
    text = settled(default.text)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(text)

    assert text == GOLDEN.read_text()


def test_every_set_of_values_renders_whole_objects(rendering: Rendering) -> None:
    """Each object has a kind, a name and our labels, and no two are the same."""
    names = [
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace"))
        for each in rendering.objects
    ]

    assert len(set(names)) == len(names)
    for each in rendering.objects:
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "rolecall"


def test_services_and_workloads_find_their_pods(rendering: Rendering) -> None:
    """Every selector fits the labels of the pods that it is for, and no others."""
    sides = {"server": rendering.server, "agent": rendering.agent}
    selectors = {
        (each["kind"], each["metadata"]["name"]): each["spec"]["selector"]
        for each in rendering.objects
        if "selector" in each.get("spec", {})
    }

    assert selectors
    for (_, name), selector in selectors.items():
        wanted = selector.get("matchLabels", selector)
        found = [
            side
            for side, template in sides.items()
            if wanted.items() <= template["metadata"]["labels"].items()
        ]
        assert found == ["agent" if "agent" in name else "server"]


def test_an_image_is_a_digest_a_tag_or_the_charts_own_version(helm: Helm) -> None:
    """The digest wins over the tag, which wins over the version of the chart."""
    rendering = helm.render(SETS["everything"])
    image = rendering.server["spec"]["containers"][0]["image"]

    assert image == f"registry.example.com:5000/rolecall-server@sha256:{'a' * 64}"
    assert rendering.agent["spec"]["containers"][0]["image"] == "rolecall-agent:next"


def test_a_budget_guards_two_servers_and_does_not_block_one(helm: Helm, default: Rendering) -> None:
    """With a single server a budget would keep its node from being drained."""
    alone = helm.render({"server": {"replicas": 1}})

    assert len(default.of_kind("PodDisruptionBudget")) == 1
    assert alone.of_kind("PodDisruptionBudget") == []


def test_a_changed_setting_replaces_the_servers_and_another_value_does_not(
    helm: Helm, default: Rendering
) -> None:
    """Settings are read once, at start, so the pods' annotation follows them."""
    changed = helm.render({"server": {"settings": {"sessionDuration": "2h"}}})
    same = helm.render({"server": {"replicas": 3}})

    assert changed.server["metadata"]["annotations"] != default.server["metadata"]["annotations"]
    assert same.server == default.server


def test_agents_trust_the_authority_that_signed_the_certificate(default: Rendering) -> None:
    """One rendering has one authority, whose key is in no pod."""
    authority = default.one("Secret", "rolecall-authority")
    mounted = [
        volume["secret"]
        for template in (default.server, default.agent)
        for volume in template["spec"]["volumes"]
        if "secret" in volume
    ]

    assert authority["metadata"]["name"] not in [each["secretName"] for each in mounted]
    assert [item["key"] for item in mounted[0]["items"]] == ["tls.crt", "tls.key"]


def test_the_generated_certificate_is_one_that_servers_take_and_agents_trust(
    helm: Helm, tmp_path: Path
) -> None:
    """It has the name that agents look for, and is signed by the authority that they are given."""
    rendering = helm.render(namespace="infra")
    data = rendering.one("Secret", "rolecall-server-tls")["data"]
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_bytes(base64.b64decode(data[name]))
    pair = read_pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    leaf = x509.load_pem_x509_certificate(pair.certificate)
    authority = rendering.one("ConfigMap", "rolecall-authority")["data"]["ca.crt"]
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))

    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "rolecall-server.infra.svc" in names.get_values_for_type(x509.DNSName)
    assert timedelta(days=364) < pair.not_after - pair.not_before < timedelta(days=366)


def test_whoever_upgrades_once_in_ten_months_has_a_certificate() -> None:
    """Any upgrade after the first month makes a new one, which servers read without a restart."""
    generated = yaml.safe_load((CHART / "values.yaml").read_text())["tls"]["generated"]

    assert generated["days"] - generated["renewBeforeDays"] <= 35
    assert generated["renewBeforeDays"] >= 10 * 30


def test_the_generated_token_secret_is_one_that_servers_take(
    default: Rendering, tmp_path: Path
) -> None:
    """It has the 32 bytes that the derivation of keys needs."""
    file = tmp_path / "secret"
    data = default.one("Secret", "rolecall-token-secret")["data"]
    file.write_bytes(base64.b64decode(data["secret"]))

    assert len(token_secret(file)) == 32


def test_a_servers_own_role_is_taken_with_a_token_for_aws_alone(helm: Helm) -> None:
    """The token has STS's audience, and the AWS library is told where it is."""
    spec = helm.render(SETS["web-identity"]).server["spec"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == "web-identity"]
    env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}

    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == (
        "sts.amazonaws.com"
    )
    assert env["AWS_ROLE_ARN"] == "arn:aws:iam::111122223333:role/rolecall"
    assert env["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/var/run/secrets/rolecall/aws/token"  # noqa: S105 - a path


def test_servers_on_the_hosts_network_declare_no_ports_and_never_share_a_node(helm: Helm) -> None:
    """A declared port would be a hostPort, and the second server of a node could not listen."""
    rendering = helm.render(SETS["control-plane"])
    (deployment,) = rendering.of_kind("Deployment")
    spec = rendering.server["spec"]

    assert "ports" not in spec["containers"][0]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert "requiredDuringSchedulingIgnoredDuringExecution" in spec["affinity"]["podAntiAffinity"]
