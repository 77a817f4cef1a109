"""A directory on a real disk, watched: what is written there is told."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from ipaddress import ip_network
from itertools import islice
from pathlib import Path

import pytest

from fakes.clock import FakeClock
from rolecall_server.manifests.files import File, read_files
from rolecall_server.manifests.placement import Pools
from rolecall_server.manifests.source import ManifestSource
from rolecall_server.model.annotations import AnnotationKeys
from rolecall_server.model.source import (
    Change,
    NamespacesListed,
    PodChanged,
    PodGone,
    PodsListed,
    WatchState,
)

POD = "kind: Pod\nmetadata: {name: %s, annotations: {iam.amazonaws.com/role: r}}\n"


def source(root: Path, clock: FakeClock | None = None) -> ManifestSource:
    pools = Pools([("one", ip_network("10.1.0.0/24"))])
    return ManifestSource(root, pools, AnnotationKeys(), clock or FakeClock())


async def take(changes: AsyncGenerator[Change], count: int) -> list[Change]:
    async with asyncio.timeout(10):
        return [await anext(changes) for _ in range(count)]


async def test_everything_is_listed_first(tmp_path: Path) -> None:
    """Namespaces, pods, and that the watch is fresh; files in folders count, hidden ones do not."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "a.yml").write_text(POD % "a")
    (tmp_path / ".b.yaml").write_text(POD % "b")
    (tmp_path / "c.txt").write_text("hello")

    async with aclosing(source(tmp_path).changes()) as changes:
        namespaces, pods, state = await take(changes, 3)
    assert isinstance(namespaces, NamespacesListed)
    assert isinstance(pods, PodsListed)
    assert [pod.name for pod in pods.pods] == ["a"]
    assert state == WatchState(fresh=True)


async def test_a_change_on_disk_is_told(tmp_path: Path) -> None:
    """A file written, replaced and removed: the pod comes, changes and goes."""
    async with aclosing(source(tmp_path).changes()) as changes:
        await take(changes, 3)
        (tmp_path / "a.yaml").write_text(POD % "a")
        _, came = await take(changes, 2)
        (tmp_path / "new").write_text(POD.replace("role: r", "role: w") % "a")
        (tmp_path / "new").rename(tmp_path / "a.yaml")
        (changed,) = await take(changes, 1)
        (tmp_path / "a.yaml").unlink()
        gone, _ = await take(changes, 2)

    assert isinstance(came, PodChanged)
    assert isinstance(changed, PodChanged)
    assert changed.pod.uid == came.pod.uid
    assert gone == PodGone(came.pod.uid)


async def test_a_change_while_one_reads_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reading and a later one: what is written behind their back is not lost."""
    behind = iter(["a", "b"])

    def read_and_write(root: Path) -> dict[str, File]:
        files = read_files(root)
        for name in islice(behind, 1):
            (tmp_path / f"{name}.yaml").write_text(POD % name)
        return files

    async def at_once(read: Callable[[], list[Change]]) -> list[Change]:
        # As fast as a thread could ever be: nothing else of the loop has its turn before.
        return read()

    monkeypatch.setattr("rolecall_server.manifests.source.read_files", read_and_write)
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    async with aclosing(source(tmp_path).changes()) as changes:
        _, listed, _, _, first, second = await take(changes, 6)

    assert isinstance(listed, PodsListed)
    assert listed.pods == ()
    assert isinstance(first, PodChanged)
    assert isinstance(second, PodChanged)
    assert (first.pod.name, second.pod.name) == ("a", "b")


@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in-a-group"])
async def test_a_watch_that_the_kernel_ends_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, grouped: bool
) -> None:
    """It is stale meanwhile, as if the directory were away."""
    clock = FakeClock()
    refusal = RuntimeError("error in underlying watcher")

    async def refused(*_: object, **__: object) -> AsyncGenerator[None]:
        yield
        raise ExceptionGroup("of a task group", [refusal]) if grouped else refusal

    monkeypatch.setattr("rolecall_server.manifests.source.awatch", refused)
    async with aclosing(source(tmp_path, clock).changes()) as changes:
        await take(changes, 2)
        fresh, stale = await take(changes, 2)
        monkeypatch.undo()
        more = asyncio.create_task(take(changes, 1), name="more")
        await clock.asleep()
        clock.advance(timedelta(seconds=1))

        assert (fresh, stale) == (WatchState(fresh=True), WatchState(fresh=False))
        assert await more == [WatchState(fresh=True)]


async def test_a_configmap_that_turns_over_is_told(tmp_path: Path) -> None:
    """A mounted ConfigMap is links to a hidden link to a hidden folder, which is swapped."""
    for name in ("one", "two"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "a.yaml").write_text(POD % name)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")

    async with aclosing(source(tmp_path).changes()) as changes:
        _, listed, _ = await take(changes, 3)
        (tmp_path / "..next").symlink_to("..two")
        (tmp_path / "..next").rename(tmp_path / "..data")
        gone, came = await take(changes, 2)

    assert isinstance(listed, PodsListed)
    assert gone == PodGone(listed.pods[0].uid)
    assert isinstance(came, PodChanged)
    assert came.pod.name == "two"


async def test_a_directory_that_vanishes_changes_nothing(tmp_path: Path) -> None:
    """The watch is stale, every pod stays, and the directory is found again when it is back."""
    root, away, clock = tmp_path / "root", tmp_path / "away", FakeClock()
    root.mkdir()
    (root / "a.yaml").write_text(POD % "a")

    async with aclosing(source(root, clock).changes()) as changes:
        await take(changes, 3)
        root.rename(away)
        (stale,) = await take(changes, 1)
        (away / "b.yaml").write_text(POD % "b")
        away.rename(root)
        more = asyncio.create_task(take(changes, 2), name="more")
        await clock.asleep()
        clock.advance(timedelta(seconds=1))
        came, fresh = await more

    assert stale == WatchState(fresh=False)
    assert isinstance(came, PodChanged)
    assert came.pod.name == "b"
    assert fresh == WatchState(fresh=True)


async def test_what_cannot_be_read_is_a_problem(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipe, a broken link, a folder with such a name, bytes that are no text, a giant."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("nowhere")
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff")
    (tmp_path / "giant.json").write_bytes(b" " * (9 * 1024 * 1024))
    (tmp_path / "good.yaml").write_text(POD % "good")

    manifests = source(tmp_path)
    async with aclosing(manifests.changes()) as changes:
        _, listed, _ = await take(changes, 3)

    assert isinstance(listed, PodsListed)
    assert [pod.name for pod in listed.pods] == ["good"]
    assert {problem.file for problem in manifests.statistics.problems} == {
        "pipe.yaml",
        "link.yaml",
        "bytes.yaml",
        "giant.json",
    }
    assert len([r for r in caplog.records if r.message == "part of a manifest is left out"]) == 4
