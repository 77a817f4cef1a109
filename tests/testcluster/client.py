"""One identity's view of the API: plain manifests over HTTP, for tests."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from testcluster.authority import KeyPair
from testcluster.resources import path_of
from testcluster.tokens import token_request, token_review

Manifest = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

# What is waited for takes a second; a slow machine under load takes longer.
PATIENCE = 60.0
# An object may be a megabyte, and a watch gives one by line.
_LONGEST_LINE = 2 * 1024 * 1024


class RefusedError(Exception):
    """The API server said no: its status, reason and message."""

    def __init__(self, status: int, answer: Manifest) -> None:
        self.status = status
        self.reason = str(answer.get("reason", ""))
        self.message = str(answer.get("message", ""))
        super().__init__(f"{status} {self.reason}: {self.message}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is: a certificate, a bearer token, or nobody."""

    pair: KeyPair | None = None
    token: str | None = None


class Client:
    """Speaks to the API server as one identity; an async context manager."""

    def __init__(self, url: str, bundle: str, identity: Identity) -> None:
        tls = ssl.create_default_context(cafile=bundle)
        if identity.pair is not None:
            tls.load_cert_chain(identity.pair.certificate, identity.pair.key)
        token = identity.token
        self._session = aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(ssl=tls),
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            read_bufsize=_LONGEST_LINE,
            timeout=aiohttp.ClientTimeout(sock_connect=PATIENCE),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Manifest | list[Manifest] | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Send a request to any *path* and return the JSON of its answer.

        Raises: RefusedError; aiohttp.ClientError while there is no API server.
        """
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": content_type}
        async with self._session.request(
            method, path, data=data, headers=headers, params=query
        ) as response:
            text = await response.text()
            if not response.ok:
                raise RefusedError(response.status, _status(text))
            answer: Manifest = json.loads(text)
            return answer

    async def text(self, path: str) -> str:
        """Return what *path* is answered with, for what is not JSON: `/metrics`, `/readyz`."""
        async with self._session.get(path) as response:
            text = await response.text()
            if not response.ok:
                raise RefusedError(response.status, _status(text))
            return text

    async def create(self, manifest: Manifest, **query: str) -> Manifest:
        """Create an object, or ask for a review, which is created too."""
        namespace = manifest.get("metadata", {}).get("namespace")
        path = path_of(manifest["kind"], namespace)
        return await self.request("POST", path, manifest, query=query)

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        return await self.request("GET", path_of(kind, namespace, name))

    async def find(self, kind: str, namespace: str | None = None, **query: str) -> list[Manifest]:
        """Return the objects of a *kind*: of one namespace, or of all."""
        answer = await self.request("GET", path_of(kind, namespace), query=query)
        items: list[Manifest] = answer["items"]
        return items

    async def replace(self, manifest: Manifest, subresource: str = "") -> Manifest:
        """Put an object, with the resource version that it was read with, or without one."""
        metadata = manifest["metadata"]
        path = path_of(manifest["kind"], metadata.get("namespace"), metadata["name"], subresource)
        return await self.request("PUT", path, manifest)

    async def patch(  # noqa: PLR0913 - each says one thing about the object
        self,
        kind: str,
        name: str,
        change: Manifest | list[Manifest],
        namespace: str | None = None,
        *,
        subresource: str = "",
        content_type: str = MERGE,
        **query: str,
    ) -> Manifest:
        path = path_of(kind, namespace, name, subresource)
        return await self.request("PATCH", path, change, content_type, query)

    async def delete(
        self, kind: str, name: str, namespace: str | None = None, grace: int | None = None
    ) -> Manifest:
        """Delete an object; a *grace* of 0 is at once, without the node's consent."""
        body = None if grace is None else {"gracePeriodSeconds": grace}
        return await self.request("DELETE", path_of(kind, namespace, name), body)

    async def token(
        self,
        service_account: str,
        namespace: str,
        audience: str,
        *,
        pod: Manifest | None = None,
        seconds: int = 3600,
    ) -> str:
        """Return a token of a service account, bound to *pod* if that is given."""
        request = token_request(audience, pod, seconds)
        path = path_of("ServiceAccount", namespace, service_account, "token")
        answer = await self.request("POST", path, request)
        return str(answer["status"]["token"])

    async def review(self, token: str, *audiences: str) -> Manifest:
        """Return the status of a TokenReview."""
        answer = await self.create(token_review(token, audiences))
        status: Manifest = answer["status"]
        return status

    async def create_namespace(self, name: str) -> None:
        """Create a namespace in which pods can be made at once."""
        await self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = {"name": "default", "namespace": name}
        with contextlib.suppress(RefusedError):
            # Pods are refused until there is one; the controller manager, if any, may be first.
            await self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})

    async def until(
        self,
        kind: str,
        holds: Callable[[Mapping[str, Manifest]], bool],
        namespace: str | None = None,
        *,
        patience: float = PATIENCE,
        **query: str,
    ) -> dict[str, Manifest]:
        """Watch until *holds* says yes to the objects by name, and return them.

        *patience* is in seconds: real nodes and many pods need more. *query* narrows them down:
        `labelSelector`, `fieldSelector`. Names of several namespaces are not told apart.
        Raises: TimeoutError.
        """
        found: dict[str, Manifest] = {}
        async with _patience(patience, found):
            while True:
                async with contextlib.aclosing(self._states(kind, namespace, query, found)) as each:
                    async for _ in each:
                        if holds(found):
                            return found

    async def _states(
        self, kind: str, namespace: str | None, query: dict[str, str], found: dict[str, Manifest]
    ) -> AsyncGenerator[None]:
        """Keep *found* as the objects are, from now until the watch ends."""
        path = path_of(kind, namespace)
        answer = await self.request("GET", path, query=query)
        found.clear()
        found.update({each["metadata"]["name"]: each for each in answer["items"]})
        yield
        events = self.watch(path, answer["metadata"]["resourceVersion"], **query)
        async with contextlib.aclosing(events):
            async for event in events:
                if event["type"] == "ERROR":
                    return  # It has to be listed again.
                name = event["object"]["metadata"]["name"]
                if event["type"] == "DELETED":
                    found.pop(name, None)
                else:
                    found[name] = event["object"]
                yield

    async def watch(self, path: str, version: str, **query: str) -> AsyncGenerator[Manifest]:
        """Give each event after resource *version*, until the API server ends the watch."""
        query |= {"watch": "1", "resourceVersion": version}
        async with self._session.get(path, params=query) as response:
            if not response.ok:
                raise RefusedError(response.status, _status(await response.text()))
            async for line in response.content:
                yield json.loads(line)


@contextlib.asynccontextmanager
async def _patience(seconds: float, found: Mapping[str, Manifest]) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TimeoutError(f"not in {seconds:.0f} s; in the end there was {found}") from error


def _status(text: str) -> Manifest:
    try:
        answer = json.loads(text)
    except ValueError:
        return {"message": text}
    return answer if isinstance(answer, dict) else {"message": text}
