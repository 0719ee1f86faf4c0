from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import pytest
from dateutil.rrule import rrulestr
from dateutil.tz import gettz, resolve_imaginary
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_ui.domain.recurrence import MAX_OCCURRENCES, check, expand, in_utc
from sync_ui.domain.rules import MAX_COUNT, normalised
from sync_ui.errors import Invalid

NEW_YORK = "America/New_York"
MONDAY = datetime(2026, 7, 6, 10)


def walls(rule: str, starts: datetime | date = MONDAY, days: int = 3650) -> list[datetime | date]:
    return expand(rule, starts, NEW_YORK, starts, starts + timedelta(days=days))


def days(rule: str, number: int = 5) -> list[str]:
    return [f"{wall:%m-%d}" for wall in walls(rule)[:number]]


@pytest.mark.bar("F8")
def test_a_weekly_ten_oclock_stays_at_ten_when_the_clocks_change() -> None:
    found = walls("FREQ=WEEKLY;COUNT=3", datetime(2026, 3, 1, 10))

    assert found == [datetime(2026, 3, 1, 10), datetime(2026, 3, 8, 10), datetime(2026, 3, 15, 10)]
    assert [in_utc(wall, NEW_YORK).hour for wall in found if isinstance(wall, datetime)] == [
        15,
        14,
        14,
    ]


