"""A container endpoint that listens where nodes do, as a program: it runs in the lab, on the node.

Its pods are known and have a role, and a token of each is written into the folder that is named.
"""

import asyncio
import sys
from pathlib import Path

from fakes.container_rig import SDK_SESSION, container_rig, token
from fakes.endpoint_rig import known, pod
from rolecall_agent.process.sockets import bind_all

LISTEN = [("169.254.170.23", 9804), ("fd00:ec2::23", 9804)]


async def main(folder: Path) -> None:
    pods = [
        pod("10.77.0.5", uid="uid-web"),
        pod("10.77.0.1", uid="uid-host", host_network=True),
    ]
    for each in pods:
        (folder / f"{each.uid}.token").write_text(token(each.uid, each.name))
    async with container_rig() as rig, rig.server.serving(bind_all(LISTEN)):
        rig.snapshot(*known(*pods, credentials=SDK_SESSION))
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
