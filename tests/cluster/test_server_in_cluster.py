"""What the server says of itself in a cluster, what it may do there, and what it tells pods."""

import asyncio
import re

import pytest

from cluster.serving import ROLE, SPACE, Serving
from cluster.test_deployments import NODE, bare_pod, pods_of
from testcluster.client import Manifest
from testcluster.commands import ISSUER

GROUP = "events.k8s.io"
# Exactly what docs/install.md lists.
RIGHTS = {
    ("", "pods"): {"get", "list", "watch"},
    ("", "namespaces"): {"list", "watch"},
    ("authentication.k8s.io", "tokenreviews"): {"create"},
    (GROUP, "events"): {"create", "patch"},
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): {"get"},
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): {"get"},
}


async def rights(at: Serving, account: str) -> dict[tuple[str, str], set[str]]:
    """Ask the API server itself what *account* may do."""
    token = await at.admin.token(account, SPACE, ISSUER)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": SPACE},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    async with at.cluster.bearer(token) as client:
        answer = await client.request("POST", path, review)
    found: dict[tuple[str, str], set[str]] = {}
    for rule in answer["status"]["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                if not resource.startswith("selfsubject"):
                    found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


@pytest.mark.every_kubernetes
async def test_the_accounts_may_do_what_is_listed_and_nothing_else(at: Serving) -> None:
    """The server's rights are the list of docs/install.md; the agent has none."""
    everybodys = await rights(at, "default")  # What Kubernetes grants to every account.

    assert await rights(at, "rolecall-server") == RIGHTS | everybodys
    assert await rights(at, "rolecall-agent") == everybodys
    assert not RIGHTS.keys() & everybodys.keys()


async def until_event(at: Serving, namespace: str, name: str) -> Manifest:
    """Return the first Event on the pod *name*."""
    path = f"/apis/{GROUP}/v1/namespaces/{namespace}/events"
    async with asyncio.timeout(30):
        while True:
            answer = await at.admin.request("GET", path)
            for event in answer["items"]:
                about = event["regarding"]["name"] == name
                if about and event["reportingController"].startswith("rolecall"):
                    found: Manifest = event
                    return found
            await asyncio.sleep(0.1)


@pytest.mark.every_kubernetes
@pytest.mark.parametrize(
    ("role", "reason"), [("arn:bad", "RoleMalformed"), ("forbidden", "RoleDenied")]
)
async def test_a_pod_without_its_role_is_told_why(
    at: Serving, apps: str, role: str, reason: str
) -> None:
    """`kubectl describe pod` shows it: nobody has to read the server's log."""
    only = {"metadata": {"annotations": {"iam.amazonaws.com/allowed-roles": '["reader"]'}}}
    await at.admin.patch("Namespace", apps, only)
    await at.start_everything(NODE)
    await at.admin.create(bare_pod(apps, "web", role))
    event = await until_event(at, apps, "web")

    assert (event["type"], event["reason"]) == ("Warning", reason)
    described = await at.cluster.kubectl("describe", "pod", "web", "--namespace", apps)
    assert reason in described
    assert event["note"][:40] in re.sub(r"\s+", " ", described)
    [address] = (await pods_of(at, apps, app="web")).values()
    await at.until_refused(NODE, address)


async def test_a_role_that_sts_refuses_is_told_on_the_pod(at: Serving, apps: str) -> None:
    """The trust policy is the commonest reason, and the pod's owner may be who can mend it."""
    await at.start_everything(NODE)
    await at.script("closed", code="AccessDenied", status=403, message="not authorized")
    await at.admin.create(bare_pod(apps, "web", "closed"))
    event = await until_event(at, apps, "web")

    assert (event["type"], event["reason"]) == ("Warning", "RoleNotAssumable")


async def test_the_guard_that_the_chart_installs_is_seen(at: Serving, apps: str) -> None:  # noqa: ARG001 - its namespace is not needed
    """Its keys are those that this server reads."""
    await at.start_everything()
    await at.running("server").wait_line("the node guard is in place")

    await at.until_measured("server", "rolecall_node_guard_in_place 1.0")
    assert (await at.probe("server", "/readyz"))[0] == 200


async def test_an_annotation_on_the_deployment_itself_is_no_role(at: Serving, apps: str) -> None:
    """The commonest mistake: whoever makes it is warned, and the pods have no role."""
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }
    mistaken = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": apps, "annotations": {ROLE: "reader"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
    template["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
    await at.start_everything(NODE)
    await at.admin.create(mistaken)
    [address] = (await pods_of(at, apps)).values()

    await at.until_refused(NODE, address)
