"""The image of the first container of each pod, which holds the pod's namespaces and waits."""

from pathlib import Path
from typing import Final

from testcluster.images.archive import Image, write_archive
from testcluster.images.layers import Layer
from testcluster.tools import tool

PAUSE_IMAGE: Final = "rolecall.test/pause:1"


def write_pause_image(archive: Path) -> None:
    """Write an archive with the image: `sleep`, and what it loads."""
    sleep = Path(tool("sleep")).resolve()
    layer = archive.with_suffix(".layer")
    with Layer(layer) as content:
        content.roots()
        content.program(sleep)
    write_archive(archive, [Image(PAUSE_IMAGE, [layer], [str(sleep)], ["infinity"])])
    layer.unlink()
