"""When a watch that ended is opened again, and when everything is listed again instead."""

from datetime import timedelta

import pytest

from seams.server.kube.informer.test_reflector import PODS, Watcher, pod, watching

SECOND = timedelta(seconds=1)
# An API server sends a bookmark once a minute.
BOOKMARK = timedelta(minutes=1)


async def pause(watcher: Watcher) -> timedelta:
    """Let the pause that is due go by, and return how long it was."""
    await watcher.clock.asleep()
    due = watcher.clock.next_wake
    assert due is not None
    length = due - watcher.clock.now()
    watcher.clock.advance(length)
    return length


async def test_an_api_server_that_is_back_is_asked_within_ten_seconds() -> None:
    """New pods wait for that; and it is not stormed, for there are two or three servers."""
    async with watching(pod("a"), patient=True) as watcher:
        await watcher.until(2)
        watcher.fake.away = True
        await watcher.fake.cut()
        pauses = [await pause(watcher) for _ in range(20)]

    assert pauses[0] <= 0.2 * SECOND
    assert all(5 * SECOND <= each <= 10 * SECOND for each in pauses[6:])


@pytest.mark.parametrize("as_event", [True, False])
async def test_an_api_server_that_has_forgotten_all_is_asked_for_a_list_at_once(
    as_event: bool,  # noqa: FBT001
) -> None:
    """As after a restart: its answer ends the row of failures."""
    async with watching(pod("a"), patient=True, expires_as_event=as_event) as watcher:
        await watcher.until(2)
        watcher.fake.away = True
        await watcher.fake.cut()
        for _ in range(20):
            await pause(watcher)
        await watcher.clock.asleep()
        watcher.fake.away = False
        await watcher.fake.forget()
        await pause(watcher)
        after_the_answer = await pause(watcher)
        told = await watcher.until(7 if as_event else 5)

    assert after_the_answer <= 0.2 * SECOND
    assert told[-2:] == ["listed a", "pods fresh"]


@pytest.mark.parametrize("as_event", [True, False])
async def test_an_api_server_that_forgets_what_it_has_listed_is_asked_ever_less(
    as_event: bool,  # noqa: FBT001
) -> None:
    """Lists are what costs it most."""
    server = {"streams": False, "forgetful": True, "expires_as_event": as_event}
    async with watching(pod("a"), patient=True, **server) as watcher:
        pauses = [await pause(watcher) for _ in range(40)]
        listings = watcher.reflector.statistics.listings["pages"]

    assert all(5 * SECOND <= each <= 10 * SECOND for each in pauses[-20:])
    assert listings <= 20


async def restored(watcher: Watcher) -> str:
    """Have the watch go on from a version that is yet to come; return that version."""
    for _ in range(5):
        await watcher.fake.bookmark()
    await watcher.fake.put(pod("b"))
    await watcher.until(3)
    version = str(watcher.fake.history[-1][0])
    await watcher.fake.restore()
    await watcher.fake.cut()
    await pause(watcher)
    assert (await watcher.until(5))[3:] == ["pods stale", "pods fresh"]
    return version


async def test_a_watch_that_has_said_nothing_for_long_is_followed_by_a_list() -> None:
    """Of an etcd that was restored from a backup, it would say nothing for hours."""
    async with watching(pod("a"), patient=True) as watcher:
        await watcher.until(2)
        await restored(watcher)
        await watcher.fake.put(pod("c"))
        watcher.clock.advance(2 * BOOKMARK + SECOND)
        await watcher.fake.cut()
        await pause(watcher)
        told = await watcher.until(8)
        await watcher.fake.put(pod("d"))
        told = await watcher.until(9)

    assert told[5:] == ["pods stale", "listed a b c", "pods fresh", "changed d reader"]


@pytest.mark.parametrize("says", [False, True])
async def test_a_watch_that_ends_early_or_has_said_something_goes_on_from_where_it_was(
    says: bool,  # noqa: FBT001
) -> None:
    """A balancer in between may end it each minute, and a quiet cluster is told in bookmarks."""
    async with watching(pod("a"), patient=True) as watcher:
        await watcher.until(2)
        version = await restored(watcher)
        if says:
            for _ in range(int(version)):
                await watcher.fake.bookmark()
            await watcher.fake.put(pod("c"))
            await watcher.until(6)
            watcher.clock.advance(5 * BOOKMARK)
        else:
            watcher.clock.advance(2 * BOOKMARK)
        await watcher.fake.cut()
        await pause(watcher)
        await watcher.until(8 if says else 7)

    assert watcher.reflector.statistics.listings == {"stream": 1}
    assert watcher.fake.asked(PODS, resourceVersion=version) == (1 if says else 2)


async def test_a_watch_that_could_not_be_opened_says_nothing_about_its_version() -> None:
    """However long the API server is away, nothing is listed again for that."""
    async with watching(pod("a"), patient=True) as watcher:
        await watcher.until(2)
        watcher.fake.away = True
        await watcher.fake.cut()
        for _ in range(20):
            await pause(watcher)
            watcher.clock.advance(BOOKMARK)
        await watcher.clock.asleep()
        watcher.fake.away = False
        await pause(watcher)
        told = await watcher.until(4)

    assert told[2:] == ["pods stale", "pods fresh"]
    assert watcher.reflector.statistics.listings == {"stream": 1}
