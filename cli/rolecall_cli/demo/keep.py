"""What can be tried while the demo is left running."""

import asyncio
import shlex
from collections.abc import Callable
from pathlib import Path

from rolecall_cli.demo.pods import DemoPod
from rolecall_cli.demo.stage import Stage

ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"


async def keep(stage: Stage, say: Callable[[str], None]) -> None:
    """Print the lines to try, and wait until somebody ends the demo."""
    pod = next(pod for pod in stage.pods if pod.pod.name.startswith("orders"))
    inside = _script(stage, pod)
    endpoint = stage.settings_of(pod.pod).get(ENDPOINT, "http://169.254.169.254")
    roles = f"{endpoint}/latest/meta-data/iam/security-credentials/"
    say("It stays up until Ctrl-C. Try, in another terminal:\n")
    say(f"  # {pod.name}: its role, its credentials, and who it is")
    say(f"  {inside} curl -s {roles}")
    say(f"  {inside} curl -s {roles}orders-reader")
    say(f"  {inside} aws sts get-caller-identity")
    say("\n  # change a role, scale a Deployment, and ask again")
    say(f"  ${{EDITOR:-vi}} {stage.layout.manifests / 'toolbox.yaml'}")
    say("\n  # what the server and the agent say")
    say(f"  tail -f {stage.layout.root}/*.log {stage.layout.root}/*.jsonl\n")
    await asyncio.Event().wait()


def _script(stage: Stage, pod: DemoPod) -> Path:
    """Write a small script that runs a command as the pod would, and return its path."""
    path = stage.layout.root / "as-pod"
    environment = [f"{name}={text}" for name, text in stage.settings_of(pod.pod).items()]
    command = stage.node.command("env", "-i", *environment, pod=pod.pod.name)
    # Nothing of the user's own environment: keys of his there would win over the pod's role.
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} PATH="$PATH" TERM="$TERM" "$@"\n')
    path.chmod(0o700)
    return path
