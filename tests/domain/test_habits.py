from datetime import UTC, datetime, timedelta

import pytest

from sync_ui.domain import habits

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lasted", "count", "days", "words"),
    [
        ({}, 1, 1, "once"),
        ({"hours": 7}, 2, 1, "twice"),
        ({"seconds": 20}, 3, 1, "several times a minute"),
        ({"minutes": 2}, 3, 1, "about every minute"),
        ({"minutes": 60}, 5, 1, "about every 15 minutes"),
        ({"hours": 3}, 4, 1, "about every hour"),
        ({"hours": 12}, 4, 1, "about every 4 hours"),
        ({"days": 9}, 10, 10, "about every day"),
        ({"days": 9, "hours": 5}, 20, 8, "about every 12 hours"),
        ({"days": 29}, 30, 5, "on 5 of 30 days"),
        ({"days": 8}, 5, 5, "about every 2 days"),
    ],
)
def test_how_often_somebody_reads_has_words(
    lasted: dict[str, float], count: int, days: int, words: str
) -> None:
    last_at = MONDAY + timedelta(**lasted)

    assert habits.rhythm(MONDAY, last_at, count=count, days=days) == words


@pytest.mark.parametrize(
    ("lasted", "days", "quiet", "fell"),
    [
        (2, 3, 3, True),
        (2, 2, 3, True),
        (6, 4, 40, True),
        (2, 3, 2.9, False),
        (2, 1, 3, False),
        (6, 3, 3, False),
        (1, 2, 3, False),
        (0, 1, 3, False),
    ],
)
def test_who_read_on_most_of_three_days_and_then_not_for_three_fell_silent(
    lasted: int, days: int, quiet: float, fell: bool
) -> None:
    last_at = MONDAY + timedelta(days=lasted)
    now = last_at + timedelta(days=quiet)

    assert habits.fell_silent(MONDAY, last_at, days=days, now=now) == fell
