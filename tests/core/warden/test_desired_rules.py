"""When a warden leads pods to the agent of its own pod, and with which generation."""

import asyncio
import os
from pathlib import Path

from core.warden.rig import settings
from rolecall_common import endpoint_file
from rolecall_common.settings.types import Raw
from rolecall_warden import rules, table_comments
from rolecall_warden.desired_rules import DesiredRules
from rolecall_warden.file_changes import names, watching

NOW = 1_800_000_000


def desired(pod: Path, now: float = NOW, **flags: Raw) -> DesiredRules:
    """Return what a warden of the pod with that directory begins with."""
    pod.mkdir(exist_ok=True)
    files = {"endpoint_file": str(pod / "endpoint"), "health_file": str(pod / "warden")}
    return DesiredRules(settings(**files, **flags), lambda: now)


def test_without_a_file_the_port_is_the_one_that_is_set() -> None:
    """Nothing is waited for, and nothing ever changes."""
    fixed = DesiredRules(settings(endpoint_port="9000", generation="7"), lambda: NOW)

    assert not fixed.waits
    assert not fixed.update(None)
    assert fixed.ruleset == rules.render(settings(endpoint_port="9000", generation="7"))


def test_until_the_agent_is_warm_there_are_the_guards_alone(tmp_path: Path) -> None:
    """They are nobody's: any warden that has a redirect may put its rules in their place."""
    waiting = desired(tmp_path)
    changed = waiting.update(None)

    assert not changed
    assert waiting.waits
    assert "dnat ip" not in waiting.ruleset.text
    assert waiting.ruleset.comments.generation == 0
    # Its own table it keeps in order.
    assert not waiting.leaves_alone(waiting.ruleset.text)
    assert not waiting.leaves_alone(None)


def test_rules_that_lead_pods_somewhere_are_left_alone_until_then(tmp_path: Path) -> None:
    """Whatever their generation: an older agent is warm, and ours is not."""
    for generation in ("0", "9"):
        older = rules.render(settings(generation=generation)).text
        assert desired(tmp_path).leaves_alone(older)


def test_a_warm_agent_has_the_redirect(tmp_path: Path) -> None:
    """At its port, and with the time as generation."""
    warm = desired(tmp_path)
    endpoint_file.write(tmp_path / "endpoint", 9805)
    changed = warm.update(None)

    assert changed
    assert not warm.waits
    assert "dnat ip to 169.254.170.169:9805" in warm.ruleset.text
    assert warm.ruleset.comments.generation == NOW
    assert table_comments.parse(warm.ruleset.text) == warm.ruleset.comments
    assert not warm.leaves_alone(rules.render(settings()).text)
    assert not warm.update(None)  # Nothing else is told.


def test_a_new_pod_is_above_whatever_is_there(tmp_path: Path) -> None:
    """Also where the clock was set back since the last one."""
    later = rules.render(settings(generation=str(999_999_999))).text.replace(
        "generation=999999999", f"generation={NOW + 3600}"
    )
    endpoint_file.write(tmp_path / "endpoint", 9803)
    new = desired(tmp_path)
    new.update(later)

    assert new.ruleset.comments.generation == NOW + 3601


def test_an_older_warden_that_starts_again_stays_the_older_one(tmp_path: Path) -> None:
    """Its number is its pod's: else it would take the pods back to an agent that is going."""
    for pod in ("old", "new"):
        begun = desired(tmp_path / pod, NOW if pod == "old" else NOW + 60)
        endpoint_file.write(tmp_path / pod / "endpoint", 9803)
        begun.update(None)
    again = desired(tmp_path / "old", NOW + 120)
    again.update(None)

    assert again.ruleset.comments.generation == NOW
    assert begun.ruleset.comments.generation == NOW + 60


def test_the_redirect_follows_an_agent_to_another_port(tmp_path: Path) -> None:
    """An agent that cannot have its port again is found where it is; the generation stays."""
    led = desired(tmp_path)
    endpoint_file.write(tmp_path / "endpoint", 9803)
    led.update(None)
    endpoint_file.write(tmp_path / "endpoint", 9804)
    changed = led.update(led.ruleset.text)

    assert changed
    assert ":9804" in led.ruleset.text
    assert led.ruleset.comments.generation == NOW


def test_what_is_no_port_is_not_followed(tmp_path: Path) -> None:
    """Whatever stands in the file."""
    led = desired(tmp_path)
    for text in ("", "{", "[]", '{"port": "9803"}', '{"port": 0}', '{"port": true}', "9" * 5000):
        (tmp_path / "endpoint").write_text(text)
        assert not led.update(None)
    (tmp_path / "endpoint").write_bytes(b"\xff\xfe")
    assert not led.update(None)
    (tmp_path / "endpoint").unlink()
    os.mkfifo(tmp_path / "endpoint")  # Whoever opens one for reading may wait for ever.
    assert not led.update(None)
    (tmp_path / "endpoint").unlink()
    (tmp_path / "endpoint").mkdir()
    assert not led.update(None)
    assert led.waits


async def test_a_file_that_is_replaced_is_an_event(tmp_path: Path) -> None:
    """And what else lies beside it is none: the warden's own stamp is written there."""
    changed = asyncio.Event()
    with watching(tmp_path / "endpoint", changed):
        (tmp_path / "draft").write_text("x")
        (tmp_path / "draft").replace(tmp_path / "warden.json")
        for _ in range(3):
            await asyncio.sleep(0)
        told_of_others = changed.is_set()
        endpoint_file.write(tmp_path / "endpoint", 9803)
        async with asyncio.timeout(30):
            await changed.wait()

    assert not told_of_others


def test_events_that_are_cut_off_are_read_as_far_as_they_go() -> None:
    """Nothing that the descriptor could hold raises."""
    event = b"\1\0\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0endpoint" + b"\0" * 8
    for end in range(len(event) * 2):
        assert names((event * 2)[:end]) <= {
            "endpoint",
            "",
            *("endpoint"[:each] for each in range(9)),
        }
    assert names(event) == {"endpoint"}
