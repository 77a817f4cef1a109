"""The admission policies guard what the servers read; their verdicts are tests of the cluster."""

import json
from pathlib import Path
from typing import Any

from chart.rendering import Helm, Object, Rendering
from rolecall_common.settings.loader import load_settings
from rolecall_server.kube.guard import Finding, GuardState, evaluate
from rolecall_server.settings import Settings
from rolecall_server.startup import from_settings


def guard(rendering: Rendering) -> Object:
    return rendering.one("ValidatingAdmissionPolicy", "rolecall-node-guard")


def variables(policy: Object) -> dict[str, str]:
    return {each["name"]: each["expression"] for each in policy["spec"]["variables"]}


def guarded(helm: Helm, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the keys, prefixes and labels that are guarded with these settings of the servers."""
    said = variables(guard(helm.render({"server": {"settings": settings}})))
    names = ("keys", "prefixes", "labels")
    return {name: json.loads(said[name]) for name in names if name in said}


def test_the_usual_annotations_are_guarded(helm: Helm) -> None:
    """All by which a pod chooses its role, external id, session name and tags."""
    assert guarded(helm, {}) == {
        "keys": [
            "iam.amazonaws.com/role",
            "iam.amazonaws.com/external-id",
            "iam.amazonaws.com/session-name",
        ],
        "prefixes": ["iam.amazonaws.com/session-tag."],
    }


def test_the_guard_follows_the_configured_annotations(helm: Helm) -> None:
    """There is one place to say which keys are read, so the two cannot differ."""
    settings = {
        "roleAnnotation": ["example.com/role", "iam.amazonaws.com/role"],
        "externalIdAnnotation": "example.com/id, example.com/other-id",
        "sessionNameAnnotation": "example.com/role",
        "sessionTagAnnotation": ["example.com/tag."],
    }

    assert guarded(helm, settings) == {
        "keys": [
            "example.com/role",
            "iam.amazonaws.com/role",
            "example.com/id",
            "example.com/other-id",
        ],
        "prefixes": ["example.com/tag."],
    }


def test_labels_are_guarded_where_session_tags_are_made_of_them(helm: Helm) -> None:
    """A node that can write such a label chooses a tag, which roles may trust."""
    tags = {"team": "{label:team}", "both": "{label:a.b/c}-{namespace}-{label:team}", "k": "fixed"}

    assert guarded(helm, {"sessionTags": tags})["labels"] == ["a.b/c", "team"]


def test_the_guard_says_what_it_guards(default: Rendering) -> None:
    """Whoever finds the policy in a cluster can compare it with what the servers read."""
    notes = guard(default)["metadata"]["annotations"]
    said = variables(guard(default))

    assert notes["rolecall.io/guarded-annotations"].split(",") == json.loads(said["keys"])
    assert notes["rolecall.io/guarded-annotation-prefixes"].split(",") == json.loads(
        said["prefixes"]
    )
    assert notes["rolecall.io/guarded-labels"] == ""


def test_the_servers_find_that_it_guards_what_they_read(helm: Helm, tmp_path: Path) -> None:
    """The check that they make at run time is content with what the chart installs."""
    given = {"roleAnnotation": ["example.com/role"], "sessionTags": {"team": "{label:team}"}}
    rendering = helm.render({"server": {"settings": given}})
    (config,) = [each for each in rendering.of_kind("ConfigMap") if "settings.yaml" in each["data"]]
    file = tmp_path / "settings.yaml"
    file.write_text(config["data"]["settings.yaml"])
    settings = load_settings(Settings, {}, {}, file)
    name = settings.kubernetes.node_guard
    policy, binding = (
        json.dumps(rendering.one(kind, name)).encode()
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    )

    keys = from_settings.annotation_keys(settings)
    assert evaluate(policy, binding, name, keys) == Finding(GuardState.IN_PLACE)
    assert keys.labels == ("team",)


def test_the_guard_denies_and_fails_closed_for_nodes_alone(default: Rendering) -> None:
    """Whatever is wrong with it, nobody but a node is ever stopped."""
    spec = guard(default)["spec"]
    (rule,) = spec["matchConstraints"]["resourceRules"]
    binding = default.one("ValidatingAdmissionPolicyBinding", "rolecall-node-guard")["spec"]

    assert spec["failurePolicy"] == "Fail"
    assert [each["name"] for each in spec["matchConditions"]] == ["by-a-node"]
    assert {"pods", "pods/status"} <= set(rule["resources"])
    assert rule["operations"] == ["CREATE", "UPDATE"]
    assert binding == {"policyName": "rolecall-node-guard", "validationActions": ["Deny"]}


def test_the_servers_look_for_the_guard_by_its_name(helm: Helm) -> None:
    """A release of another name has another guard, and its servers may read that one alone."""
    rendering = helm.render(release="keys")
    (config,) = [each for each in rendering.of_kind("ConfigMap") if "settings.yaml" in each["data"]]
    (role,) = rendering.of_kind("ClusterRole")

    assert "nodeGuard: keys-rolecall-node-guard\n" in config["data"]["settings.yaml"]
    assert role["rules"][-1]["resourceNames"] == ["keys-rolecall-node-guard"]
    assert rendering.one("ValidatingAdmissionPolicy", "keys-rolecall-node-guard")


def test_a_misplaced_annotation_is_warned_of_and_nothing_more(helm: Helm) -> None:
    """The hint follows the configured role annotations, and never stops a deployment."""
    rendering = helm.render({"server": {"settings": {"roleAnnotation": ["example.com/role"]}}})
    policy = rendering.one("ValidatingAdmissionPolicy", "rolecall-warnings")
    binding = rendering.one("ValidatingAdmissionPolicyBinding", "rolecall-warnings")

    assert json.loads(variables(policy)["keys"]) == ["example.com/role"]
    assert policy["spec"]["failurePolicy"] == "Ignore"
    assert binding["spec"]["validationActions"] == ["Warn"]
