"""What the pods may do: to their nodes, and to the Kubernetes API."""

import re
from pathlib import Path
from typing import Any

import pytest

from chart.rendering import Helm, Rendering

INSTALL = (Path(__file__).parents[2] / "docs" / "install.md").read_text()
_ACCESS_ROW = re.compile(r"^\| `([^`]*)` \| `([^`]*)` \| `([^`]*)` \| ", re.MULTILINE)


def templates(rendering: Rendering) -> list[dict[str, Any]]:
    return [rendering.server, rendering.agent]


def test_every_container_is_confined_as_restricted_demands(default: Rendering) -> None:
    """No root, no capability, nothing to write to, no way to gain anything, filtered calls."""
    for template in templates(default):
        spec = template["spec"]
        assert spec["securityContext"] == {
            "fsGroup": 60980,
            "runAsGroup": 60980,
            "runAsNonRoot": True,
            "runAsUser": 60980,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert "initContainers" not in spec
        for container in spec["containers"]:
            if container["name"] == "warden":
                continue  # See the next test.
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
            }


def test_the_warden_has_one_capability_and_nothing_to_tell(default: Rendering) -> None:
    """It changes the node's packet rules and no more: no token, no port, no file but its health."""
    agent, warden = default.agent["spec"]["containers"]

    assert warden["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": False,
        "runAsUser": 0,
    }
    # Nothing that it writes is where the agent could have put a link to something else.
    assert warden["volumeMounts"] == [
        {"name": "run", "mountPath": "/run/rolecall"},
        {"name": "agent", "mountPath": "/run/rolecall-agent", "readOnly": True},
    ]
    assert warden.keys().isdisjoint({"env", "ports", "readinessProbe"})
    assert {"name": "run", "mountPath": "/run/rolecall", "readOnly": True} in agent["volumeMounts"]


def test_no_pod_shares_more_of_its_node_than_the_agent_its_network(default: Rendering) -> None:
    """The servers fit into a namespace that is restricted; the agents' one exception is stated."""
    for template in templates(default):
        assert template["spec"].keys().isdisjoint({"hostPID", "hostIPC", "shareProcessNamespace"})
        assert not [each for each in template["spec"]["volumes"] if "hostPath" in each]
    assert "hostNetwork" not in default.server["spec"]
    assert default.agent["spec"]["hostNetwork"] is True


def test_the_agent_declares_no_port(default: Rendering) -> None:
    """On the host's network each would be a hostPort, and keep a second agent off its node."""
    assert "ports" not in default.agent["spec"]["containers"][0]


def test_probes_name_no_host(default: Rendering) -> None:
    """Pod Security's baseline refuses a probe with a host; the kubelet asks the pod's address."""
    for template in templates(default):
        container = template["spec"]["containers"][0]
        probes = [container[name] for name in container if name.endswith("Probe")]
        assert len(probes) >= 2
        asked = [probe["httpGet"] for probe in probes if "exec" not in probe]
        assert all(each.keys() == {"path", "port"} for each in asked)


def test_probes_ask_for_signs_of_life_of_the_pods_own(default: Rendering) -> None:
    """While two share a node, a port could be answered by the other one; a file could not.

    No shell is needed, and what hangs is not alive.
    """
    agent, warden = default.agent["spec"]["containers"]
    asking = ["python", "-I", "-m", "rolecall_common.probe"]
    health, settings = "/run/rolecall-agent/health", f"{agent['args']}"

    assert f"--health-file={health}" in settings
    assert agent["readinessProbe"]["exec"] == {"command": [*asking, "ready", health]}
    assert agent["livenessProbe"]["exec"] == {"command": [*asking, "alive", health]}
    assert warden["livenessProbe"]["exec"] == {
        "command": [*asking, "alive", "/run/rolecall/warden"]
    }
    assert "--warden-file=/run/rolecall/warden" in settings


def test_no_token_of_the_kubernetes_api_is_mounted_by_itself(default: Rendering) -> None:
    """It is switched off in both places, since auditors look at either."""
    accounts = default.of_kind("ServiceAccount")

    assert len(accounts) == 2
    assert all(each["automountServiceAccountToken"] is False for each in accounts)
    for template in templates(default):
        assert template["spec"]["automountServiceAccountToken"] is False


def test_an_agent_has_no_token_that_the_kubernetes_api_would_take(default: Rendering) -> None:
    """Its one token is for the servers, and no role refers to its account."""
    spec = default.agent["spec"]
    subjects = [
        subject for each in default.of_kind("ClusterRoleBinding") for subject in each["subjects"]
    ]
    tokens = [
        source["serviceAccountToken"]
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    ]

    assert [token["audience"] for token in tokens] == ["rolecall"]
    assert [subject["name"] for subject in subjects] == ["rolecall-server"]
    assert default.of_kind("Role") == default.of_kind("RoleBinding") == []


