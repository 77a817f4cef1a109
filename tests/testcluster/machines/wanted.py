"""What a computer needs so that it can be nodes, beside what is built."""

import os
import shutil

from testcluster.machines.cgroups import is_version_1
from testcluster.machines.settings import PLUGINS
from testcluster.tools import search_path

# Programs by the Debian packages that have them.
_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "conntrack": "conntrack",
    "nft": "nftables",
    "ip": "iproute2",
    "sysctl": "procps",
    "unshare": "util-linux",
    "curl": "curl",
}


def lacking() -> str | None:
    """Return why there can be no real nodes on this computer, or nothing if there can."""
    if os.geteuid() != 0:
        return "real nodes need root"
    packages = {
        package
        for program, package in _PROGRAMS.items()
        if shutil.which(program, path=search_path()) is None
    }
    if not (PLUGINS / "ptp").exists():
        packages.add("containernetworking-plugins")
    if packages:
        return f"real nodes need Debian's {', '.join(sorted(packages))}"
    if not is_version_1():
        return "real nodes need control groups of version 1 below /sys/fs/cgroup"
    return None
