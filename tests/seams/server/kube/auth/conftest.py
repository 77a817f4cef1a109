from collections.abc import AsyncGenerator

import pytest

from fakes.authentication import AuthenticatorRig, agent_pod


@pytest.fixture
async def auth() -> AsyncGenerator[AuthenticatorRig]:
    """Give an authenticator whose keys are known, and the pod of one agent."""
    made = AuthenticatorRig()
    made.run_pod(agent_pod())
    async with made.running():
        yield made
