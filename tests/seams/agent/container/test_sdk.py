"""An unmodified boto3 at the container endpoint, by its own two variables."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.container_rig import SDK_SESSION, ContainerRig, container_rig, token
from fakes.container_sdk import SDK, SERVED
from fakes.endpoint_rig import known, pod
from fakes.running import Running, python
from rolecall_proto.values import Reason, State

LONG = timedelta(seconds=60)


@contextlib.asynccontextmanager
async def sdk(rig: ContainerRig, file: Path, **environment: str) -> AsyncGenerator[Running]:
    host = f"[{rig.host}]" if ":" in rig.host else rig.host
    variables = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{host}:{rig.port}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(file.parent),
        **environment,
    }
    async with python("sdk", "-c", SDK, environment=variables) as running:
        yield running


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_boto3_has_the_pods_credentials(tmp_path: Path, host: str) -> None:
    """It takes loopback over plain HTTP; the addresses of nodes are tried in the lab."""
    (tmp_path / "token").write_text(token())
    async with container_rig(LONG, host=host) as rig, sdk(rig, tmp_path / "token") as boto:
        rig.snapshot(*known(pod("10.0.0.1", uid="uid-a"), credentials=SDK_SESSION))

        assert await boto.ended() == 0, boto.err[-1]
        assert boto.out == [SERVED]


@pytest.mark.parametrize("reason", [Reason.NO_ROLE, Reason.NAMESPACE_FORBIDS])
async def test_boto3_has_nothing_where_the_pod_is_denied(tmp_path: Path, reason: Reason) -> None:
    """It asks three times, whatever it is told, and says that it was refused."""
    (tmp_path / "token").write_text(token())
    async with container_rig(LONG) as rig, sdk(rig, tmp_path / "token") as boto:
        rig.snapshot(*known(pod("10.0.0.1", State.DENIED, reason, uid="uid-a")))

        assert await boto.ended() == 1
        assert "CredentialRetrievalError" in boto.err[-1]
        assert rig.served == []


async def test_boto3_waits_for_a_pod_that_is_not_known_yet(tmp_path: Path) -> None:
    """It asks before anything is known, and its first question is answered."""
    (tmp_path / "token").write_text(token())
    async with container_rig(LONG) as rig, sdk(rig, tmp_path / "token") as boto:
        await rig.until_held()
        rig.snapshot(*known(pod("10.0.0.1", uid="uid-a"), credentials=SDK_SESSION))

        assert await boto.ended() == 0, boto.err[-1]
        assert boto.out == [SERVED]
        assert rig.server.counters.requests.total() == 1
