"""SDKs as they come against what a metadata service rarely does: late answers, short sessions.

What every client sees alike is in test_lab.py. Here STS is the strict one, which takes a call only
if it is signed with credentials that it gave and that have not ended.
"""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from lab import programs
from lab.rig import ROLES, Told
from lab.strict import StrictRig, strict_rig
from rolecall_cli.lab import LabError

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMESPACES = """
kind: Namespace
metadata: {name: shop, annotations: {iam.amazonaws.com/permitted: '.*:role/shop-.*'}}
---
kind: Namespace
metadata:
  name: strict
  annotations: {iam.amazonaws.com/permitted: '.*', iam.amazonaws.com/imdsv2: required}
"""
# Seconds that STS takes. Go's SDK waits for less, and then asks again; the others ask once.
LATE, SOON = {"go": 0.5}, 0.2
# On a busy machine a program may be slower than its credentials, or they than the hold.
ATTEMPTS = 5
SHORT = 5.0  # seconds
LIMIT = 60.0  # seconds; a test that waits longer has lost


def manifest(name: str, namespace: str = "shop") -> str:
    return f"""
kind: Pod
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {{iam.amazonaws.com/role: shop-{name}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[StrictRig]:
    """One node for all tests: each has pods of its own."""
    settings = {"reportedEarly": "0s", "allowShortSessions": True}
    try:
        async with strict_rig(tmp_path_factory.mktemp("sdks"), **settings) as opened:
            await opened.apply("namespaces", NAMESPACES)
            await opened.apply("strict", manifest("strict", "strict"))
            yield opened
    except LabError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest.fixture(params=programs.PROGRAMS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        programs.command(name)
    except programs.NoProgramError as error:
        pytest.skip(str(error))
    return name


async def test_credentials_that_come_late_are_waited_for(node: StrictRig, client: str) -> None:
    """A program that asks before its pod is known, and its role with STS, has them all the same."""
    for attempt in range(ATTEMPTS):
        name = f"late-{client}-{attempt}"
        address = f"10.77.{200 + attempt}.{programs.PROGRAMS.index(client) + 1}"
        await node.add_other(name, address)
        before = await node.holds()
        async with node.weather(latency=LATE.get(client, SOON)):
            told = await asked_early(node, client, name, address)
        held = await node.has_held(before)
        if told.role and held:
            break

    assert told.role == f"shop-{name}"
    assert held


async def asked_early(node: StrictRig, client: str, name: str, address: str) -> Told:
    """Let a program ask in a pod, and write the pod's manifest then."""
    async with node.program(client, name) as program:
        asking = asyncio.create_task(program.ask(), name="ask")
        await asyncio.sleep(0)  # The task has told the program by then.
        node.write(name, manifest(name) + f"status: {{podIP: {address}}}\n")
        return await asking


# boto3 keeps what has less than a quarter of an hour left for some minutes more, whatever is new.
@pytest.mark.parametrize("client", ["go", "js", "curl"], indirect=True)
async def test_credentials_are_renewed_under_a_running_program(
    node: StrictRig, client: str
) -> None:
    """It goes on with new ones by the end that it was told of the old ones, as the same role."""
    name = f"short-{client}"
    async with node.weather(longest=SHORT):
        await node.apply(name, manifest(name))
        await node.until(name, f"shop-{name}")
        async with node.program(client, name) as program:
            told = [await program.ask()]
            async with asyncio.timeout(LIMIT):
                while told[-1].key == told[0].key:
                    await asyncio.sleep(0.1)
                    told.append(await program.ask())
        node.delete(name)

    assert {each.role for each in told} == {f"shop-{name}"}


async def test_a_namespace_may_require_tokens(node: StrictRig, client: str) -> None:
    """SDKs ask with one as they are; who asks without one has nothing."""
    role = await node.role(client, "strict")
    (bare,) = await node.ask("strict", ("GET", ROLES))

    assert role == "shop-strict"
    assert bare["status"] == 401
