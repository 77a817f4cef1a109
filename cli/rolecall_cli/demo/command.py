"""The command line of `rolecall demo`, and the order in which things are opened and closed."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path

from rolecall_cli.demo.keep import keep
from rolecall_cli.demo.layout import Layout, free_ports, write
from rolecall_cli.demo.loopback import NODE_ADDRESS as LOOPBACK_ADDRESS
from rolecall_cli.demo.loopback import LoopbackNode
from rolecall_cli.demo.processes import DemoError
from rolecall_cli.demo.stage import Node, Stage, cluster
from rolecall_cli.demo.story import Story
from rolecall_cli.lab import NODE_ADDRESS, LabError, LabNode
from rolecall_cli.lab.addresses import POD_NETWORK
from rolecall_common.callbacks import Bugs
from rolecall_common.exit_code import Exit
from rolecall_warden.settings import RedirectSettings

DESCRIPTION = """\
Shows Rolecall at work on this machine: moto's STS, a server, an agent, and pods that run boto3 as
it comes. Needs no root, no cluster and no AWS account, and leaves nothing behind."""
# Where the warden leads requests to, unless it is told otherwise.
ENDPOINT = (str(RedirectSettings().endpoint_ipv4), RedirectSettings().endpoint_port)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument(
        "--keep", action="store_true", help="leave it running until Ctrl-C, with lines to try"
    )
    parser.add_argument(
        "--no-lab",
        action="store_true",
        help="make the pods addresses of loopback, even where network namespaces are to be had",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 0 when everything was as it should be, else 1."""
    root = Path(tempfile.mkdtemp(prefix="rolecall-demo-"))
    bugs = Bugs()
    try:
        problem = _run(root, options, bugs)
    except asyncio.CancelledError:
        problem = bugs.first
        if problem is None:
            shutil.rmtree(root)
            return 0 if options.keep else Exit.INTERRUPTED
    if problem is not None:
        sys.stderr.write(f"rolecall demo: {problem}; the logs are in {root}\n")
        return 1
    shutil.rmtree(root)
    return 0


def _run(root: Path, options: argparse.Namespace, bugs: Bugs) -> BaseException | None:
    """Run the demo to its end; return what went wrong where it did."""
    problem: BaseException | None = None
    try:
        asyncio.run(_until_stopped(root, options, bugs))
    except* (DemoError, LabError) as errors:
        problem = errors
        while isinstance(problem, BaseExceptionGroup):
            problem = problem.exceptions[0]
    return problem


async def _until_stopped(root: Path, options: argparse.Namespace, bugs: Bugs) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 -- a coroutine runs in a task
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    bugs.end_by(task.cancel)
    await _demo(root, options)


async def _demo(root: Path, options: argparse.Namespace) -> None:
    start = time.monotonic()
    async with (
        _node(root, no_lab=options.no_lab) as (node, layout, environment),
        Stage.opened(node, layout, environment) as stage,
    ):
        took = time.monotonic() - start
        _say(f"STS, a server, an agent and {len(stage.pods)} pods are up after {took:.1f} s.\n")
        await Story(stage, _say).tell()
        if options.keep:
            await keep(stage, _say)
    _say(f"All as it should be, in {time.monotonic() - start:.1f} s. Nothing is left running.")


@asynccontextmanager
async def _node(
    root: Path, *, no_lab: bool
) -> AsyncGenerator[tuple[Node, Layout, Mapping[str, str]]]:
    """Open the lab where it is to be had, else a node on loopback."""
    async with contextlib.AsyncExitStack() as exits:
        reason = "as asked"
        try:
            lab = None if no_lab else await exits.enter_async_context(LabNode.opened())
        except LabError as error:
            lab, reason = None, str(error)
        if lab is not None:
            _say("Each pod is a network namespace, and asks the real 169.254.169.254:")
            _say("the warden's rules lead its requests to the agent, and nowhere else.")
            yield lab, lab_layout(root), {}
            return
        _say(f"Each pod is an address of loopback with a forwarder ({reason}).")
        layout, port = _loopback_layout(root)
        node = await exits.enter_async_context(LoopbackNode.opened(port, layout.metadata[1]))
        yield node, layout, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{{address}}:{port}"}


def lab_layout(root: Path) -> Layout:
    sts, server, server_admin, agent_admin = free_ports(4)
    layout = Layout(
        root=root,
        node_address=NODE_ADDRESS,
        pod_network=POD_NETWORK,
        metadata=ENDPOINT,
        has_warden=True,
        sts_port=sts,
        server_port=server,
        server_admin_port=server_admin,
        agent_admin_port=agent_admin,
    )
    write(layout, examples(), [])
    return layout


def _loopback_layout(root: Path) -> tuple[Layout, int]:
    sts, server, server_admin, agent_admin, agent, forwarders = free_ports(6)
    layout = Layout(
        root=root,
        node_address=LOOPBACK_ADDRESS,
        pod_network=IPv4Network("127.77.0.0/16"),
        metadata=(str(LOOPBACK_ADDRESS), agent),
        sts_port=sts,
        server_port=server,
        server_admin_port=server_admin,
        agent_admin_port=agent_admin,
    )
    shutil.copytree(examples(), layout.manifests)
    # A pod names its forwarder as host, which is not an address that the agent has.
    hosts = [f"{pod.addresses[0]}:{forwarders}" for pod in cluster(layout).pods]
    write(layout, examples(), hosts)
    return layout, forwarders


def examples() -> Path:
    """Return the manifests that come with Rolecall: in its wheel, or in its checkout."""
    here = Path(__file__).resolve()
    for candidate in (here.parent / "examples", here.parents[3] / "examples"):
        if candidate.is_dir():
            return candidate
    raise DemoError("the examples are not here: run it from a checkout, or install the wheel anew")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
