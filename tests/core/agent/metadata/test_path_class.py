"""Of which class a path is that pods are not told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.decision import PathClass
from rolecall_agent.metadata.path_class import class_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/latest/meta-data/spot", PathClass.SPOT),
        (b"/2021-03-23/meta-data/spot/termination-time", PathClass.SPOT),
        (b"//latest/meta-data/events/maintenance/scheduled", PathClass.EVENTS),
        (b"/latest/meta-data/mac", PathClass.NETWORK),
        (b"/latest/meta-data/network/interfaces/macs/", PathClass.NETWORK),
        (b"/latest/meta-data/tags/instance", PathClass.TAGS),
        (b"/latest/dynamic/instance-identity/pkcs7", PathClass.IDENTITY_DOCUMENT),
        (b"/latest/user-data/", PathClass.USER_DATA),
        (b"/latest/meta-data/spotless", PathClass.OTHER),
        (b"/latest/meta-data/machine", PathClass.OTHER),
        (b"/latest/meta-data/identity-credentials/ec2/info", PathClass.OTHER),
        (b"/", PathClass.OTHER),
    ],
)
def test_a_path_has_the_class_of_its_folder(path: bytes, kind: PathClass) -> None:
    """Whatever the version, and with or without a slash behind it."""
    assert class_of(path) is kind


@given(st.binary(max_size=60))
def test_any_path_is_of_a_class(path: bytes) -> None:
    """Nothing opens a label of its own."""
    assert class_of(path) in PathClass
