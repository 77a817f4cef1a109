"""What is said of kubelets that tell less of their pods than others."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fakes.engine import pod
from rolecall_server.kube.informer.kubelets import SandboxNotice

OLD = replace(pod("old"), started_at=datetime(2026, 12, 1, tzinfo=UTC))
NEW = replace(pod("new"), started_at=OLD.started_at, posts_sandbox=True)


def test_kubelets_that_tell_of_no_sandbox_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """Operators should know what the binding of addresses rests on."""
    notice = SandboxNotice()
    assert notice.listed([OLD]).pods == (OLD,)
    notice.listed([OLD])

    [record] = caplog.records
    assert "kubelets post no condition" in record.message


@pytest.mark.parametrize("pods", [[], [pod("waits")], [OLD, NEW]])
def test_nothing_is_said_where_some_kubelet_tells(
    pods: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    """Or where nothing has started yet."""
    SandboxNotice().listed(pods)  # type: ignore[arg-type]  # pods, all of them

    assert not caplog.records
