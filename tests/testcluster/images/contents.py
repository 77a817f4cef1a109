"""What is in the layers: Debian's programs, the running Python, and environments for it."""

import sys
import sysconfig
from pathlib import Path

from testcluster.images.layers import Layer, libraries
from testcluster.tools import tool

# What a shell session in a pod needs, and the clients of the tests.
TOOLS = (
    *("sh", "env", "cat", "ls", "ps", "id", "head", "date", "mkdir", "rm", "tail", "timeout"),
    *("test", "true", "false", "touch", "stat", "grep", "kill"),
    *("sleep", "curl", "ip", "nft", "conntrack"),
)
# What compiled packages take for granted wherever there is a C library.
_LIBRARIES = (
    *("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1"),
    *("libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1", "libstdc++.so.6"),
)
# Neither of use in an image nor small.
_UNWANTED = (
    *("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data"),
    *("site-packages", "dist-packages"),
)


def write_base(layer: Layer) -> None:
    """Write tools and the Python that runs this, each where it is on this computer."""
    layer.roots()
    layer.folder(Path("/tmp"), 0o1777)  # noqa: S108 - the image's
    for folder in ("/etc", "/run", "/proc", "/sys", "/dev", "/root"):
        layer.folder(Path(folder))
    layer.file(Path("/etc/passwd"), b"root:x:0:0::/root:/bin/sh\nnobody:x:65532:65532::/:/bin/sh\n")
    for name in TOOLS:
        layer.program(Path(tool(name)))
    _python(layer)


def base_python() -> Path:
    """Return the Python that this environment was made with."""
    return Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001


def _python(layer: Layer) -> None:
    stdlib = Path(sysconfig.get_path("stdlib"))
    static = (each.name for each in stdlib.glob("config-*"))
    extensions = sorted((stdlib / "lib-dynload").glob("*.so"))
    layer.program(base_python(), *extensions)
    (libc,) = (each for each in libraries([base_python()]) if each.name == "libc.so.6")
    for name in _LIBRARIES:
        # Where one is missing, it is the C library of another system, which has it elsewhere.
        layer.copy(libc.with_name(name), libc.parent.resolve() / name)
    layer.tree(stdlib, stdlib.resolve(), without=[*_UNWANTED, *static])
