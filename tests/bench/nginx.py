"""nginx's `return 200` with the very same body: the floor that the endpoint is measured against."""

import contextlib
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

from bench.machine import path_of
from bench.processes import Running, running, until

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    default_type text/plain;
    location / {{ return 200 '{body}'; }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(body: str, *, core: int, directory: Path) -> AsyncGenerator[tuple[str, Running]]:
    """Serve *body* on every path; the block gets the address and the process."""
    port = free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(directory=directory, port=port, body=_quoted(body))
    )
    command = [path_of("nginx"), "-e", "stderr", "-p", str(directory), "-c", str(configuration)]
    async with running("nginx", command, core=core, directory=directory) as process:
        await until(lambda: listens(port), "nginx's start")
        yield f"http://127.0.0.1:{port}", process


def _quoted(body: str) -> str:
    if "$" in body:
        raise ValueError("nginx would read a variable in this body")
    return body.replace("\\", "\\\\").replace("'", "\\'")


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on at *address* now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Tell whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0