def test_an_agents_token_outlives_a_long_weekend_without_the_api_server(default: Rendering) -> None:
    """A kubelet renews what is a day old, so that six of its seven days are always left."""
    (token,) = [each for each in default.agent["spec"]["volumes"] if each["name"] == "token"]
    projected = token["projected"]["sources"][0]["serviceAccountToken"]

    assert projected["expirationSeconds"] == 7 * 24 * 3600


def test_servers_off_the_hosts_network_never_take_their_nodes_role(helm: Helm) -> None:
    """A race with the node's warden would give it to some of them; whoever wants it may say so."""

    def environment(server: dict[str, Any]) -> list[dict[str, Any]]:
        spec = helm.render({"server": server}).server["spec"]
        found: list[dict[str, Any]] = spec["containers"][0]["env"]
        return found[1:]

    disabled = {"name": "AWS_EC2_METADATA_DISABLED", "value": "true"}
    own = {"name": "AWS_EC2_METADATA_DISABLED", "value": "false"}
    assert environment({}) == [disabled]
    assert environment({"hostNetwork": True}) == []
    # Of two the later one counts.
    assert environment({"extraEnv": [own]}) == [disabled, own]


def test_the_servers_may_do_what_the_documentation_lists_and_nothing_else(
    default: Rendering,
) -> None:
    """The table of docs/install.md is the whole of it."""
    (role,) = default.of_kind("ClusterRole")
    granted = set()
    for rule in role["rules"]:
        groups = rule.get("apiGroups", ["-"])
        things = rule.get("resources") or rule["nonResourceURLs"]
        named = ", ".join(rule.get("resourceNames", []))
        for thing in things:
            suffix = f" ({named})" if named else ""
            verbs = ", ".join(rule["verbs"])
            granted |= {(group or "core", thing + suffix, verbs) for group in groups}

    assert granted == set(_ACCESS_ROW.findall(INSTALL))
    assert not [entry for entry in granted if "*" in "".join(entry)]


def test_no_pod_can_read_the_servers_key_through_an_agent(helm: Helm) -> None:
    """What a pod mounts its node may read, so agents get a ConfigMap and never a Secret."""
    tls = {
        "source": "existing",
        "existing": {"secretName": "own"},
        "authority": {"configMapName": "trust"},
    }
    volumes = helm.render({"tls": tls}).agent["spec"]["volumes"]

    assert not [each for each in volumes if "secret" in each]
    assert [each["configMap"]["name"] for each in volumes if "configMap" in each] == ["trust"]


@pytest.mark.parametrize("side", ["server", "agent"])
def test_memory_is_bounded_and_cpu_is_not(default: Rendering, side: str) -> None:
    """A CPU limit would turn a burst into latency; memory without one is the node's problem."""
    resources = getattr(default, side)["spec"]["containers"][0]["resources"]

    assert resources["limits"].keys() == {"memory"}
    assert resources["requests"].keys() == {"cpu", "memory"}


NOWHERE = [
    {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate", "auto"]},
    {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]},
]


def node_terms(rendering: Rendering) -> list[dict[str, Any]]:
    required = rendering.agent["spec"]["affinity"]["nodeAffinity"]
    terms: list[dict[str, Any]] = required["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    return terms


def test_no_agent_is_wanted_where_none_can_run(default: Rendering) -> None:
    """Else a DaemonSet waits for ever for its pods on Fargate, Auto Mode and virtual nodes."""
    assert node_terms(default) == [{"matchExpressions": NOWHERE}]
    for template in templates(default):
        assert template["spec"]["nodeSelector"]["kubernetes.io/os"] == "linux"


def test_none_is_wanted_there_whatever_affinity_the_operator_gives(helm: Helm) -> None:
    """Each of the operator's terms would let such a node in, and so each leaves it out."""
    groups = [{"key": "group", "operator": "In", "values": [name]} for name in ("a", "b")]
    field = {"key": "metadata.name", "operator": "In", "values": ["one"]}
    terms = [*({"matchExpressions": [each]} for each in groups), {"matchFields": [field]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    apart = {"preferredDuringSchedulingIgnoredDuringExecution": []}
    rendering = helm.render(
        {"agent": {"affinity": {"nodeAffinity": required, "podAntiAffinity": apart}}}
    )

    assert node_terms(rendering) == [
        *({"matchExpressions": [each, *NOWHERE]} for each in groups),
        {"matchFields": [field], "matchExpressions": NOWHERE},
    ]
    assert rendering.agent["spec"]["affinity"]["podAntiAffinity"] == apart


def test_agents_run_on_every_node_before_anything_else(default: Rendering) -> None:
    """Every taint is tolerated, and nothing evicts an agent."""
    spec = default.agent["spec"]

    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"
