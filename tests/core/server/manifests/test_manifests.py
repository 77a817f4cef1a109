"""What a directory of manifests means: pods, places, changes."""

from ipaddress import ip_address, ip_network

from rolecall_server.manifests.directory import Directory
from rolecall_server.manifests.files import File
from rolecall_server.manifests.placement import Pools
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.model.source import (
    Change,
    NamespaceChanged,
    NamespaceGone,
    NamespacesListed,
    PodChanged,
    PodGone,
    PodsListed,
)

POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: shop, annotations: {iam.amazonaws.com/role: %s}}
"""
WORKLOAD = """
kind: %s
metadata: {name: web, namespace: shop}
spec:
  replicas: %d
  template:
    metadata: {annotations: {iam.amazonaws.com/role: %s}}
    spec: {serviceAccountName: web}
"""


def directory(*nodes: str) -> Directory:
    pairs = [node.split("=") for node in nodes or ("one=10.1.0.0/24", "two=10.2.0.0/24")]
    pools = Pools([(name, ip_network(network)) for name, network in pairs])
    return Directory(pools, AnnotationKeys())


def update(cluster: Directory, **files: str) -> list[Change]:
    return cluster.update({f"{name}.yaml": File(text) for name, text in files.items()})


def pods(cluster: Directory) -> dict[str, Pod]:
    return {pod.name: pod for pod in cluster.pods}


def role(pod: Pod) -> str | None:
    return pod.wish.role if pod.wish else None


def reasons(cluster: Directory) -> list[str]:
    return [f"{p.file}:{p.line}: {p.reason}" for p in cluster.statistics.problems]


def test_a_pod_gets_a_node_an_address_and_a_uid() -> None:
    """A plain Pod becomes one pod, on one of the nodes, with an address of that node."""
    cluster = directory()
    update(cluster, a=POD % ("web", "reader"))

    (pod,) = cluster.pods
    assert (pod.namespace, pod.name, role(pod)) == ("shop", "web", "reader")
    assert pod.node in {"one", "two"}
    assert pod.addresses[0] in ip_network("10.1.0.0/24" if pod.node == "one" else "10.2.0.0/24")


def test_the_same_files_give_the_same_pods() -> None:
    """A server that starts anew finds every pod under the uid and address that it had."""
    text = WORKLOAD % ("Deployment", 40, "reader")
    one, other = directory(), directory()
    update(one, a=text)
    update(other, a=text)

    assert one.pods == other.pods


def test_a_deployment_has_as_many_pods_as_replicas() -> None:
    """Their names are the controller's: Deployment, template, five letters; addresses differ."""
    cluster = directory()
    update(cluster, a=WORKLOAD % ("Deployment", 3, "reader"))

    assert len(pods(cluster)) == 3
    assert {name.rsplit("-", 1)[0] for name in pods(cluster)} == {
        next(iter(pods(cluster))).rsplit("-", 1)[0]
    }
    assert len({pod.addresses for pod in cluster.pods}) == 3
    assert {role(pod) for pod in cluster.pods} == {"reader"}
    assert {pod.service_account for pod in cluster.pods} == {"web"}


def test_scaling_down_keeps_the_others_as_they_are() -> None:
    """A smaller number of replicas ends some pods and touches no other."""
    cluster = directory()
    update(cluster, a=WORKLOAD % ("Deployment", 3, "reader"))
    before = pods(cluster)
    changes = update(cluster, a=WORKLOAD % ("Deployment", 2, "reader"))

    gone = [before[name] for name in before.keys() - pods(cluster).keys()]
    assert changes == [PodGone(pod.uid) for pod in gone]
    assert len(gone) == 1


def test_a_new_template_is_a_rollout() -> None:
    """When the template changes, every pod is another one; who is gone is told first."""
    cluster = directory()
    update(cluster, a=WORKLOAD % ("Deployment", 2, "reader"))
    before = pods(cluster)
    changes = update(cluster, a=WORKLOAD % ("Deployment", 2, "writer"))

    assert not before.keys() & pods(cluster).keys()
    assert [type(change) for change in changes] == [PodGone, PodGone, PodChanged, PodChanged]


