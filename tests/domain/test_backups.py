from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.backups import is_due, is_too_old, kept, kept_former

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # a Monday in New York
MOMENTS = st.lists(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), max_size=60
)


def days_ago(*days: int) -> list[datetime]:
    return [NOON - timedelta(days=each) for each in days]


def test_after_a_year_of_daily_backups_a_week_a_month_and_half_a_year_are_left() -> None:
    standing: set[datetime] = set()
    for day in range(365, -1, -1):
        standing = kept([*standing, NOON - timedelta(days=day)], NEW_YORK)

    week = days_ago(0, 1, 2, 3, 4, 5, 6)
    sundays = days_ago(1, 8, 15)
    ends_of_months = [datetime(2026, month, day, 17, tzinfo=UTC) for month, day in MONTHS]
    assert standing == {*week, *sundays, *ends_of_months}


MONTHS = [(10, 31), (9, 30), (8, 31), (7, 31), (6, 30)]


@given(MOMENTS)
def test_the_latest_is_always_kept_and_never_more_than_seventeen(moments: list[datetime]) -> None:
    found = kept(moments, NEW_YORK)

    assert found <= set(moments)
    assert len(found) <= 7 + 4 + 6
    if moments:
        assert max(moments) in found


@given(MOMENTS)
def test_thinning_out_twice_takes_no_more_than_once(moments: list[datetime]) -> None:
    once = kept(moments, NEW_YORK)

    assert kept(once, NEW_YORK) == once


@given(MOMENTS, st.data())
def test_whoever_thins_out_early_loses_nothing_that_would_be_kept_later(
    moments: list[datetime], data: st.DataObject
) -> None:
    early = sorted(moments)[: data.draw(st.integers(0, len(moments)))]
    late = [moment for moment in moments if moment not in early]

    assert kept([*kept(early, NEW_YORK), *late], NEW_YORK) == kept(moments, NEW_YORK)


def test_of_what_upgrades_have_kept_the_latest_three_stay_and_all_of_a_month() -> None:
    yearly, lively = days_ago(0, 365, 730, 1095), days_ago(0, 1, 9, 30, 31, 32)

    assert kept_former(yearly, NOON) == set(yearly[:3])
    assert kept_former(lively, NOON) == set(lively[:4])
    assert kept_former(yearly[3:], NOON) == set(yearly[3:])
    assert kept_former(days_ago(-400, 40, 41, 42), NOON) == set(days_ago(-400, 40, 41))


@pytest.mark.parametrize(
    ("last", "due"),
    [
        ("2026-11-23T07:30+00:00", False),  # half past two this morning
        ("2026-11-23T06:30+00:00", True),  # half past one
        ("2026-11-22T16:00+00:00", True),
        ("2026-11-26T17:00+00:00", True),  # the clock was set back
    ],
)
def test_it_is_due_after_two_in_the_practices_own_morning(last: str, due: bool) -> None:
    assert is_due(datetime.fromisoformat(last), None, NOON, NEW_YORK) is due


def test_before_two_in_the_morning_yesterdays_is_enough() -> None:
    one_in_the_morning = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    yesterday = datetime(2026, 11, 22, 7, 5, tzinfo=UTC)

    assert is_due(yesterday, None, one_in_the_morning, NEW_YORK) is False
    assert is_due(yesterday, None, one_in_the_morning + timedelta(hours=1), NEW_YORK) is True


def test_one_that_failed_is_tried_again_after_an_hour() -> None:
    yesterday = NOON - timedelta(days=1)

    assert is_due(yesterday, NOON - timedelta(minutes=59), NOON, NEW_YORK) is False
    assert is_due(yesterday, NOON - timedelta(minutes=60), NOON, NEW_YORK) is True


def test_a_new_installation_without_a_backup_is_not_in_danger_yet() -> None:
    assert is_too_old(None, NOON - timedelta(days=2), NOON) is False
    assert is_too_old(None, NOON - timedelta(days=2, minutes=1), NOON) is True
    assert is_too_old(NOON - timedelta(days=3), NOON - timedelta(days=30), NOON) is True
    assert is_too_old(NOON - timedelta(days=1), NOON - timedelta(days=30), NOON) is False