@pytest.mark.parametrize(
    ("wall", "moment"),
    [
        # Skipped on 8 March: the offset before the gap, so 3:30 on the new clocks.
        (datetime(2026, 3, 8, 2, 30), datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        # Shown twice on 1 November: the first of the two.
        (datetime(2026, 11, 1, 1, 30), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        (datetime(2026, 11, 1, 1, 30, fold=1), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        (datetime(2026, 7, 6, 10), datetime(2026, 7, 6, 14, tzinfo=UTC)),
    ],
)
def test_a_wall_time_is_one_moment_also_when_the_clocks_change(
    wall: datetime, moment: datetime
) -> None:
    assert in_utc(wall, NEW_YORK) == moment


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY", ["07-06", "07-07", "07-08", "07-09", "07-10"]),
        ("FREQ=DAILY;INTERVAL=3", ["07-06", "07-09", "07-12", "07-15", "07-18"]),
        ("FREQ=WEEKLY", ["07-06", "07-13", "07-20", "07-27", "08-03"]),
        ("FREQ=WEEKLY;BYDAY=MO,TH", ["07-06", "07-09", "07-13", "07-16", "07-20"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO", ["07-06", "07-12", "07-20", "07-26", "08-03"]),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU",
            ["07-06", "07-19", "07-20", "08-02", "08-03"],
        ),
        ("FREQ=MONTHLY", ["07-06", "08-06", "09-06", "10-06", "11-06"]),
        ("FREQ=MONTHLY;BYDAY=1MO", ["07-06", "08-03", "09-07", "10-05", "11-02"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", ["07-06", "07-31", "08-28", "09-25", "10-30"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["07-06", "07-31", "08-31", "10-31", "12-31"]),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            ["07-06", "07-31", "08-31", "09-30", "10-30"],
        ),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", ["07-06", "11-26", "11-25", "11-23", "11-22"]),
        ("FREQ=YEARLY;BYDAY=-1SU", ["07-06", "12-27", "12-26", "12-31", "12-30"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["07-06", "05-17", "05-15", "05-14", "05-13"]),
        ("FREQ=YEARLY;BYYEARDAY=-1", ["07-06", "12-31", "12-31", "12-31", "12-31"]),
        ("FREQ=MONTHLY;BYDAY=1MO,FR;COUNT=4", ["07-06", "07-10", "07-17", "07-24"]),
    ],
)
def test_a_rule_falls_on_its_days(rule: str, expected: list[str]) -> None:
    assert days(rule) == expected


def test_the_first_occurrence_counts_although_the_rule_does_not_fall_on_it() -> None:
    assert days("FREQ=WEEKLY;BYDAY=TU;COUNT=3") == ["07-06", "07-07", "07-14"]


def test_without_a_rule_there_is_the_start_alone() -> None:
    assert walls("") == [MONDAY]


def test_exceptions_go_and_additions_come() -> None:
    found = expand(
        "FREQ=WEEKLY;COUNT=3",
        MONDAY,
        NEW_YORK,
        MONDAY,
        MONDAY + timedelta(days=60),
        exceptions=[MONDAY, datetime(2026, 7, 13, 11)],
        additions=[datetime(2026, 7, 8, 9), datetime(2026, 7, 13, 10), datetime(2027, 1, 1)],
    )

    assert found == [datetime(2026, 7, 8, 9), datetime(2026, 7, 13, 10), datetime(2026, 7, 20, 10)]


def test_an_exception_does_not_lengthen_a_counted_series() -> None:
    found = expand("FREQ=WEEKLY;COUNT=2", MONDAY, NEW_YORK, MONDAY, datetime(2027, 1, 1), [MONDAY])

    assert found == [datetime(2026, 7, 13, 10)]


def test_days_come_out_as_days() -> None:
    found = expand(
        "FREQ=WEEKLY;BYHOUR=9;COUNT=4",
        date(2026, 7, 6),
        NEW_YORK,
        date(2026, 7, 7),
        date(2026, 8, 1),
        exceptions=[date(2026, 7, 20)],
    )

    assert found == [date(2026, 7, 13), date(2026, 7, 27)]
    assert not any(isinstance(each, datetime) for each in found)


def test_the_span_holds_its_first_moment_and_not_its_last() -> None:
    after, before = datetime(2026, 7, 7, 10), datetime(2026, 7, 9, 10)

    assert expand("FREQ=DAILY", MONDAY, NEW_YORK, after, before) == [
        datetime(2026, 7, 7, 10),
        datetime(2026, 7, 8, 10),
    ]


@pytest.mark.parametrize(
    ("starts", "until", "last"),
    [
        (MONDAY, "20260720T140000Z", "07-20"),
        (MONDAY, "20260720T135959Z", "07-13"),
        (MONDAY, "20260720", "07-20"),
        (MONDAY, "20260720T100000", "07-20"),
        (MONDAY, "20260720T095959", "07-13"),
        (MONDAY.date(), "20260720", "07-20"),
        (MONDAY.date(), "20260721T035959Z", "07-20"),  # the end of the day in New York
        (MONDAY.date(), "20260720T035959Z", "07-13"),
        (MONDAY.date(), "20260720T000000Z", "07-20"),  # a day written as midnight in UTC
    ],
)
def test_until_includes_its_moment_however_it_is_written(
    starts: datetime | date, until: str, last: str
) -> None:
    assert f"{walls(f'FREQ=WEEKLY;UNTIL={until}', starts)[-1]:%m-%d}" == last


def test_until_is_exact_in_the_hour_that_is_shown_twice() -> None:
    starts = datetime(2026, 10, 31, 1, 45)  # 1 November: 05:45 UTC, the first 1:45

    assert len(walls("FREQ=DAILY;UNTIL=20261101T054459Z", starts)) == 1
    assert len(walls("FREQ=DAILY;UNTIL=20261101T054500Z", starts)) == 2
    assert len(walls("FREQ=DAILY;UNTIL=20261101T063000Z", starts)) == 2  # the second 1:30


def test_a_series_that_ended_before_it_began_has_no_occurrence() -> None:
    assert walls("FREQ=WEEKLY;UNTIL=20260701T000000Z") == []


def test_until_in_the_year_9999_means_for_ever() -> None:
    assert len(walls("FREQ=WEEKLY;UNTIL=99991231T235959Z", days=70)) == 10


def test_a_series_that_began_long_ago_is_the_same_seen_from_today() -> None:
    starts = datetime(2010, 1, 5, 10)
    rule = "FREQ=WEEKLY;INTERVAL=3;BYDAY=TU,TH"
    all_of_it = expand(rule, starts, NEW_YORK, starts, datetime(2027, 1, 1))

    seen = expand(rule, starts, NEW_YORK, datetime(2026, 1, 1), datetime(2027, 1, 1))

    assert seen == [wall for wall in all_of_it if f"{wall:%Y}" == "2026"]
    assert len(seen) == 35


# dateutil is the oracle. Where it is known to differ, the rules stay away:
# it does not count a start that the rule does not fall on; in the first week it
# counts BYSETPOS from the start; it mixes BYDAY with and without numbers by
# "and"; it takes week 52 and 53 of some years for the next year's.

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def listed(name: str, values: st.SearchStrategy[object], most: int = 4) -> st.SearchStrategy[str]:
    chosen = st.lists(values, min_size=1, max_size=most, unique=True)
    return st.one_of(
        st.just(""), chosen.map(lambda found: f";{name}={','.join(str(each) for each in found)}")
    )


def signed(most: int) -> st.SearchStrategy[object]:
    return st.integers(-most, most).filter(bool)


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))
    numbered = freq in ("MONTHLY", "YEARLY") and draw(st.booleans())
    weekday: st.SearchStrategy[object] = st.sampled_from(WEEKDAYS)
    if numbered:
        weekday = st.tuples(signed(5), weekday).map(lambda pair: f"{pair[0]}{pair[1]}")
    parts = [
        f"FREQ={freq}",
        draw(st.integers(1, 6).map(lambda number: f";INTERVAL={number}")),
        draw(listed("BYMONTH", st.integers(1, 12))),
        draw(listed("BYDAY", weekday)),
        draw(listed("BYHOUR", st.integers(0, 23), 2)),
        draw(st.sampled_from(WEEKDAYS).map(lambda day: f";WKST={day}")),
    ]
    # One of them at a time: together they mostly never come true, and dateutil
    # then searches for seconds.
    narrower = [listed("BYMONTHDAY", signed(31), 10)]
    if freq == "YEARLY":
        narrower.append(listed("BYYEARDAY", signed(366), 60))
        narrower += [] if numbered else [listed("BYWEEKNO", st.integers(2, 51), 20)]
    parts.append(draw(st.one_of(narrower)))
    if freq != "WEEKLY":
        parts.append(draw(listed("BYSETPOS", signed(3), 2)))
    return "".join(parts)


# Those whose clocks change do so at the most different days and hours, Lord Howe's by half an hour.
ZONES = (
    *(NEW_YORK, "America/Los_Angeles", "America/St_Johns", "America/Phoenix", "Europe/London"),
    *("Europe/Berlin", "Asia/Kolkata", "Australia/Sydney", "Australia/Lord_Howe"),
    "Pacific/Auckland",
)

# In these months, and in these hours, the clocks change.
ODD_TIMES = st.builds(
    datetime,
    st.integers(2007, 2025),
    st.sampled_from([3, 4, 9, 10, 11]),
    st.integers(1, 30),
    st.integers(0, 3),
    st.sampled_from([0, 1, 30, 59]),
)


@pytest.mark.bar("F8")
@settings(deadline=None, max_examples=200)
@given(
    rule=rules(),
    zone=st.sampled_from(ZONES),
    starts=ODD_TIMES
    | st.datetimes(datetime(2005, 1, 1), datetime(2026, 1, 1)).map(
        lambda each: each.replace(microsecond=0)
    ),
    count=st.one_of(st.none(), st.integers(1, 60)),
    ahead=st.integers(-30, 3000),
    length=st.integers(1, 800),
)
def test_occurrences_are_those_of_dateutil(
    rule: str, zone: str, starts: datetime, count: int | None, ahead: int, length: int
) -> None:
    after = starts + timedelta(days=ahead)
    before = after + timedelta(days=length)
    # Without an end dateutil may search to the year 9999.
    oracle = rrulestr(f"{rule};UNTIL=20400101T000000", dtstart=starts)
    every = list(takewhile(lambda wall: wall < before, oracle))
    if every[:1] != [starts]:
        every.insert(0, starts)
    expected = [wall for wall in every[:count] if after <= wall < before]

    limited = f"{rule};COUNT={count}" if count else rule

    found = expand(limited, starts, zone, after, before)

    assert found == expected
    assert [in_utc(wall, zone) for wall in found if isinstance(wall, datetime)] == [
        by_dateutil(wall, zone) for wall in expected
    ]


def by_dateutil(wall: datetime, zone: str) -> datetime:
    moment: datetime = resolve_imaginary(wall.replace(tzinfo=gettz(zone))).astimezone(UTC)
    return moment


@given(
    zone=st.sampled_from(ZONES),
    starts=ODD_TIMES,
    rule=st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SU", "FREQ=DAILY;BYHOUR=1,2;BYDAY=SU"]),
)
def test_in_the_nights_of_a_time_change_too(zone: str, starts: datetime, rule: str) -> None:
    oracle = rrulestr(f"{rule};UNTIL=20400101T000000", dtstart=starts)
    before = starts + timedelta(days=250)
    expected = list(takewhile(lambda wall: wall < before, oracle))
    if expected[0] != starts:
        expected.insert(0, starts)

    found = expand(rule, starts, zone, starts, before)

    assert [in_utc(wall, zone) for wall in found if isinstance(wall, datetime)] == [
        by_dateutil(wall, zone) for wall in expected
    ]


@pytest.mark.bar("I4", "O10")
@settings(deadline=None)
@given(text=st.text(alphabet="FREQ=DAILYWKMONTHBYSUCI;,0123456789+-Z ", max_size=60))
def test_any_text_is_a_rule_or_is_refused(text: str) -> None:
    try:
        check(text)
    except Invalid:
        return
    assert len(walls(normalised(text), days=730)) <= MAX_OCCURRENCES + 1


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU",
        f"FREQ=DAILY;COUNT={MAX_COUNT}",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
        "FREQ=DAILY;BYHOUR=9,11,14;COUNT=6",
        "FREQ=WEEKLY;RSCALE=GREGORIAN;SKIP=OMIT",
    ],
)
def test_a_rule_that_a_schedule_can_hold_passes(rule: str) -> None:
    check(rule)