def test_what_else_is_in_a_template_rolls_out_too() -> None:
    """A new image makes new pods although Rolecall does not read images."""
    text = (WORKLOAD % ("ReplicaSet", 1, "r")).replace("{serviceAccountName", "{image: %s, s")
    cluster = directory()
    update(cluster, a=text % "one")
    before = pods(cluster)
    update(cluster, a=text % "two")

    assert not before.keys() & pods(cluster).keys()


def test_a_stateful_set_counts_its_pods() -> None:
    """Its pods keep their names through a rollout, and are other pods all the same."""
    cluster = directory()
    update(cluster, a=WORKLOAD % ("StatefulSet", 2, "reader"))
    before = pods(cluster)
    update(cluster, a=WORKLOAD % ("StatefulSet", 2, "writer"))

    assert list(before) == list(pods(cluster)) == ["web-0", "web-1"]
    assert all(before[name].uid != pod.uid for name, pod in pods(cluster).items())


def test_a_daemon_set_has_a_pod_on_every_node() -> None:
    """One pod a node, whatever `replicas` says."""
    cluster = directory()
    update(cluster, a=WORKLOAD % ("DaemonSet", 7, "reader"))

    assert sorted(pod.node or "" for pod in cluster.pods) == ["one", "two"]


def test_jobs_are_one_pod() -> None:
    """A Job and a CronJob are one pod of their template; a suspended Job is none."""
    template = "template: {metadata: {annotations: {iam.amazonaws.com/role: r}}}"
    cluster = directory()
    update(
        cluster,
        a=f"{{kind: Job, metadata: {{name: once}}, spec: {{{template}}}}}",
        b=f"{{kind: Job, metadata: {{name: no}}, spec: {{suspend: true, {template}}}}}",
        c="{kind: CronJob, metadata: {name: often}, spec: {jobTemplate: {spec: {"
        + template
        + "}}}}",
    )

    assert sorted(name.rsplit("-", 1)[0] for name in pods(cluster)) == ["often", "once"]
    assert {role(pod) for pod in cluster.pods} == {"r"}


def test_an_annotation_changes_in_place() -> None:
    """A Pod whose annotation changes is the same pod at the same address."""
    cluster = directory()
    update(cluster, a=POD % ("web", "reader"))
    (before,) = cluster.pods
    changes = update(cluster, a=POD % ("web", "writer"))

    (after,) = cluster.pods
    assert changes == [PodChanged(after)]
    assert (after.uid, after.addresses) == (before.uid, before.addresses)
    assert role(after) == "writer"


def test_nothing_changed_is_no_change() -> None:
    """Reading the same files again tells nothing."""
    cluster = directory()
    update(cluster, a=WORKLOAD % ("Deployment", 5, "reader"))

    assert update(cluster, a=WORKLOAD % ("Deployment", 5, "reader") + "\n# a comment") == []


def test_a_pod_that_returns_is_another_pod() -> None:
    """A pod deleted and made again under its name has another uid."""
    cluster = directory()
    update(cluster, a=POD % ("web", "reader"))
    (before,) = cluster.pods
    update(cluster)
    update(cluster, a=POD % ("web", "reader"))

    (after,) = cluster.pods
    assert after.uid != before.uid


def test_a_pod_may_say_where_it_is() -> None:
    """Its own node, addresses and phase win, and nobody else gets that address."""
    cluster = directory("one=10.1.0.0/29")
    said = "kind: Pod\nmetadata: {name: p}\nspec: {nodeName: far}\n"
    said += "status: {phase: Succeeded, podIPs: [{ip: 10.1.0.3}, {ip: 'fd00::1'}]}"
    update(cluster, a=said, b=WORKLOAD % ("Deployment", 4, "r"))

    pod = pods(cluster)["p"]
    assert pod.addresses == (ip_address("10.1.0.3"), ip_address("fd00::1"))
    assert (pod.node, pod.finished) == ("far", True)
    others = {each.addresses for each in cluster.pods if each is not pod}
    assert len(others) == 4
    assert (ip_address("10.1.0.3"),) not in others


def test_a_pod_of_the_host_network_has_the_nodes_address() -> None:
    """The first address of a node's network is the node's own."""
    cluster = directory("one=10.1.0.0/24")
    update(cluster, a="kind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true}")

    (pod,) = cluster.pods
    assert pod.host_network
    assert pod.addresses == (ip_address("10.1.0.1"),)


