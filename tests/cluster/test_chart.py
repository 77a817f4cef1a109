"""The chart in a real cluster: installed, upgraded, and taken away."""

import pytest

from chart.release import Release
from chart.rendering import Helm
from chart.sets import SETS
from testcluster.client import Client, RefusedError
from testcluster.cluster import Cluster, CommandError

pytestmark = pytest.mark.every_kubernetes

# Every kind that the chart makes.
KINDS = (
    *("ConfigMap", "Secret", "Service", "ServiceAccount", "Deployment", "DaemonSet"),
    *("PodDisruptionBudget", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
WAIT = ("--wait", "--timeout", "50s")


async def of_release(admin: Client, namespace: str) -> set[tuple[str, str]]:
    """Return kind and name of everything that belongs to the release."""
    found = set()
    for kind in KINDS:
        items = await admin.find(kind, labelSelector=f"app.kubernetes.io/instance={namespace}")
        found |= {(kind, item["metadata"]["name"]) for item in items}
    return found


async def test_it_installs_upgrades_and_goes(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    """All pods come, an upgrade keeps what is secret, and nothing stays behind."""
    release = Release(cluster, namespace)
    said = await release.helm("install", *WAIT)
    secrets = [f"{release.name}-{name}" for name in ("authority", "server-tls", "token-secret")]
    first = [await admin.get("Secret", name, namespace) for name in secrets]
    trusted = await admin.get("ConfigMap", f"{release.name}-authority", namespace)

    assert "no pod reaches the node's own credentials" in said
    assert "tls.source is generated" in said
    agents = await admin.get("DaemonSet", f"{release.name}-agent", namespace)
    servers = await admin.get("Deployment", f"{release.name}-server", namespace)
    nodes = await admin.find("Node")
    assert agents["status"]["numberReady"] == len(nodes)
    assert servers["status"]["readyReplicas"] == 2

    changed = {"server": {"settings": {"sessionDuration": "2h"}}}
    await release.helm("upgrade", *WAIT, values=changed)
    again = [await admin.get("Secret", name, namespace) for name in secrets]
    assert [each["data"] for each in again] == [each["data"] for each in first]
    assert (
        trusted["data"]
        == ((await admin.get("ConfigMap", f"{release.name}-authority", namespace))["data"])
    )

    await release.uninstall("--wait")
    assert await of_release(admin, namespace) == set()


async def test_a_certificate_near_its_end_is_made_anew_by_the_same_authority(
    release: Release, admin: Client
) -> None:
    """An upgrade looks at the end that is noted beside it; agents trust the new one at once."""
    names = (f"{release.name}-server-tls", f"{release.name}-authority")
    leaf, authority = [await admin.get("Secret", name, release.namespace) for name in names]
    near = {"metadata": {"annotations": {"rolecall.io/not-after": "2026-01-01T00:00:00Z"}}}
    await admin.patch("Secret", names[0], near, release.namespace)

    await release.helm("upgrade")
    newer, same = [await admin.get("Secret", name, release.namespace) for name in names]
    assert newer["data"]["tls.crt"] != leaf["data"]["tls.crt"]
    assert newer["metadata"]["annotations"]["rolecall.io/not-after"] > "2026-06"
    assert same["data"] == authority["data"]


async def test_an_authority_near_its_end_is_trusted_beside_its_successor(
    release: Release, admin: Client
) -> None:
    """Agents that still meet the old certificate go on, until every server has the new one."""
    name = f"{release.name}-authority"
    before = await admin.get("ConfigMap", name, release.namespace)
    near = {"metadata": {"annotations": {"rolecall.io/not-after": "2026-01-01T00:00:00Z"}}}
    await admin.patch("Secret", name, near, release.namespace)

    await release.helm("upgrade")
    after = await admin.get("ConfigMap", name, release.namespace)
    assert after["data"]["ca.crt"].count("BEGIN CERTIFICATE") == 2
    assert before["data"]["ca.crt"].strip() in after["data"]["ca.crt"]


async def test_another_release_is_refused(
    release: Release, cluster: Cluster, admin: Client
) -> None:
    """Two would take each node from one another; whoever keeps their nodes apart may say so."""
    other = Release(cluster, f"{release.namespace}-b")
    await admin.create_namespace(other.namespace)
    apart = {"agent": {"besideOtherReleases": False}}
    with pytest.raises(CommandError, match=r"has its agents in this cluster already"):
        await other.helm("install", values=apart)

    await other.helm("install")  # With the value by which tests share a cluster.
    await other.uninstall()
    await admin.delete("Namespace", other.namespace)


async def test_wardens_that_run_are_not_just_left_out(release: Release, admin: Client) -> None:
    """Their rules would cut every pod off: they go first, by the way back, and only then it may."""
    without = {"warden": {"enabled": False}}
    with pytest.raises(CommandError, match=r"Upgrade with warden\.uninstall: true first"):
        await release.helm("upgrade", values=without)

    said = await release.helm("upgrade", *WAIT, values={"warden": {"uninstall": True}})
    (daemon_set,) = await admin.find("DaemonSet", release.namespace)
    assert "Rolecall's agents are gone" in said
    assert daemon_set["metadata"]["name"] == f"{release.name}-uninstall"
    assert daemon_set["status"]["numberReady"] == len(await admin.find("Node"))

    await release.helm("upgrade", values=without)
    (daemon_set,) = await admin.find("DaemonSet", release.namespace)
    assert daemon_set["metadata"]["name"] == f"{release.name}-agent"


async def test_whoever_says_so_leaves_the_rules_behind(release: Release, admin: Client) -> None:
    """For who has taken them away in another way."""
    await release.helm("upgrade", values={"warden": {"enabled": False, "abandonRules": True}})
    agents = await admin.get("DaemonSet", f"{release.name}-agent", release.namespace)

    assert len(agents["spec"]["template"]["spec"]["containers"]) == 1


@pytest.mark.parametrize("values", sorted(SETS.keys() - {"cert-manager"}))
async def test_the_api_server_accepts_every_object(
    cluster: Cluster, namespace: str, values: str
) -> None:
    """No field is unknown or of the wrong kind, whatever parts of the chart are asked for."""
    rendering = Helm(cluster.binaries.helm).render(
        SETS[values], release=namespace, namespace=namespace
    )

    await cluster.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors"),
        *("--namespace", namespace, "--filename=-"),
        given=rendering.text,
    )


async def test_the_servers_fit_into_a_restricted_namespace_and_agents_lack_one_thing(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    """The host's network is the only thing for which agents need a privileged namespace.

    A warden beside them needs more: see its own test in tests/chart.
    """
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await admin.patch("Namespace", namespace, label)
    rendering = Helm(cluster.binaries.helm).render(
        {"warden": {"enabled": False}}, release="rolecall", namespace=namespace
    )
    server, agent = (
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", "namespace": namespace},
            "spec": template["spec"] | {"serviceAccountName": "default"},
        }
        for template in (rendering.server, rendering.agent)
    )

    await admin.create(server, dryRun="All")
    with pytest.raises(RefusedError, match=r"latest\": host namespaces \(hostNetwork=true\)$"):
        await admin.create(agent, dryRun="All")


async def test_the_servers_account_may_do_what_it_needs_and_the_agents_nothing(
    release: Release, admin: Client
) -> None:
    """The API server's own answer for each."""
    user = f"system:serviceaccount:{release.namespace}:{release.name}"

    async def may(account: str, **what: str) -> bool:
        kind = "nonResourceAttributes" if "path" in what else "resourceAttributes"
        review = await admin.create(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": f"{user}-{account}", kind: what},
            }
        )
        return bool(review["status"]["allowed"])

    assert await may("server", verb="watch", resource="pods")
    assert await may("server", verb="get", path="/openid/v1/jwks")
    assert await may(
        "server", verb="create", resource="tokenreviews", group="authentication.k8s.io"
    )
    assert not await may("server", verb="get", resource="secrets")
    assert not await may("server", verb="patch", resource="pods")
    assert not await may("agent", verb="get", resource="pods")
