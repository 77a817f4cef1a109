"""Weighs what a pod costs the server's heap; prints it as JSON. Run by itself, as a process.

Ten thousand pods on a hundred nodes, each node with its agent connected and told everything.
"""

import gc
import json
import random
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address

import msgspec

from rolecall_proto.values import Hello, NodeName
from rolecall_server.engine.broker import Broker
from rolecall_server.engine.rules import BrokerRules
from rolecall_server.model import kube_objects
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.authenticator import Agent
from rolecall_server.model.pods import Namespace, Pod
from rolecall_server.model.source import NamespacesListed, PodsListed
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.rules import PolicySettings

PODS, NODES, NAMESPACES = 10_000, 100, 50
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Silence:
    """A journal that hears nothing: pods without a role are told of to nobody."""

    def __getattr__(self, _name: str) -> object:
        return lambda *_: None


def main() -> int:
    broker = _broker()
    texts = [_manifest(number) for number in range(PODS)]
    gc.collect()
    tracemalloc.start()
    broker.apply(PodsListed(tuple(_parsed(texts))), NOW)
    connections = [
        broker.connect(Agent(NodeName(f"node-{n}")), Hello("bench"), lambda: None, NOW)
        for n in range(NODES)
    ]
    told = sum(len(connection.take()) for connection in connections)
    gc.collect()
    heap, _ = tracemalloc.get_traced_memory()
    if told < PODS:
        raise RuntimeError(f"the agents were told {told} things of {PODS} pods")
    json.dump({"pods": PODS, "bytes": heap / PODS}, sys.stdout)
    return 0


def _broker() -> Broker:
    rules = BrokerRules(token_secret=bytes(32))
    broker = Broker(Policy(PolicySettings()), rules, random.Random(1), _Silence())  # noqa: S311 (jitter)
    namespaces = tuple(Namespace(f"team-{n}") for n in range(NAMESPACES))
    broker.apply(NamespacesListed(namespaces), NOW)
    return broker


def _parsed(texts: list[bytes]) -> Iterator[Pod]:
    keys = AnnotationKeys()
    for text in texts:
        pod = Pod.parse(msgspec.json.decode(text, type=kube_objects.Pod), keys)
        assert isinstance(pod, Pod)
        yield pod


def _manifest(number: int) -> bytes:
    """Return a pod as an API server lists it, as far as we read it."""
    address = str(IPv4Address("10.0.0.1") + number)
    uid = f"{number:08x}-aaaa-4bbb-8ccc-{number:012x}"
    name = f"orders-backend-{number % 500}-7d9c6bd8f5-{number:05x}"
    return json.dumps(
        {
            "metadata": {
                "uid": uid,
                "namespace": f"team-{number % NAMESPACES}",
                "name": name,
                "annotations": {"prometheus.io/scrape": "true"},
                "labels": {"app": f"orders-backend-{number % 500}"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "orders-backend-7d9c6bd8f5"}],
            },
            "spec": {"nodeName": f"node-{number % NODES}", "serviceAccountName": "orders"},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        }
    ).encode()


if __name__ == "__main__":
    sys.exit(main())
