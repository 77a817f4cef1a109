"""The images of the tests: a server's and an agent's as the Dockerfile has them, and clients."""

import tempfile
from pathlib import Path
from typing import Final

from testcluster.images.archive import Image, write_archive
from testcluster.images.environments import base, environment, project

SERVER_IMAGE: Final = "rolecall.test/server:1"
AGENT_IMAGE: Final = "rolecall.test/agent:1"
# boto3, the AWS CLI, curl and a shell.
CLIENT_IMAGE: Final = "rolecall.test/client:1"
_OURS, _AWS = Path("/opt/rolecall"), Path("/opt/aws-cli")
_SYSTEM = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_PYTHON = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


def prepare_layers() -> dict[str, Path]:
    """Make what takes minutes, once: all layers but that of this checkout."""
    return {
        "base": base(),
        "server": environment("server", _OURS),
        "agent": environment("agent", _OURS),
        "aws-cli": environment("aws-cli", _AWS, without=("examples",)),
    }


def write_images(archive: Path) -> None:
    """Write all images into one archive, with the packages of this checkout as they are now."""
    layers = prepare_layers()
    lowest = layers["base"]
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        ours = project(Path(folder), _OURS)
        client = [lowest, layers["server"], layers["aws-cli"]]
        path = f"{_OURS}/bin:{_AWS}/bin:{_SYSTEM}"
        images = [
            _side(SERVER_IMAGE, "server", [lowest, layers["server"], ours]),
            _side(AGENT_IMAGE, "agent", [lowest, layers["agent"], ours]),
            Image(CLIENT_IMAGE, client, command=["sleep", "infinity"], environment={"PATH": path}),
        ]
        write_archive(archive, images)


def _side(name: str, side: str, layers: list[Path]) -> Image:
    """Return an image as the Dockerfile ends it."""
    return Image(
        name,
        layers,
        entrypoint=["rolecall"],
        command=[side, "--help"],
        environment={"PATH": f"{_OURS}/bin:{_SYSTEM}", **_PYTHON},
        user="60980:60980",
    )
