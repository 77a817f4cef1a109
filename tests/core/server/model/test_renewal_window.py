"""The promise of 26 minutes, and the one place of the numbers that it is reckoned from."""

from datetime import timedelta

from fakes.engine import HOUR, Engine, pod
from rolecall_server.model import renewal_window
from rolecall_server.policy.session_names import Template, arithmetic
from rolecall_server.settings.sessions import SessionSettings


def test_at_its_defaults_a_pod_is_never_told_less_than_26_minutes() -> None:
    """As long as STS answers: what is left at the latest renewal, less what is told early."""
    settings = SessionSettings()

    assert settings.session_duration == HOUR
    assert settings.least_reported_life >= timedelta(minutes=26)


def test_sessions_are_renewed_while_they_have_the_life_that_the_settings_reckon_with() -> None:
    """What is refused at start, by its sum, is what would have come about."""
    settings = SessionSettings()
    engine = Engine()
    engine.list_pods(*(pod(f"p{n}", f"role-{n}") for n in range(100)))
    engine.connect()
    engine.issue()
    end = engine.now + settings.session_duration
    told: list[timedelta] = []
    while len(told) < 100:
        engine.advance_to_next()
        told += [end - engine.now - settings.reported_early for _ in engine.due()]

    assert settings.least_reported_life <= min(told)
    assert min(told) < settings.least_reported_life + timedelta(minutes=1)


def test_the_cost_of_a_template_is_reckoned_with_the_mean_renewal() -> None:
    """A session of each pod is asked for once in that part of its life."""
    pods = 3600
    sentence = arithmetic(Template.parse("{pod}"), pods, 10, HOUR)

    assert renewal_window.EARLIEST < renewal_window.MEAN < renewal_window.LATEST
    assert f"= {1 / renewal_window.MEAN:.1f} calls of STS a second" in (sentence or "")