def test_a_full_node_leaves_pods_unbound() -> None:
    """Pods that no node has room for stay without a node until there is room."""
    cluster = directory("one=10.1.0.0/29")
    update(cluster, a=WORKLOAD % ("Deployment", 6, "reader"))
    assert cluster.statistics.unplaced == 1

    update(cluster, a=WORKLOAD % ("Deployment", 5, "reader"))
    assert cluster.statistics.unplaced == 0


def test_a_node_may_have_both_kinds_of_address() -> None:
    """With a network of each IP version a pod has an address of each."""
    cluster = directory("one=10.1.0.0/24", "one=fd00:1::/64")
    update(cluster, a=POD % ("web", "reader"))

    assert [address.version for address in cluster.pods[0].addresses] == [4, 6]


def test_namespaces_have_their_annotations() -> None:
    """A Namespace is told with its rule; one that only pods name is told without."""
    cluster = directory()
    text = "kind: Namespace\nmetadata: {name: a, annotations: {iam.amazonaws.com/permitted: .*}}"
    changes = update(cluster, a=text, b=POD % ("web", "r"))
    assert NamespaceChanged(Namespace("a", permitted=".*")) in changes
    assert NamespaceChanged(Namespace("shop")) in changes

    assert update(cluster, b=POD % ("web", "r")) == [NamespaceGone("a")]


def test_everything_can_be_listed() -> None:
    """A list says all that there is, for an engine that has missed the changes."""
    cluster = directory()
    update(cluster, a=POD % ("web", "r"))

    assert cluster.listed() == [NamespacesListed((Namespace("shop"),)), PodsListed(cluster.pods)]


def test_lists_hold_objects() -> None:
    """A List is its items; objects that make no pods are counted and left."""
    cluster = directory()
    update(cluster, a="kind: List\nitems:\n- {kind: Pod, metadata: {name: p}}\n- {kind: Service, "
           "metadata: {name: s}}\n---\nkind: PodList\nitems: []\n")  # fmt: skip

    assert list(pods(cluster)) == ["p"]
    assert cluster.statistics.ignored == 1
    assert reasons(cluster) == []


def test_a_file_that_does_not_parse_changes_nothing() -> None:
    """Its problem has a line; its former objects stay, and the other files are read."""
    cluster = directory()
    update(cluster, a=POD % ("web", "reader"))
    (before,) = cluster.pods
    changes = update(cluster, a="kind: Pod\nmetadata: [", b=POD % ("new", "reader"))

    assert changes == [PodChanged(pods(cluster)["new"])]
    assert before in cluster.pods
    assert [reason.split(": ")[0] for reason in reasons(cluster)] == ["a.yaml:3"]

    update(cluster, a=POD % ("web", "writer"))
    assert role(cluster.pods[0]) == "writer"
    assert reasons(cluster) == []


def test_a_wrong_object_changes_nothing_and_its_neighbours_are_read() -> None:
    """What an API server would refuse is named with its line; that object stays as it was."""
    cluster = directory()
    update(cluster, a=POD % ("web", "reader") + "---" + POD % ("two", "reader"))
    update(cluster, a=POD % ("web", "7") + "---" + POD % ("two", "writer"))

    assert {name: role(pod) for name, pod in pods(cluster).items()} == {
        "web": "reader",
        "two": "writer",
    }
    (reason,) = reasons(cluster)
    assert reason.startswith("a.yaml:2: Pod shop/web: Expected `str | null`, got `int`")
    assert "iam.amazonaws.com/role" not in reason or "annotations" in reason


def test_an_object_in_two_files_is_the_first_ones() -> None:
    """The second occurrence is a problem that names the first."""
    cluster = directory()
    update(cluster, a=POD % ("web", "reader"), b=POD % ("web", "writer"))

    assert role(cluster.pods[0]) == "reader"
    assert reasons(cluster) == ["b.yaml:2: Pod shop/web is in a.yaml already"]


def test_two_networks_may_not_overlap() -> None:
    """Two nodes cannot give away the same addresses."""
    for wrong in (["a=10.0.0.0/8", "b=10.1.0.0/16"], ["a=10.0.0.0/31"]):
        try:
            directory(*wrong)
        except ValueError as error:
            assert wrong[-1].split("=")[1] in str(error)  # noqa: PT017 -- the text is the point
        else:
            raise AssertionError(wrong)
