"""The two ways to write a time."""

import locale
from datetime import UTC, datetime

from rolecall_agent.http.times import aws_time, http_date


def test_a_date_header_is_english_and_padded() -> None:
    """Whatever the locale of the machine is."""
    assert locale.setlocale(locale.LC_TIME) is not None
    assert http_date(datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)) == "Sun, 01 Mar 2026 01:02:03 GMT"


def test_a_time_of_aws_has_no_fraction() -> None:
    """Botocore's static stability reads the whole-second form only."""
    assert aws_time(datetime(2026, 5, 4, 12, 0, 0, 999_999, tzinfo=UTC)) == "2026-05-04T12:00:00Z"
