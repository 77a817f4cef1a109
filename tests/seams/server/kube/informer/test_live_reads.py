"""Single pods are read by name, where an agent asks for an address that the watch did not tell."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from kubernetes.aio.client.configuration import Configuration

from fakes.clock import FakeClock
from fakes.engine import NODE, OTHER_NODE
from fakes.engine import pod as known_pod
from fakes.kube import FakeKube, Fault, fake_kube
from rolecall_proto.values import Confirmation, NodeName, PodUid
from rolecall_server.kube.informer import live_reads
from rolecall_server.kube.informer.live_reads import LiveReads
from rolecall_server.kube.informer.resources import pods
from rolecall_server.kube.transport import Transport
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import Pod

PATH = "/api/v1/namespaces/team/pods/"


@dataclass
class Known:
    """What the watch has told so far."""

    pods: list[Pod] = field(default_factory=list)
    found: list[Pod] = field(default_factory=list)

    def without_address(self, node: NodeName) -> list[Pod]:
        return [each for each in self.pods if each.node == node and not each.addresses]

    def pod(self, uid: PodUid) -> Pod | None:
        return next((each for each in self.pods if each.uid == uid), None)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a look take as long as it takes: the machine may be busy."""
    monkeypatch.setattr(live_reads, "_TIMEOUT", 30.0)


@dataclass
class Rig:
    fake: FakeKube
    known: Known
    live: LiveReads
    clock: FakeClock


@contextlib.asynccontextmanager
async def rig() -> AsyncGenerator[Rig]:
    async with fake_kube() as fake:

        async def configure() -> Configuration:
            return Configuration(host=fake.url)

        async with Transport(configure) as transport:
            known, clock = Known(), FakeClock()
            resource = pods(AnnotationKeys())
            yield Rig(
                fake, known, LiveReads(transport, resource, known, known.found.append, clock), clock
            )


READY = {
    "type": "PodReadyToStartContainers",
    "status": "True",
    "lastTransitionTime": "2026-05-04T12:00:07Z",
}


def there(name: str, address: str | None, uid: str | None = None) -> dict[str, object]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "team", "uid": uid or f"uid-{name}"},
        "spec": {"nodeName": NODE},
        "status": {"podIP": address} if address else {},
    }


async def test_a_pod_without_an_address_is_read_and_told() -> None:
    """Others of the node, and those of other nodes, are not asked for."""
    async with rig() as at:
        await at.fake.put(there("new", "10.0.0.7"))
        at.known.pods = [
            known_pod("new"),
            known_pod("old", addresses=(ip_address("10.0.0.6"),)),
            known_pod("far", node=OTHER_NODE),
        ]

        await at.live.refresh(NODE)

    assert [each.addresses for each in at.known.found] == [(ip_address("10.0.0.7"),)]
    assert [path for _, path, _ in at.fake.requests] == [f"{PATH}new"]


async def test_a_pod_is_not_read_twice_in_a_second() -> None:
    """A pod that asks again and again, before it has an address, costs one request a second."""
    async with rig() as at:
        await at.fake.put(there("new", None))
        at.known.pods = [known_pod("new")]
        for _ in range(5):
            await at.live.refresh(NODE)
        once = at.fake.asked(f"{PATH}new")
        at.clock.advance(timedelta(seconds=1))
        await at.live.refresh(NODE)

    assert (once, at.fake.asked(f"{PATH}new")) == (1, 2)
    assert at.known.found == []


async def test_a_clock_that_is_set_back_puts_off_no_look() -> None:
    """An hour that happens twice is not an hour in which a pod is not found."""
    async with rig() as at:
        await at.fake.put(there("new", None))
        at.known.pods = [known_pod("new")]
        await at.live.refresh(NODE)
        at.clock.set_back(timedelta(hours=1))
        await at.live.refresh(NODE)

    assert at.fake.asked(f"{PATH}new") == 2


async def test_those_who_ask_together_wait_for_one_answer() -> None:
    """Fifty requests of a node before its pod is known are one GET."""
    async with rig() as at:
        await at.fake.put(there("new", "10.0.0.7"))
        at.known.pods = [known_pod("new")]

        await asyncio.gather(*(at.live.refresh(NODE) for _ in range(50)))

    assert at.fake.asked(f"{PATH}new") == 1
    assert len(at.known.found) == 1


