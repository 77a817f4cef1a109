"""The index: every pod found by uid, node and namespace, and nothing kept of what is gone."""

from hypothesis import given
from hypothesis import strategies as st

from fakes.engine import NODE, OTHER_NODE, TEAM, at, pod
from rolecall_proto.values import Address, NodeName, PodUid, Reason
from rolecall_server.engine.index import Entry, Index
from rolecall_server.model.decisions import Denied

NO_ROLE = Denied(Reason.NO_ROLE, "no role")


def entry(
    name: str,
    namespace: str = "team",
    node: NodeName = NODE,
    addresses: tuple[Address, ...] = (),
) -> Entry:
    return Entry(pod(name, namespace=namespace, addresses=addresses), node, NO_ROLE)


def test_a_pod_is_found_by_its_node_and_address() -> None:
    """On its own node only."""
    index = Index()
    here = entry("a", addresses=at("10.0.0.1"))
    index.add(here)

    assert index.at(NODE, at("10.0.0.1")[0]) == [here]
    assert index.at(OTHER_NODE, at("10.0.0.1")[0]) == []


def test_an_address_may_have_two_pods_for_a_while() -> None:
    """The API lags behind the network; both are named, and the node sorts it out."""
    index = Index()
    index.add(entry("old", addresses=at("10.0.0.1")))
    index.add(entry("new", addresses=at("10.0.0.1")))

    assert [each.pod.name for each in index.at(NODE, at("10.0.0.1")[0])] == ["old", "new"]


def test_a_namespace_that_is_gone_is_remembered_while_it_has_pods() -> None:
    """Known to be gone is not unknown."""
    index = Index()
    index.put_namespace(TEAM)
    last = entry("a")
    index.add(last)
    index.remove_namespace("team")
    assert index.is_gone("team")
    index.remove(last)

    assert not index.is_gone("team")


def test_a_namespace_without_pods_is_forgotten_at_once() -> None:
    """Names of namespaces do not pile up."""
    index = Index()
    index.put_namespace(TEAM)
    index.remove_namespace("team")

    assert not index.is_gone("team")
    assert index.namespaces == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xyz"), st.sampled_from("mn"))))
def test_what_was_removed_leaves_nothing(steps: list[tuple[int, str, str]]) -> None:
    """After any additions and removals, each view shows exactly the pods that are here."""
    index = Index()
    here: dict[int, Entry] = {}
    for number, namespace, node in steps:
        if (old := here.pop(number, None)) is not None:
            index.remove(old)
        else:
            here[number] = entry(str(number), namespace, NodeName(node))
            index.add(here[number])

    assert {*index.uids()} == {PodUid(f"uid-{number}") for number in here}
    for namespace in "xyz":
        found = {each.pod.uid for each in index.in_namespace(namespace).values()}
        assert found == {e.pod.uid for e in here.values() if e.pod.namespace == namespace}
    for node in "mn":
        found = {each.pod.uid for each in index.on_node(NodeName(node)).values()}
        assert found == {e.pod.uid for e in here.values() if e.node == node}
    assert index.reasons[Reason.NO_ROLE] == len(here)
