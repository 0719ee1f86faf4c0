from datetime import datetime, timedelta
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.series import Pattern
from sync_ui.errors import Invalid

NEW_YORK = "America/New_York"
MONDAY = datetime(2026, 7, 6, 10)
FOREVER = datetime(2032, 1, 1)


def pattern(rule: str, starts: datetime = MONDAY, **more: Any) -> Pattern:
    return Pattern(rule, starts, NEW_YORK, **more)


def every(found: Pattern) -> list[datetime]:
    return found.by_rule(found.starts, FOREVER)


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    days = draw(st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), max_size=4))
    by_day = f";BYDAY={','.join(sorted(days))}" if days else ""
    rule = draw(
        st.sampled_from(
            [
                *[f"FREQ=WEEKLY{by_day}", f"FREQ=WEEKLY;INTERVAL=3{by_day};WKST=SU"],
                *[
                    f"FREQ=DAILY{by_day}",
                    "FREQ=DAILY;INTERVAL=4",
                    f"FREQ=WEEKLY;INTERVAL=2{by_day}",
                ],
                *["FREQ=MONTHLY", "FREQ=MONTHLY;INTERVAL=2;BYDAY=2TU", "FREQ=YEARLY"],
            ]
        )
    )
    end = draw(
        st.sampled_from(
            [
                *["", ";COUNT=1", ";COUNT=9", ";UNTIL=20261101", ";UNTIL=20271231"],
                *[";UNTIL=20270106T150000Z", ";UNTIL=20261005T100000"],
            ]
        )
    )
    return pattern(rule + end, MONDAY + timedelta(days=draw(st.integers(0, 20))))


@given(found=patterns(), number=st.integers(0, 40))
def test_the_two_parts_of_a_series_are_the_whole(found: Pattern, number: int) -> None:
    walls = every(found)
    at = walls[number % len(walls)]

    before, since = found.before(at), found.since(at)

    assert every(before) == [wall for wall in walls if wall < at]
    assert every(since) == [wall for wall in walls if wall >= at]
    assert every(found.until(at)) == [wall for wall in walls if wall <= at]


@given(
    found=patterns(),
    number=st.integers(0, 40),
    days=st.integers(-20, 20),
    hours=st.integers(-9, 13),
)
def test_daily_and_weekly_turns_move_by_as_much(
    found: Pattern, number: int, days: int, hours: int
) -> None:
    if found.rule.startswith(("FREQ=MONTHLY", "FREQ=YEARLY")):
        days = 0
    walls = every(found)
    by = timedelta(days=days, hours=hours)
    if (walls[0] + by).date() != walls[0].date() + timedelta(days=days):
        by = timedelta(days=days)

    moved, mapping = found.moved(
        walls[number % len(walls)], walls[number % len(walls)] + by, NEW_YORK, all_day=False
    )

    assert every(moved)[: len(walls)] == [wall + by for wall in walls if wall + by < FOREVER]
    assert [mapping(wall) for wall in walls] == [wall + by for wall in walls]


@given(
    first=st.integers(1, 28),
    to=st.integers(1, 28),
    interval=st.integers(1, 5),
    months=st.integers(-3, 3),
    number=st.integers(0, 8),
)
def test_the_turn_of_a_month_is_on_another_day_of_its_month(
    first: int, to: int, interval: int, months: int, number: int
) -> None:
    found = pattern(f"FREQ=MONTHLY;INTERVAL={interval};COUNT=9", MONDAY.replace(day=first))
    walls = every(found)
    expected = []
    for wall in walls:
        year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
        expected.append(datetime(year, month + 1, to, 11))

    moved, mapping = found.moved(walls[number], expected[number], NEW_YORK, all_day=False)

    assert every(moved) == expected
    assert [mapping(wall) for wall in walls] == expected


@given(
    place=st.sampled_from([1, 2, 3, 4, -1]),
    days=st.integers(-6, 6),
    number=st.integers(0, 11),
)
def test_the_nth_weekday_of_a_month_stays_one(place: int, days: int, number: int) -> None:
    rule = f"FREQ=MONTHLY;BYDAY={place}TU"
    starts = rrulestr(rule, dtstart=MONDAY)[0]
    walls = every(pattern(f"{rule};COUNT=12", starts))
    to = walls[number] + timedelta(days=days)

    moved, _ = pattern(f"{rule};COUNT=12", starts).moved(walls[number], to, NEW_YORK, all_day=False)

    after = every(moved)
    months = (to.year - walls[number].year) * 12 + to.month - walls[number].month
    assert after[number] == to
    assert {wall.weekday() for wall in after} == {to.weekday()}
    assert [each.year * 12 + each.month - months for each in after] == [
        each.year * 12 + each.month for each in walls
    ]


