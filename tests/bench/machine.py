"""Says which machine the numbers are from, and which of its cores do what."""

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """What is measured has a core to itself; whoever asks, and the STS, are on another."""

    measured: int
    asking: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """Raise RuntimeError where there are not two of them."""
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise RuntimeError("the benchmark needs two cores: one is measured, one asks")
        return cls(measured=usable[0], asking=usable[-1])


def described(cores: Cores) -> str:
    """Return processor, memory, kernel and versions: what a share of nginx may depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    versions = f"{_said('nginx', '-v')}, {_said('wrk', '-v').partition(' [')[0]}"
    return "\n".join(
        [
            f"{os.cpu_count()} x {_processor()}, {memory:.0f} GB, {system}",
            f"Python {platform.python_version()}, {versions}",
            f"measured on core {cores.measured}, asked from core {cores.asking}, where STS is too",
            f"load before the run: {os.getloadavg()[0]:.1f}",
        ]
    )


def _processor() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return str(names[0]) if names else platform.machine()  # arm64 names none.


def _said(program: str, flag: str) -> str:
    """Return the first line that *program* prints for *flag*."""
    command = [path_of(program), flag]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    return (said.stdout + said.stderr).partition("\n")[0].removeprefix("nginx version: ")


def path_of(program: str) -> str:
    """Return where *program* is. Raises RuntimeError naming it where it is not."""
    path = shutil.which(program)
    if path is None:
        raise RuntimeError(f"{program} is missing")
    return path
