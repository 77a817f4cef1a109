"""The keys of endpoints: each node's own, and those of the cluster for everybody."""

from dataclasses import replace

from fakes.engine import OTHER_NODE, Engine
from rolecall_proto.values import EndpointKeys, PodTokenRules


def test_the_key_of_tokens_is_the_nodes_own() -> None:
    """Stable for a node, another for each, and nothing that shows in a log."""
    engine = Engine()
    first, again, other = (
        next(each for each in agent.receive(engine.now) if isinstance(each, EndpointKeys))
        for agent in (engine.connect(), engine.connect(), engine.connect(OTHER_NODE))
    )

    assert first.token_key == again.token_key
    assert len(first.token_key) == 32
    assert first.token_key != other.token_key
    assert repr(first.token_key) not in repr(first)


def test_new_keys_of_the_cluster_reach_every_node_once() -> None:
    """With the snapshot where they are known by then, and else as a change of their own."""
    engine = Engine()
    early, late = engine.connect(), engine.connect(OTHER_NODE)
    [first] = (each for each in early.receive(engine.now) if isinstance(each, EndpointKeys))
    for key in ("old", "new"):
        engine.broker.check_pod_tokens(PodTokenRules("issuer", ("pods",), (key,)))
    newest = PodTokenRules("issuer", ("pods",), ("new",))

    assert first.pod_tokens is None
    assert early.wakes == 1
    assert early.receive(engine.now) == [replace(first, pod_tokens=newest)]
    assert early.receive(engine.now) == []
    for agent in (late, engine.connect()):
        [keys] = (each for each in agent.receive(engine.now) if isinstance(each, EndpointKeys))
        assert keys.pod_tokens == newest
        assert agent.receive(engine.now) == []
