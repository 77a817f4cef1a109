"""The sign of life between two processes of a pod."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from core.junk import changed, documents
from rolecall_common.guards import Endpoint, Guard
from rolecall_common.heartbeat_file import (
    Condition,
    Heartbeat,
    HeldError,
    evaluate,
    hold,
    parse,
    read,
    stamp_path,
)

HOLDER = """
import sys, time
from pathlib import Path
from rolecall_common.heartbeat_file import Condition, Heartbeat, hold
with hold(Path(sys.argv[1])) as file:
    file.write(Heartbeat(100.0, 10.0, Condition.IN_PLACE))
    print("beating", flush=True)
    time.sleep(60)
"""


def heartbeat(at: float = 100.0, condition: Condition = Condition.IN_PLACE) -> Heartbeat:
    counted = {"dropped": dict.fromkeys(Guard, 5), "lost": {Endpoint.METADATA: 1}}
    blocked = (Endpoint.METADATA,) if condition is Condition.BLOCKED else ()
    return Heartbeat(at, 10.0, condition, generation=3, repairs=2, blocked=blocked, **counted)


def stamp(each: Heartbeat) -> bytes:
    return json.dumps({name: getattr(each, name) for name in Heartbeat.__slots__}).encode()


def test_a_held_lock_and_a_fresh_stamp_are_well(tmp_path: Path) -> None:
    """Both sides of it: what is written is read."""
    with hold(tmp_path / "warden") as file:
        file.write(heartbeat())
        health = read(tmp_path / "warden", now=120.0)

    assert health.ok
    assert health.heartbeat == heartbeat()


def test_a_stamp_older_than_two_periods_is_not_well(tmp_path: Path) -> None:
    """Somebody who hangs keeps the lock and not the stamp."""
    with hold(tmp_path / "warden") as file:
        file.write(heartbeat())
        health = read(tmp_path / "warden", now=120.1)

    assert not health.ok
    assert health.reason == "it has not been heard for 0:00:20"


def test_a_lock_that_nobody_holds_is_not_well(tmp_path: Path) -> None:
    """However fresh the stamp: its writer is gone."""
    with hold(tmp_path / "warden") as file:
        file.write(heartbeat())

    assert read(tmp_path / "warden", now=100.0).reason == "it is gone"


def test_a_killed_holder_is_seen_at_once(tmp_path: Path) -> None:
    """The kernel lets the lock go with its process, and not before."""
    path = tmp_path / "warden"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:  # noqa: S603 - our own
        assert holder.stdout is not None
        holder.stdout.readline()
        alive = read(path, now=101.0)
        with pytest.raises(HeldError), hold(path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

    assert alive.ok
    assert not read(path, now=101.0).ok


def test_reading_takes_the_lock_from_nobody(tmp_path: Path) -> None:
    """Whoever asks holds nothing meanwhile: a warden that starts is never refused by its agent."""
    path = tmp_path / "warden"
    with hold(path):
        pass
    reader = os.open(path, os.O_RDONLY)
    read(path)

    with hold(path):
        os.close(reader)


def test_a_stamp_of_an_earlier_holder_counts_no_more(tmp_path: Path) -> None:
    """A new holder shows itself by a stamp of its own."""
    path = tmp_path / "warden"
    stamp_path(path).write_bytes(stamp(heartbeat()))
    with hold(path):
        assert read(path, now=101.0).reason == "it has not shown itself yet"


def test_nothing_there_is_not_well(tmp_path: Path) -> None:
    """Neither the file nor its folder has to be there."""
    assert read(tmp_path / "none" / "warden").reason == "it has not shown itself yet"


@pytest.mark.parametrize(
    "condition", [Condition.SUPERSEDED, Condition.FAILING, Condition.BLOCKED, Condition.WAITING]
)
def test_what_its_writer_says_counts(condition: Condition) -> None:
    """A warden that lives and cannot do its work is not well."""
    health = evaluate(stamp(heartbeat(condition=condition)), held=True, now=100.0)

    assert not health.ok
    assert health.reason == condition
    assert health.current


@pytest.mark.parametrize("count", ["-1", "1e30", "1e999", '"x"', "{}"])
def test_a_count_that_no_metric_could_be_is_no_stamp(count: str) -> None:
    """It would make every scrape of the agent fail."""
    for known in (b'"forged": 5', b'"metadata": 1', b'"repairs": 2'):
        assert known in stamp(heartbeat())
        name = known.partition(b":")[0]
        assert parse(stamp(heartbeat()).replace(known, name + b":" + count.encode())) is None


def test_a_stamp_from_the_future_is_of_another_boot() -> None:
    """The monotonic clock begins anew with the machine."""
    assert evaluate(stamp(heartbeat()), held=True, now=99.0).reason == "its stamp is not of now"


@given(changed(stamp(heartbeat())) | documents([*Heartbeat.__slots__]))
def test_any_bytes_are_a_stamp_or_none(text: bytes) -> None:
    """Whatever stands in the file, a reader goes on; only what a fresh stamp says is well."""
    health = evaluate(text, held=True, now=110.0)

    if health.ok:
        assert health.heartbeat is not None
        assert 110.0 - 2 * health.heartbeat.period <= health.heartbeat.at <= 110.0
        assert health.heartbeat.condition in {Condition.IN_PLACE, Condition.READY}
    else:
        assert health.reason


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "null", "[]", '"x"'])
def test_a_moment_that_is_none_is_no_stamp(value: str) -> None:
    """A comparison with such a number could say anything."""
    text = stamp(heartbeat()).replace(b"100.0", value.encode())

    assert parse(text) is None