def test_exceptions_and_additions_move_along() -> None:
    found = pattern(
        "FREQ=WEEKLY;COUNT=3",
        exceptions=(datetime(2026, 7, 13, 10),),
        additions=(datetime(2026, 7, 15, 9),),
    )

    moved, _ = found.moved(MONDAY, datetime(2026, 7, 7, 11), NEW_YORK, all_day=False)

    walls = moved.walls(MONDAY, FOREVER)
    assert [f"{wall:%m-%d %H:%M}" for wall in walls] == [
        "07-07 11:00",
        "07-16 10:00",
        "07-21 11:00",
    ]


def test_a_series_goes_with_its_exceptions_and_additions_when_it_is_cut() -> None:
    additions = (datetime(2026, 7, 8, 9), datetime(2026, 7, 29, 9))
    exceptions = (datetime(2026, 7, 13, 10), datetime(2026, 7, 27, 10))
    found = pattern("FREQ=WEEKLY;COUNT=4", exceptions=exceptions, additions=additions)
    at = datetime(2026, 7, 20, 10)

    before, since = found.before(at), found.since(at)

    assert before.walls(MONDAY, FOREVER) == [MONDAY, additions[0]]
    assert since.walls(MONDAY, FOREVER) == [at, additions[1]]


def test_a_series_cannot_begin_anew_with_an_added_turn() -> None:
    added = datetime(2026, 7, 8, 9)
    found = pattern("FREQ=WEEKLY", additions=(added,))

    with pytest.raises(Invalid):
        found.since(added)


def test_an_all_day_series_keeps_its_midnights() -> None:
    midnight = datetime(2026, 7, 6)
    found = pattern("FREQ=WEEKLY;UNTIL=20260720T000000Z", midnight, all_day=True)

    moved, _ = found.moved(midnight, datetime(2026, 7, 7), NEW_YORK, all_day=True)

    assert [f"{wall:%m-%d %H:%M}" for wall in every(moved)] == [
        *["07-07 00:00", "07-14 00:00", "07-21 00:00"]
    ]


def test_the_start_time_in_the_rule_moves_along() -> None:
    found = pattern("FREQ=DAILY;COUNT=2;BYHOUR=10;BYMINUTE=0;BYSECOND=0")

    moved, _ = found.moved(MONDAY, MONDAY.replace(hour=14), NEW_YORK, all_day=False)

    assert moved.rule == "FREQ=DAILY;COUNT=2"


@pytest.mark.parametrize(
    ("rule", "starts", "to", "expected"),
    [
        (
            "FREQ=MONTHLY;BYMONTHDAY=15;COUNT=3",
            datetime(2026, 12, 15, 10),
            datetime(2026, 12, 16, 10),
            ["12-16 10:00", "01-16 10:00", "02-16 10:00"],
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=28;COUNT=3",
            datetime(2026, 12, 28, 10),
            datetime(2026, 12, 31, 9),
            ["12-31 09:00", "01-31 09:00", "02-28 09:00"],
        ),
        (
            "FREQ=MONTHLY;BYDAY=2TU;UNTIL=20270309",
            datetime(2026, 12, 8, 10),
            datetime(2026, 12, 9, 10),
            ["12-09 10:00", "01-13 10:00", "02-10 10:00", "03-10 10:00"],
        ),
        (
            "FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1;COUNT=3",
            datetime(2026, 11, 27, 10),
            datetime(2026, 11, 26, 10),
            ["11-26 10:00", "12-31 10:00", "01-28 10:00"],
        ),
        (
            "FREQ=YEARLY;UNTIL=20280601",
            datetime(2026, 12, 24, 10),
            datetime(2027, 1, 2, 10),
            ["01-02 10:00", "01-02 10:00"],
        ),
    ],
)
def test_a_month_or_a_year_keeps_its_turn(
    rule: str, starts: datetime, to: datetime, expected: list[str]
) -> None:
    moved, _ = pattern(rule, starts).moved(starts, to, NEW_YORK, all_day=False)

    assert [f"{wall:%m-%d %H:%M}" for wall in every(moved)] == expected


A_DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("rule", "starts", "by"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=28", datetime(2026, 11, 28, 10), A_DAY),
        ("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1", MONDAY, A_DAY),
        ("FREQ=MONTHLY;BYMONTHDAY=1", MONDAY, A_DAY),
        ("FREQ=DAILY;BYHOUR=10;BYMINUTE=0,30", MONDAY, timedelta(hours=1)),
        ("FREQ=WEEKLY;BYMONTH=7,8", MONDAY, A_DAY),
        ("FREQ=YEARLY", datetime(2028, 2, 28, 10), A_DAY),
        ("FREQ=YEARLY;BYYEARDAY=187", MONDAY, A_DAY),
    ],
)
def test_what_cannot_be_moved_is_refused(rule: str, starts: datetime, by: timedelta) -> None:
    with pytest.raises(Invalid):
        pattern(rule, starts).moved(starts, starts + by, NEW_YORK, all_day=False)