@pytest.mark.parametrize("change", ["gone", "quicker", "another"])
async def test_what_the_watch_knows_better_is_not_told(change: str) -> None:
    """A pod that is gone, or told of, meanwhile does not come back; nor one of the same name."""
    async with rig() as at:
        uid = "uid-of-another" if change == "another" else None
        await at.fake.put(there("new", "10.0.0.7", uid))
        pod = known_pod("new")
        at.known.pods = [pod]
        looking = asyncio.ensure_future(at.live.refresh(NODE))
        async with at.fake.grown:
            await at.fake.grown.wait_for(lambda: at.fake.requests)
        if change == "gone":
            at.known.pods = []
        if change == "quicker":
            at.known.pods = [replace(pod, addresses=(ip_address("10.0.0.8"),))]
        await looking

    assert at.known.found == []


@pytest.mark.parametrize("fault", [Fault(500), Fault(404), Fault(), Fault(200, body=b"[")])
async def test_a_look_that_fails_is_no_error(fault: Fault) -> None:
    """The watch will tell."""
    async with rig() as at:
        at.known.pods = [known_pod("new")]
        at.fake.faults.append(fault)

        await at.live.refresh(NODE)

    assert at.known.found == []


async def test_an_api_server_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request behind the question has 0.9 seconds in all."""
    monkeypatch.undo()
    async with rig() as at:
        at.known.pods = [known_pod("new")]
        at.fake.faults.append(Fault(silence=True))

        async with asyncio.timeout(30):
            await at.live.refresh(NODE)

    assert at.known.found == []


async def test_a_node_full_of_new_pods_asks_for_some_of_them() -> None:
    """The API server's time is not one node's."""
    async with rig() as at:
        at.known.pods = [known_pod(f"new-{n}") for n in range(100)]

        await at.live.refresh(NODE)

    assert len(at.fake.requests) == 16


def ending(name: str, address: str) -> dict[str, object]:
    there_ = there(name, address)
    metadata = there_["metadata"]
    assert isinstance(metadata, dict)
    return {**there_, "metadata": {**metadata, "deletionTimestamp": "2026-05-04T12:00:00Z"}}


async def test_a_pod_is_confirmed_by_a_read_of_its_own() -> None:
    """Whatever the watch has told: what it has is what the API server says now."""
    async with rig() as at:
        found = there("kept", "10.0.0.7")
        await at.fake.put({**found, "status": {"podIP": "10.0.0.7", "conditions": [READY]}})
        at.known.pods = [known_pod("kept", addresses=(ip_address("10.0.0.6"),))]

        held = await at.live.confirm(NODE, [at.known.pods[0].uid])

    started_at = datetime(2026, 5, 4, 12, 0, 7, tzinfo=UTC)
    assert held == {"uid-kept": Confirmation((ip_address("10.0.0.7"),), started_at)}
    assert at.known.found == []


async def test_a_pod_that_ends_has_nothing() -> None:
    """Deleted, about to be, or another of its name: its address may be somebody else's by now."""
    async with rig() as at:
        at.known.pods = [known_pod(name) for name in ("gone", "ending", "another")]
        await at.fake.put(ending("ending", "10.0.0.7"))
        await at.fake.put(there("another", "10.0.0.8", "uid-of-another"))

        held = await at.live.confirm(NODE, [each.uid for each in at.known.pods])

    assert held == dict.fromkeys(("uid-gone", "uid-ending", "uid-another"), Confirmation())


async def test_who_cannot_be_read_is_not_confirmed() -> None:
    """Pods of other nodes and unknown ones are not asked for; an outage says nothing."""
    async with rig() as at:
        at.known.pods = [known_pod("far", node=OTHER_NODE), known_pod("here")]
        at.fake.faults.append(Fault(status=403))
        uids = [PodUid("uid-far"), PodUid("nobody"), PodUid("uid-here")]

        held = await at.live.confirm(NODE, uids)

    assert held == {}
    assert at.fake.asked(f"{PATH}far") == 0


async def test_a_pod_is_not_confirmed_twice_in_a_second() -> None:
    """The second answer would have to be a second read."""
    async with rig() as at:
        await at.fake.put(there("kept", "10.0.0.7"))
        at.known.pods = [known_pod("kept")]
        first = await at.live.confirm(NODE, [PodUid("uid-kept")])
        second = await at.live.confirm(NODE, [PodUid("uid-kept")])

    assert (len(first), len(second)) == (1, 0)
    assert at.fake.asked(f"{PATH}kept") == 1
