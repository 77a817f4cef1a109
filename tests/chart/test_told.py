"""What the chart tells the two programs is what this very code accepts."""

import argparse
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chart.rendering import CHART, Helm, Rendering
from rolecall_agent.settings import Settings as AgentSettings
from rolecall_cli.options import add_settings, settings_of
from rolecall_cli.usage import UsageError
from rolecall_common.settings.declare import declared
from rolecall_common.settings.types import HostPort
from rolecall_server.settings import AuthenticationMode
from rolecall_server.settings import Settings as ServerSettings
from rolecall_server.settings.annotations import AnnotationSettings
from rolecall_warden.settings import Settings as WardenSettings

T = TypeVar("T")
# One value for each of the servers' settings that an operator can give, of every shape.
GIVEN: dict[str, Any] = {
    "region": "eu-west-1",
    "baseArn": "arn:aws:iam::111122223333:role/",
    "stsCallsPerSecond": 10000,
    "stsBurst": 100000,
    "sessionDuration": "2h",
    "sessionTags": {"team": "{label:team}", "where": "{namespace}"},
    "podTags": ["cost", "stage"],
    "sessionPolicy": '{"Version":"2012-10-17","Statement":[]}',
    "allowedAccounts": ["012345678901", "111122223333"],
    "allowPodExternalId": True,
    "eventReasons": "kiam",
    "roleAnnotation": "iam.amazonaws.com/role, example.com/role",
    "auditFile": "",
    "logLevel": "debug",
}


def read(side: type[T], words: list[str], environ: dict[str, str] | None = None) -> T:
    """Return the settings as `rolecall` reads them from its command line."""
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_settings(parser, side)
    return settings_of(side, parser.parse_args(words), environ or {})


def expanded(template: dict[str, Any], variables: dict[str, str], container: int = 0) -> list[str]:
    """Return a container's arguments as the kubelet expands them; what is unknown it leaves."""
    words: list[str] = template["spec"]["containers"][container]["args"][1:]
    for name, value in variables.items():
        words = [word.replace(f"$({name})", value) for word in words]
    return words


def server_settings(rendering: Rendering, folder: Path, address: str) -> ServerSettings:
    (config,) = [each for each in rendering.of_kind("ConfigMap") if "settings.yaml" in each["data"]]
    file = folder / "settings.yaml"
    file.write_text(config["data"]["settings.yaml"])
    mounted = "/etc/rolecall/settings/settings.yaml"
    words = expanded(rendering.server, {"POD_IP": address})
    return read(ServerSettings, [word.replace(mounted, str(file)) for word in words])


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::3"])
def test_the_server_accepts_what_the_chart_says(
    default: Rendering, tmp_path: Path, address: str
) -> None:
    """It listens to all, answers probes at its own address, and knows who its agents are."""
    settings = server_settings(default, tmp_path, address)

    assert settings.listening.listen == HostPort("::", 8443)
    assert settings.output.admin_listen == HostPort(address, 9801)
    assert settings.authentication is AuthenticationMode.TOKEN_REVIEW
    assert settings.kubernetes.agent_namespace == "rolecall"
    assert settings.kubernetes.agent_service_account == "rolecall-agent"
    assert settings.kubernetes.node_guard == "rolecall-node-guard"


def test_the_server_accepts_what_the_operator_gives_by_way_of_the_chart(
    helm: Helm, tmp_path: Path
) -> None:
    """Nothing is lost or bent between values and settings, large and leading digits included."""
    rendering = helm.render({"server": {"settings": GIVEN}})
    settings = server_settings(rendering, tmp_path, "10.1.2.3")

    assert settings.aws.sts_calls_per_second == 10000
    assert settings.aws.sts_burst == 100000
    assert settings.sessions.session_tags == (("team", "{label:team}"), ("where", "{namespace}"))
    assert settings.rules.allowed_accounts == ("012345678901", "111122223333")
    assert settings.annotations.role_annotation == ("iam.amazonaws.com/role", "example.com/role")
    assert settings.output.audit_file is None


