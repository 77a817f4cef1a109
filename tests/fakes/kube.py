"""An API server that keeps pods and namespaces, and can be told to misbehave.

It speaks what the watch needs of the real one: lists in pages, watches from a resource version,
lists by a watch, bookmarks, field selectors on the phase, expiry of what is too old. It was held
against a real one: tests/cluster runs the same watch there.
"""

import asyncio
import contextlib
import copy
import itertools
import json
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

Object = dict[str, Any]
_PATHS = {"Pod": "/api/v1/pods", "Namespace": "/api/v1/namespaces"}
_FINISHED = ("Succeeded", "Failed")


@dataclass(slots=True)
class Fault:
    """What the next matching request meets: a status, a silence, or a connection that breaks."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    silence: bool = False


@dataclass(slots=True)
class FakeKube:
    """Objects, what became of them, and every request that was made."""

    streams: bool = True  # Whether it can list by a watch.
    away: bool = False  # Every connection ends without an answer.
    forgetful: bool = False  # It knows no version that it has told.
    expires_as_event: bool = True  # Else a watch from too long ago is refused with a status.
    url: str = ""
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    history: list[tuple[int, str, Object, Object | None]] = field(default_factory=list)
    oldest: int = 0  # Watches from before this have expired.
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _cut: int = 0

    def asked(self, path: str, **query: str) -> int:
        """Return how many requests were made of *path* with all of *query*."""
        return sum(
            1 for _, at, said in self.requests if at == path and said.items() >= query.items()
        )

    async def put(self, thing: Mapping[str, Any]) -> None:
        """Make *thing*, or change what there was of that name."""
        made: Object = copy.deepcopy(dict(thing))
        metadata = made.setdefault("metadata", {})
        key = made["kind"], str(metadata.get("namespace", "")), str(metadata["name"])
        former = self.objects.get(key)
        metadata.setdefault("uid", f"uid-{key[2]}")
        self.objects[key] = made
        await self._happened(made, former)

    async def delete(self, kind: str, name: str, namespace: str = "") -> None:
        former = self.objects.pop((kind, namespace, name))
        gone = copy.deepcopy(former)
        gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        await self._happened(gone, former, deleted=True)

    async def forget(self) -> None:
        """Keep no more of the past: whoever watches from before now is told to list again."""
        self.oldest = next(self._versions)
        self.history.clear()

    async def restore(self) -> None:
        """Count versions anew, as an etcd that was restored from a backup: old ones are to come."""
        self._versions = itertools.count(1)
        self.oldest = 0
        self.history.clear()

    async def cut(self) -> None:
        """Break every open watch."""
        self._cut += 1
        async with self.grown:
            self.grown.notify_all()

    async def until_watched(self, path: str, times: int = 1) -> None:
        """Return once *path* was watched so often."""
        async with self.grown:
            await self.grown.wait_for(lambda: self.asked(path, watch="true") >= times)

    async def bookmark(self) -> None:
        """Let everybody know how far things are."""
        version = next(self._versions)
        self.history.append((version, "BOOKMARK", {}, None))
        async with self.grown:
            self.grown.notify_all()

    async def _happened(
        self, thing: Object, former: Object | None, *, deleted: bool = False
    ) -> None:
        version = next(self._versions)
        thing["metadata"]["resourceVersion"] = str(version)
        kind = "DELETED" if deleted else "MODIFIED" if former else "ADDED"
        self.history.append((version, kind, copy.deepcopy(thing), former))
        async with self.grown:
            self.grown.notify_all()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.requests.append((request.method, request.path, query))
        self.headers.append(dict(request.headers))
        async with self.grown:
            self.grown.notify_all()
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.faults:
            fault = self.faults.popleft()
            if fault.silence:
                await asyncio.Event().wait()
            if not fault.status:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=fault.status or 500, headers=fault.headers, body=fault.body)
        kind = next((kind for kind, path in _PATHS.items() if path == request.path), None)
        if kind is None:
            return self._one(request.path)
        if query.get("watch") == "true":
            return await self._watch(request, kind, query)
        return self._list(kind, query)

    def _one(self, path: str) -> web.Response:
        _, _, _, _, namespace, _, name = path.split("/")
        found = self.objects.get(("Pod", namespace, name))
        return web.json_response(found or {"message": "no such pod"}, status=200 if found else 404)

    def _list(self, kind: str, query: Mapping[str, str]) -> web.Response:
        chosen = [each for each in self._all(kind) if _matches(each, query)]
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "0"))
        page = chosen[start : start + limit] if limit else chosen
        rest = start + len(page) < len(chosen)
        version = max([self.oldest, *(at for at, *_ in self.history)])
        metadata = {"resourceVersion": str(version)}
        if rest:
            metadata["continue"] = str(start + len(page))
        return web.json_response({"kind": f"{kind}List", "metadata": metadata, "items": page})

    async def _watch(
        self, request: web.Request, kind: str, query: Mapping[str, str]
    ) -> web.StreamResponse:
        streamed = query.get("sendInitialEvents") == "true"
        since = int(query.get("resourceVersion", "0"))
        expired = not streamed and (since < self.oldest or self.forgetful)
        if streamed and not self.streams:
            return web.json_response({"message": "sendInitialEvents is forbidden"}, status=422)
        if expired and not self.expires_as_event:
            return web.json_response({"message": "too old resource version"}, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        if expired:
            status = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await _write(response, "ERROR", status)
            return response
        if streamed:
            since = max([self.oldest, *(at for at, *_ in self.history)])
            for each in [each for each in self._all(kind) if _matches(each, query)]:
                await _write(response, "ADDED", each)
            await _write(response, "BOOKMARK", _bookmark(kind, since, initial_end=True))
        with contextlib.suppress(ConnectionError):
            await self._follow(response, kind, since, query)
        return response

    async def _follow(
        self, response: web.StreamResponse, kind: str, since: int, query: Mapping[str, str]
    ) -> None:
        cut = self._cut
        while self._cut == cut:
            for version, what, thing, former in [each for each in self.history if each[0] > since]:
                since = version
                if what == "BOOKMARK":
                    await _write(response, what, _bookmark(kind, version))
                elif thing["kind"] == kind and (event := _seen(what, thing, former, query)):
                    await _write(response, event, thing)
            async with self.grown:
                await self.grown.wait_for(partial(self._is_news, cut, since))
        # As where a process is killed: not the end that HTTP has for it.
        transport = response._req.transport if response._req else None  # noqa: SLF001
        if transport is not None:
            transport.abort()

    def _is_news(self, cut: int, since: int) -> bool:
        return self._cut != cut or any(version > since for version, *_ in self.history)

    def _all(self, kind: str) -> list[Object]:
        return [each for (of, *_), each in sorted(self.objects.items()) if of == kind]


def _bookmark(kind: str, version: int, *, initial_end: bool = False) -> Object:
    notes = {"annotations": {"k8s.io/initial-events-end": "true"}} if initial_end else {}
    return {"kind": kind, "metadata": {"resourceVersion": str(version), **notes}}


def _matches(thing: Object, query: Mapping[str, str]) -> bool:
    if "status.phase!=Succeeded" not in query.get("fieldSelector", ""):
        return True
    status = thing.get("status")
    return not isinstance(status, dict) or status.get("phase") not in _FINISHED


def _seen(what: str, thing: Object, former: Object | None, query: Mapping[str, str]) -> str | None:
    """Return what a watch with a selector sees: who leaves the selection was deleted from it."""
    before = former is not None and _matches(former, query)
    after = what != "DELETED" and _matches(thing, query)
    if before:
        return "MODIFIED" if after else "DELETED"
    return "ADDED" if after else None


async def _write(response: web.StreamResponse, kind: str, thing: Object) -> None:
    await response.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")


@contextlib.asynccontextmanager
async def fake_kube(tls: ssl.SSLContext | None = None) -> AsyncGenerator[FakeKube]:
    """Serve an empty cluster on loopback while the block runs."""
    fake = FakeKube()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield fake
    finally:
        await fake.cut()
        await runner.cleanup()
