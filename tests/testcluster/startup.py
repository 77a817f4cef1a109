"""The few requests that starting a cluster takes, one after the other, without an event loop."""

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

from testcluster.authority import Authority, KeyPair
from testcluster.processes import StartError

# A slow machine under load takes 20 seconds; what needs longer has hung.
_DEADLINE = 120.0
_PAUSE = 0.05


class Startup:
    """Asks the API server as its administrator, until it answers as it should."""

    def __init__(self, port: int, authority: Authority, user: KeyPair) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(authority.bundle))
        self._tls.load_cert_chain(user.certificate, user.key)

    def wait(self, path: str, check: Callable[[], None]) -> None:
        """Return once *path* is answered with 200; *check* raises if there is no hope of that."""
        # Nothing tells when a server begins to listen, so it has to be asked.
        end = time.monotonic() + _DEADLINE
        while not self._is_answered(path):
            check()
            if time.monotonic() > end:
                raise StartError(f"{path} was not answered in {_DEADLINE:.0f} s")
            time.sleep(_PAUSE)

    def create(self, path: str, manifests: Iterable[dict[str, Any]]) -> None:
        """Create objects over one connection; raises StartError where one is refused."""
        with contextlib.closing(self._connection()) as connection:
            for manifest in manifests:
                status = _answered(connection, "POST", path, json.dumps(manifest))
                if status != http.HTTPStatus.CREATED:
                    raise StartError(f"{path} answered {status} to a new {manifest['kind']}")

    def wait_nodes(self, names: Iterable[str], check: Callable[[], None]) -> None:
        """Return once all nodes are ready; where one is not in time, *check* may say why."""
        waiting = set(names)
        with contextlib.closing(self._connection()) as connection:
            path = f"/api/v1/nodes?watch=1&timeoutSeconds={_DEADLINE:.0f}"
            connection.request("GET", path)
            for line in connection.getresponse():
                found = json.loads(line)["object"]
                if _is_ready(found):
                    waiting.discard(found["metadata"]["name"])
                if not waiting:
                    return
        check()
        raise StartError(f"{', '.join(sorted(waiting))} not ready in {_DEADLINE:.0f} s")

    def _is_answered(self, path: str) -> bool:
        with contextlib.closing(self._connection()) as connection:
            try:
                return _answered(connection, "GET", path) == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._tls, timeout=_DEADLINE
        )


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _answered(
    connection: http.client.HTTPSConnection, method: str, path: str, body: str | None = None
) -> int:
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()  # Or the connection could not be used again.
    return answer.status
