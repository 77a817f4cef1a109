"""The watch over a real socket: what an API server does, and what is made of it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from kubernetes.aio.client.configuration import Configuration

from fakes.clock import FakeClock
from fakes.kube import FakeKube, Fault, fake_kube
from rolecall_server.kube.informer.reflector import Reflector
from rolecall_server.kube.informer.resources import pods
from rolecall_server.kube.transport import Transport
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.pods import ObjectUnusable, Pod
from rolecall_server.model.source import Change, PodChanged, PodGone, PodsListed, WatchState

PODS = "/api/v1/pods"
LONG = timedelta(minutes=5)


def pod(name: str, role: str = "reader", **status: str) -> dict[str, object]:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "team",
            "annotations": {"iam.amazonaws.com/role": role},
        },
        "spec": {"nodeName": "node-a"},
        "status": {"phase": "Running", **status},
    }


@dataclass
class Watcher:
    """A reflector at work, and everything that it has told."""

    fake: FakeKube
    clock: FakeClock
    reflector: Reflector[Pod]
    told: list[Change] = field(default_factory=list)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def follow(self) -> None:
        async with contextlib.aclosing(self.reflector.changes()) as changes:
            async for change in changes:
                async with self.grown:
                    self.told.append(change)
                    self.grown.notify_all()

    async def hurry(self) -> None:
        while True:
            await self.clock.asleep()
            self.clock.advance(LONG)

    async def until(self, count: int) -> list[str]:
        """Return what was told, in short, once it is *count* things."""
        async with asyncio.timeout(20), self.grown:
            await self.grown.wait_for(lambda: len(self.told) >= count)
        return [_short(each) for each in self.told]


def _short(change: Change) -> str:
    match change:
        case PodsListed(listed):
            return "listed " + " ".join(sorted(each.name for each in listed))
        case PodChanged(changed):
            wish = changed.wish.role if changed.wish else None
            return f"changed {changed.name} {wish}"
        case PodGone(uid):
            return f"gone {uid}"
        case WatchState(fresh, of):
            return f"{of} {'fresh' if fresh else 'stale'}"
        case ObjectUnusable(_, key, _):
            return f"unusable {key}"
    raise AssertionError(change)


@contextlib.asynccontextmanager
async def watching(
    *there: Mapping[str, object], patient: bool = False, **server: bool
) -> AsyncGenerator[Watcher]:
    """Watch what is *there*; every pause is over at once, unless the test is *patient*."""
    async with fake_kube() as fake, contextlib.AsyncExitStack() as stack:
        for name, value in server.items():
            setattr(fake, name, value)
        for each in there:
            await fake.put(each)

        async def configure() -> Configuration:
            return Configuration(host=fake.url)

        transport = await stack.enter_async_context(Transport(configure))
        clock = FakeClock()
        dice = random.Random(7)  # noqa: S311 - only jitter
        watcher = Watcher(fake, clock, Reflector(pods(AnnotationKeys()), transport, clock, dice))
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(watcher.follow(), name="follow")]
            if not patient:
                work.append(tasks.create_task(watcher.hurry(), name="hurry"))
            yield watcher
            for each in work:
                each.cancel()


@pytest.mark.parametrize("streams", [True, False])
async def test_what_there_is_comes_first_and_then_what_becomes_of_it(streams: bool) -> None:  # noqa: FBT001
    """By a watch that lists, or by pages where the API server has no such watch."""
    async with watching(pod("a"), pod("b"), streams=streams) as watcher:
        first = await watcher.until(2 if streams else 3)
        await watcher.fake.until_watched(PODS, 1 if streams else 2)
        await watcher.fake.put(pod("c"))
        await watcher.fake.put(pod("a", role="writer"))
        await watcher.fake.delete("Pod", "b", "team")
        told = await watcher.until(len(first) + 3)

    assert [each for each in first if each != "pods stale"] == ["listed a b", "pods fresh"]
    assert told[len(first) :] == ["changed c reader", "changed a writer", "gone uid-b"]
    assert watcher.reflector.statistics.listings == {"stream" if streams else "pages": 1}


async def test_a_long_list_comes_in_pages() -> None:
    """One page is asked for at a time, and told when all are there."""
    async with watching(*(pod(f"p{n}") for n in range(1201)), streams=False) as watcher:
        told = await watcher.until(2)

    assert len(told[1].split()) == 1 + 1201
    assert watcher.fake.asked(PODS, limit="500") == 3


async def test_pods_that_have_finished_are_spared() -> None:
    """They are not listed, and who finishes is gone: nobody is sent thousands of old jobs."""
    done = pod("done", phase="Succeeded")
    async with watching(done, pod("job")) as watcher:
        await watcher.until(2)
        await watcher.fake.put(pod("job", phase="Failed"))
        told = await watcher.until(3)

    assert told == ["listed job", "pods fresh", "gone uid-job"]


async def test_a_watch_that_breaks_goes_on_from_where_it_was() -> None:
    """Nothing is listed again: what happened meanwhile is told, once, in its order."""
    async with watching(pod("a")) as watcher:
        await watcher.until(2)
        await watcher.fake.put(pod("b"))
        await watcher.until(3)
        await watcher.fake.cut()
        await watcher.until(4)
        await watcher.fake.put(pod("c"))
        await watcher.fake.delete("Pod", "a", "team")
        told = await watcher.until(7)

    assert told[2:] == [
        "changed b reader",
        "pods stale",
        "pods fresh",
        "changed c reader",
        "gone uid-a",
    ]
    assert watcher.reflector.statistics.listings == {"stream": 1}


async def test_a_bookmark_moves_the_place_to_go_on_from() -> None:
    """A quiet cluster's watch does not expire while others write."""
    async with watching(pod("a")) as watcher:
        await watcher.until(2)
        await watcher.fake.bookmark()
        mark = str(watcher.fake.history[-1][0])
        # A change behind the bookmark shows that the bookmark was read.
        await watcher.fake.put(pod("b"))
        await watcher.until(3)
        await watcher.fake.bookmark()
        last = str(watcher.fake.history[-1][0])
        await watcher.fake.put(pod("c"))
        await watcher.until(4)
        await watcher.fake.cut()
        await watcher.fake.until_watched(PODS, 2)

    assert mark != last
    assert watcher.fake.asked(PODS, resourceVersion=str(int(last) + 1)) == 1