HOURLY = (
    "It repeats every hour or more often."
    " Only daily, weekly, monthly and yearly repeats can be taken."
)
UNREADABLE = "The repeat rule cannot be read. Set the repeat again and export anew."


@pytest.mark.bar("I4")
@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("FREQ=SECONDLY", HOURLY),
        ("FREQ=MINUTELY;COUNT=2", HOURLY),
        ("FREQ=HOURLY;INTERVAL=24", HOURLY),
        ("FREQ=DAILY;INTERVAL=0", "The repeat rule's INTERVAL must be a number from 1 to 1000."),
        ("FREQ=DAILY;INTERVAL=-1", "The repeat rule's INTERVAL must be a number from 1 to 1000."),
        (
            "FREQ=DAILY;COUNT=999999999",
            f"The repeat rule's COUNT must be a number from 1 to {MAX_COUNT}.",
        ),
        (
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "The repeat rule names days that do not exist, so it never comes true.",
        ),
        (
            "FREQ=DAILY;BYHOUR=9,10",
            f"It repeats more than {MAX_OCCURRENCES} times in two years."
            " Let it repeat at most once a day.",
        ),
        (
            "FREQ=YEARLY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5",
            "It repeats many times a day. Let it repeat at most once a day.",
        ),
        ("", "The repeat rule does not say daily, weekly, monthly or yearly."),
        ("FREQ=FORTNIGHTLY", "The repeat rule does not say daily, weekly, monthly or yearly."),
        ("FREQ=DAILY;FREQ=WEEKLY", UNREADABLE),
        ("FREQ=DAILY;COUNT=", UNREADABLE),
        ("FREQ=DAILY;COUNT=many", "The repeat rule holds a word where a number belongs."),
        ("FREQ=WEEKLY;BYDAY=XX", "The repeat rule names an unknown weekday."),
        ("FREQ=MONTHLY;BYDAY=54MO", "The repeat rule's BYDAY holds a number that does not exist."),
        (
            "FREQ=MONTHLY;BYMONTHDAY=0",
            "The repeat rule's BYMONTHDAY holds a number that does not exist.",
        ),
        ("FREQ=YEARLY;BYMONTH=13", "The repeat rule's BYMONTH holds a number that does not exist."),
        ("FREQ=DAILY;UNTIL=20260231", "The repeat rule's UNTIL is no date."),
        ("FREQ=DAILY;UNTIL=soon", "The repeat rule's UNTIL is no date."),
        (
            "FREQ=YEARLY;RSCALE=CHINESE",
            "The repeat rule follows another calendar than the Gregorian one.",
        ),
        (
            "FREQ=DAILY;BYSECOND=" + "1," * 1000,
            "The repeat rule is too long. Set the repeat again and export anew.",
        ),
    ],
)
def test_a_bomb_is_refused_with_a_sentence(rule: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check(rule)

    assert refusal.value.sentence == sentence


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("freq=weekly; byday=mo , we;interval=1;", "FREQ=WEEKLY;BYDAY=MO,WE"),
        (
            "BYDAY=2TU;X-JUNK=1;WKST=SU;FREQ=MONTHLY;INTERVAL=2",
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=2TU;WKST=SU",
        ),
    ],
)
def test_a_rule_is_normalised(rule: str, expected: str) -> None:
    assert normalised(rule) == expected