@pytest.mark.parametrize(
    ("release", "variable"),
    [("rolecall", "ROLECALL_SERVER_SERVICE_HOST"), ("a-b", "A_B_ROLECALL_SERVER_SERVICE_HOST")],
)
@pytest.mark.parametrize(("node", "service"), [("10.0.0.9", "10.96.0.7"), ("fd00::9", "fd00::7")])
def test_the_agent_finds_the_servers_by_the_address_that_the_kubelet_injects(
    helm: Helm, release: str, variable: str, node: str, service: str
) -> None:
    """DNS finds them too, where the Service was made anew; the certificate's name is the same."""
    rendering = helm.render(release=release, namespace="infra")
    words = expanded(rendering.agent, {"POD_IP": node, variable: service})
    settings = read(AgentSettings, words)

    name = rendering.of_kind("Deployment")[0]["metadata"]["name"]
    assert settings.server.servers == (HostPort(service, 8443), HostPort(f"{name}.infra.svc", 8443))
    assert settings.server.server_name == f"{name}.infra.svc"
    assert settings.endpoint.listen == (
        HostPort("169.254.170.169", 9803),
        HostPort("fd72:6f6c:6563:616c::1", 9803),
    )
    assert settings.output.admin_listen == HostPort(node, 9802)
    assert rendering.one("Service", name)["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("given", [{}, {"endpointIpv4": "169.254.77.1", "endpointIpv6": "fd12::1"}])
def test_the_agent_listens_where_the_warden_leads_pods(helm: Helm, given: dict[str, str]) -> None:
    """The warden makes these addresses on the node, and nobody else can reach them."""
    rendering = helm.render({"warden": {"settings": given}, "agent": {"port": 9999}})
    variables = {"POD_IP": "10.0.0.9", "ROLECALL_SERVER_SERVICE_HOST": "10.96.0.7"}
    warden = read(WardenSettings, expanded(rendering.agent, {}, container=1))
    agent = read(AgentSettings, expanded(rendering.agent, variables))

    endpoints = (warden.redirecting.endpoint_ipv4, warden.redirecting.endpoint_ipv6)
    assert agent.endpoint.listen == tuple(HostPort(str(each), 9999) for each in endpoints)
    # The port is the agent's to say, and the rules are the warden's.
    assert warden.redirecting.endpoint_file is not None
    assert warden.redirecting.endpoint_file == agent.takeover.endpoint_file
    assert warden.keeping.health_file == agent.takeover.warden_file


def test_a_new_agent_warms_up_beside_the_old_one(default: Rendering, helm: Helm) -> None:
    """With a warden no node is ever without an agent; without one, two could not share a node."""
    alone = helm.render({"warden": {"enabled": False}})
    strategies = [
        each["spec"]["updateStrategy"]["rollingUpdate"]
        for rendering in (default, alone)
        for each in rendering.of_kind("DaemonSet")
    ]
    variables = {"POD_IP": "10.0.0.9", "ROLECALL_SERVER_SERVICE_HOST": "10.96.0.7"}
    agent = read(AgentSettings, expanded(alone.agent, variables))

    assert strategies == [{"maxSurge": "10%", "maxUnavailable": 0}, {"maxUnavailable": "10%"}]
    assert agent.takeover.endpoint_file is None
    asking = alone.agent["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    assert asking[-2:] == ["ready", str(agent.output.health_file)]


def test_without_a_warden_the_agent_listens_at_its_node(helm: Helm) -> None:
    """Whoever leads the pods there has no other address to name."""
    rendering = helm.render({"warden": {"enabled": False}})
    variables = {"POD_IP": "10.0.0.9", "ROLECALL_SERVER_SERVICE_HOST": "10.96.0.7"}
    agent = read(AgentSettings, expanded(rendering.agent, variables))

    assert agent.endpoint.listen == (HostPort("10.0.0.9", 9803),)
    assert len(rendering.agent["spec"]["containers"]) == 1


def test_an_agent_that_was_started_before_the_service_was_there_says_so_and_is_restarted(
    default: Rendering,
) -> None:
    """The kubelet leaves an unknown variable as it stands, and that is no address."""
    with pytest.raises(UsageError, match=r"servers: .*ROLECALL_SERVER_SERVICE_HOST"):
        read(AgentSettings, expanded(default.agent, {"POD_IP": "10.0.0.9"}))


def test_the_agent_accepts_what_the_operator_gives_by_way_of_the_chart(helm: Helm) -> None:
    """Lists become flags with commas, and nothing becomes nothing."""
    given = {"allowedHosts": ["metadata:8080", "m"], "hold": "800ms", "auditFile": ""}
    servers = {"servers": ["a.example.com:1", "[fd00::1]:2"], "serverName": "a.example.com"}
    rendering = helm.render({"agent": {"settings": given, **servers}})
    settings = read(AgentSettings, expanded(rendering.agent, {"POD_IP": "10.0.0.9"}))

    assert settings.endpoint.allowed_hosts == ("metadata:8080", "m")
    assert settings.output.audit_file is None
    assert settings.server.servers == (HostPort("a.example.com", 1), HostPort("fd00::1", 2))
    assert settings.server.server_name == "a.example.com"


def test_the_container_endpoint_is_where_the_documentation_says(default: Rendering) -> None:
    """At both addresses that SDKs accept, on a port that nobody else on a node has."""
    variables = {"POD_IP": "10.0.0.9", "ROLECALL_SERVER_SERVICE_HOST": "10.96.0.7"}
    settings = read(AgentSettings, expanded(default.agent, variables))

    assert settings.container.container_listen == (
        HostPort("169.254.170.23", 9804),
        HostPort("fd00:ec2::23", 9804),
    )


def test_the_container_endpoint_can_be_closed(helm: Helm) -> None:
    """An empty list is no flag at all."""
    rendering = helm.render({"agent": {"containerEndpoint": {"listen": []}}})
    words = expanded(rendering.agent, {"POD_IP": "10.0.0.9"})

    assert not [word for word in words if "container" in word]


def test_injected_variables_are_no_settings_to_the_agent(default: Rendering) -> None:
    """The kubelet injects a dozen for each Service, whose names begin like those of settings."""
    name = "ROLECALL_SERVER"
    variables = {
        f"{name}_SERVICE_HOST": "10.96.0.7",
        f"{name}_SERVICE_PORT": "8443",
        f"{name}_SERVICE_PORT_GRPC": "8443",
        f"{name}_PORT": "tcp://10.96.0.7:8443",
        f"{name}_PORT_8443_TCP": "tcp://10.96.0.7:8443",
        f"{name}_PORT_8443_TCP_PROTO": "tcp",
    }
    words = expanded(default.agent, {"POD_IP": "10.0.0.9", f"{name}_SERVICE_HOST": "10.96.0.7"})

    assert read(AgentSettings, words, variables) == read(AgentSettings, words)


def test_each_side_expects_the_audience_of_the_other(helm: Helm, tmp_path: Path) -> None:
    """Agents' tokens are made for the servers, whatever that is called."""
    rendering = helm.render({"agent": {"tokenAudience": "keys.example.com"}})
    (token,) = [each for each in rendering.agent["spec"]["volumes"] if each["name"] == "token"]
    settings = server_settings(rendering, tmp_path, "10.1.2.3")

    projected = token["projected"]["sources"][0]["serviceAccountToken"]
    assert projected["audience"] == "keys.example.com"
    assert settings.kubernetes.agent_audience == "keys.example.com"


def test_mounted_files_are_where_the_programs_look(default: Rendering) -> None:
    """Every file that the chart tells a program of is in one of its mounts."""
    told = [
        (default.server, "/etc/rolecall/tls/tls.crt"),
        (default.server, "/etc/rolecall/tls/tls.key"),
        (default.server, "/etc/rolecall/token/secret"),
        (default.agent, "/etc/rolecall/authority/ca.crt"),
        (default.agent, "/var/run/secrets/rolecall/token"),
    ]

    for template, path in told:
        assert path in files(template)


def files(template: dict[str, Any]) -> set[str]:
    """Return every file that is mounted with a name of its own."""
    spec = template["spec"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    found = set()
    for mount in spec["containers"][0]["volumeMounts"]:
        volume = volumes[mount["name"]]
        sources = volume.get("projected", {}).get("sources", [volume])
        for source in sources:
            (described,) = [part for part in source.values() if isinstance(part, dict)]
            items = described.get("items", [described] if "path" in described else [])
            found |= {f"{mount['mountPath']}/{item['path']}" for item in items}
    return found


def test_the_guards_defaults_are_the_codes_own() -> None:
    """The chart has to name the default keys itself, and this is what they are."""
    text = (CHART / "templates" / "_settings.tpl").read_text()
    settings = {each.name: each for each in declared(AnnotationSettings)}

    for name in ("role", "externalId", "sessionName", "sessionTag"):
        setting = settings[f"{name}Annotation"]
        assert f'"setting" "{setting.name}" "default" "{setting.default_text}"' in text