@pytest.mark.parametrize("as_event", [True, False])
async def test_a_place_that_is_forgotten_means_to_list_again(as_event: bool) -> None:  # noqa: FBT001
    """410 as a status or as an event: the new listing says what is gone meanwhile."""
    async with watching(pod("a"), pod("b"), expires_as_event=as_event) as watcher:
        await watcher.until(2)
        await watcher.fake.cut()
        await watcher.fake.delete("Pod", "a", "team")
        await watcher.fake.forget()
        await watcher.fake.until_watched(PODS, 2)
        await watcher.fake.until_watched(PODS, 3)
        async with asyncio.timeout(20), watcher.grown:
            await watcher.grown.wait_for(lambda: _short(watcher.told[-1]) == "pods fresh")
        told = await watcher.until(5)

    assert [each for each in told if each.startswith("listed")] == ["listed a b", "listed b"]


async def test_an_odd_object_is_set_aside_and_the_rest_is_served() -> None:
    """In a listing as in a change."""
    odd = pod("odd")
    odd["spec"] = {"nodeName": ["not", "a", "name"]}
    async with watching(odd, pod("a")) as watcher:
        await watcher.until(3)
        odd_now = pod("a")
        odd_now["status"] = {"podIP": "999.1.2.3"}
        await watcher.fake.put(odd_now)
        await watcher.fake.put(pod("b"))
        told = await watcher.until(5)

    assert told == [
        "listed a", "unusable uid-odd", "pods fresh", "unusable uid-a", "changed b reader",
    ]  # fmt: skip


async def test_a_pod_of_a_megabyte_is_one_line_like_any_other() -> None:
    """Longer than any buffer of the client."""
    heavy = pod("heavy")
    heavy["status"] = {"phase": "Running", "message": "x" * 1_500_000}
    async with watching(pod("a")) as watcher:
        await watcher.until(2)
        await watcher.fake.put(heavy)
        told = await watcher.until(3)

    assert told[-1] == "changed heavy reader"


async def test_an_api_server_that_asks_to_be_left_alone_is_left_alone() -> None:
    """Its own word for how long counts, where it is longer than ours."""
    fault = Fault(429, {"Retry-After": "17"}, b"too many requests")
    async with watching(pod("a"), patient=True) as watcher:
        await watcher.until(2)
        watcher.fake.faults.append(fault)
        await watcher.fake.cut()
        await watcher.clock.asleep()
        watcher.clock.advance(LONG)
        await watcher.clock.asleep()
        due = watcher.clock.next_wake
        watcher.clock.advance(LONG)
        told = await watcher.until(4)

    assert due is not None
    assert due - watcher.clock.now() == timedelta(seconds=17) - LONG
    assert told[-2:] == ["pods stale", "pods fresh"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, body=b"etcd leader changed"),
        Fault(503),
        Fault(403, body=b"forbidden"),
        Fault(401, body=b"Unauthorized"),
        Fault(),
        Fault(200, body=b"<html>no API server</html>"),
        Fault(200, body=b'{"type": "ADDED"\n{"type": 1}\n'),
        Fault(404, body=b"x" * 100_000),
    ],
    ids=["500", "503", "403", "401", "broken", "page of a proxy", "garbage", "long refusal"],
)
async def test_no_answer_ends_the_watch(fault: Fault) -> None:
    """Whatever it is, it is asked again later, and the listing comes in the end."""
    async with watching(pod("a")) as watcher:
        await watcher.until(2)
        watcher.told.clear()
        await watcher.fake.forget()
        watcher.fake.faults.extend([fault, fault])
        await watcher.fake.cut()
        async with asyncio.timeout(20), watcher.grown:
            await watcher.grown.wait_for(
                lambda: any(isinstance(each, PodsListed) for each in watcher.told)
            )

    assert _short(next(each for each in watcher.told if isinstance(each, PodsListed))) == "listed a"


async def test_the_request_says_what_spares_the_api_server() -> None:
    """Compressed answers, plain JSON, bookmarks, and an end after some minutes."""
    async with watching(pod("a")) as watcher:
        await watcher.until(2)
    _, _, query = watcher.fake.requests[0]
    headers = watcher.fake.headers[0]

    assert headers["Accept-Encoding"] == "gzip"
    assert headers["User-Agent"].startswith("rolecall-server/")
    assert query["allowWatchBookmarks"] == "true"
    assert 240 <= int(query["timeoutSeconds"]) <= 480
