"""Ports that tests take while others run beside them."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from testcluster.ports import free_ports

TAKE = """
import sys
from testcluster.ports import free_ports
print(*free_ports(8, room=7), flush=True)
sys.stdin.read()
"""


def test_no_port_is_given_to_two_processes() -> None:
    """Not even where nobody listens yet, for as long as both of them run."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    given = {port: os.getpid() for port in taken(free_ports(8, room=7))}
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own command line
                    [sys.executable, "-c", TAKE],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert process.stdout is not None
            for port in taken(map(int, process.stdout.readline().split())):
                assert given.setdefault(port, process.pid) == process.pid

    assert len(given) == 4 * 8 * 8


def test_a_process_has_ports_for_ever() -> None:
    """They are given again in time: more than there are can be had, one after the other."""
    for _ in range(1000):
        assert len(free_ports(3)) == 3
        assert len(free_ports(1, room=7)) == 1


def taken(ports: Iterable[int]) -> list[int]:
    """Return each port with those that were asked for after it."""
    return [port + after for port in ports for after in range(8)]
