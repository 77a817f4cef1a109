"""The few requests that starting a cluster takes, one after the other, without an event loop."""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

from testcluster.authority import Authority, KeyPair
from testcluster.processes import StartError

# A slow machine under load takes 20 seconds; what needs longer has hung.
_DEADLINE = 60.0
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
        while self._status("GET", path) != http.HTTPStatus.OK:
            check()
            if time.monotonic() > end:
                raise StartError(f"{path} was not answered in {_DEADLINE:.0f} s")
            time.sleep(_PAUSE)

    def create(self, path: str, manifest: dict[str, Any]) -> None:
        """Create an object; raises StartError where it is refused."""
        status = self._status("POST", path, json.dumps(manifest))
        if status != http.HTTPStatus.CREATED:
            raise StartError(f"{path} answered {status} to a new {manifest['kind']}")

    def _status(self, method: str, path: str, body: str | None = None) -> int | None:
        headers = {"Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._tls, timeout=5
        )
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()
