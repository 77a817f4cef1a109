"""What is said of requests that no pod can have sent."""

from ipaddress import ip_address

import pytest

from rolecall_agent.metadata.rewritten_sources import REASON, RewrittenSources

HERE = ip_address("10.0.0.1")


def test_each_address_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the reason, and for as many addresses as a node has."""
    sources = RewrittenSources()
    for each in (HERE, HERE, HERE + 1, *(HERE + n for n in range(10_000))):
        sources.note(each)

    assert [each.address for each in caplog.records[:2]] == ["10.0.0.1", "10.0.0.2"]
    assert {each.reason for each in caplog.records} == {REASON}
    assert len(caplog.records) < 1000
