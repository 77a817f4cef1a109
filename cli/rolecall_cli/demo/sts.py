"""Moto's STS as a process, which writes down every call that reaches it."""

import io
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class CallLog:
    """Passes requests on as they are, and appends action and role of each to a file."""

    def __init__(self, application: Wsgi, path: Path) -> None:
        self._application = application
        self._path = path

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        form = parse_qs(body.decode(errors="replace"))
        if action := form.get("Action"):
            call = {
                "time": time.time(),
                "action": action[0],
                "role": form.get("RoleArn", [None])[0],
            }
            with self._path.open("a") as log:
                log.write(json.dumps(call) + "\n")
        return self._application(environ, start_response)


class Quiet(WSGIRequestHandler):
    """Leaves out the line for each request, which the call log says better."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        pass


def main() -> None:
    host, port, calls = sys.argv[1:]
    application = CallLog(DomainDispatcherApplication(create_backend_app), Path(calls))
    server = make_server(host, int(port), application, threaded=True, request_handler=Quiet)
    server.serve_forever()


if __name__ == "__main__":
    main()
