"""What a restarted agent still knows."""

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_agent.witness.entries import Binding
from rolecall_agent.witness.observation import LinkId
from rolecall_agent.witness.state_file import Scope, StateFile, decode, encode
from rolecall_proto.values import PodUid

BOOT = Scope("boot-1", 4026531840)
BINDINGS = {
    ip_address("10.0.0.1"): Binding(PodUid("u1"), LinkId(7, 99)),
    ip_address("fd00::1"): Binding(PodUid("u1"), LinkId(7, 99)),
}


def test_a_state_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Also by another process: through the file."""
    path = tmp_path / "state"
    StateFile(path, BOOT).save(BINDINGS)

    assert StateFile(path, BOOT).load() == BINDINGS
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("other", [Scope("boot-2", 4026531840), Scope("boot-1", 1)])
def test_a_state_file_of_another_scope_is_none(other: Scope) -> None:
    """After a reboot, and in another network namespace, numbers of links mean something else."""
    assert decode(encode(BINDINGS, BOOT), other) is None


@pytest.mark.parametrize(
    "damage",
    [
        (b"u1", b""),
        (b"10.0.0.1", b"nowhere"),
        (b":2,", b":1,"),
        (b'"u1",7', b'"u1",0'),
        (b'"u1",7', b'"u1","7"'),
        (b'"u1",7,99', b'"u1",7,-1'),
        (b'"u1",7,99', b'"u1",7'),
        (b"[[", b"["),
        (b'"bindings":[', b'"bindings":[3,'),
        (b"{", b""),
    ],
)
def test_a_damaged_state_file_is_none(damage: tuple[bytes, bytes]) -> None:
    """As a whole: what is left of it would be as doubtful."""
    data = encode(BINDINGS, BOOT)
    damaged = data.replace(*damage, 1)

    assert damaged != data
    assert decode(damaged, BOOT) is None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_reading_a_state_file_survives_any_bytes(data: bytes) -> None:
    """It is on a disk that others may have encode to."""
    decode(data, BOOT)


def test_no_state_file_is_no_error(tmp_path: Path) -> None:
    """Neither the first start, nor an agent that keeps none."""
    assert StateFile(tmp_path / "absent", BOOT).load() is None
    nowhere = StateFile(None, BOOT)
    nowhere.save(BINDINGS)
    assert nowhere.load() is None


def test_a_state_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """And leaves no draft behind."""
    with pytest.raises(OSError, match="absent"):
        StateFile(tmp_path / "absent" / "state", BOOT).save(BINDINGS)
