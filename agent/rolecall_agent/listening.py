"""The doors' listening sockets, bound before there is anything that could answer."""

import socket

from rolecall_agent.freebind import listeners
from rolecall_agent.settings import Settings
from rolecall_common.lifecycle import refusing

METADATA, CONTAINER = "metadata", "container"
BACKLOG = 4096  # connections that the kernel keeps for us while no worker is there, or it is busy


def bind(settings: Settings) -> dict[str, list[socket.socket]]:
    """Listen for each door, by its name. Raises StartError where an address cannot be had."""
    with refusing("listen", OSError):
        metadata = listeners((each.host, each.port) for each in settings.door.listen)
    with refusing("containerListen", OSError):
        where = settings.container.container_listen
        container = listeners((each.host, each.port) for each in where)
    for each in (*metadata, *container):
        each.listen(BACKLOG)
    return {METADATA: metadata, CONTAINER: container}
