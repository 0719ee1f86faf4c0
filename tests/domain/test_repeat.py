from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain import repeat
from sync_ui.domain.recurrence import expand
from sync_ui.domain.repeat import By, Freq, Repeat
from sync_ui.errors import Invalid

TUESDAY = date(2026, 11, 24)
CHRISTMAS = date(2026, 12, 24)


@pytest.mark.parametrize(
    ("said", "rule", "words"),
    [
        (Repeat(Freq.DAILY), "FREQ=DAILY", "every day"),
        (Repeat(Freq.DAILY, 3), "FREQ=DAILY;INTERVAL=3", "every 3 days"),
        (Repeat(Freq.WEEKLY), "FREQ=WEEKLY;BYDAY=TU", "every week on Tuesday"),
        (
            Repeat(Freq.WEEKLY, 2, (3, 0), ends=CHRISTMAS),
            "FREQ=WEEKLY;UNTIL=20261224;INTERVAL=2;BYDAY=MO,TH",
            "every 2 weeks on Monday and Thursday until Dec 24, 2026",
        ),
        (
            Repeat(Freq.WEEKLY, 1, (0, 1, 4), count=10),
            "FREQ=WEEKLY;COUNT=10;BYDAY=MO,TU,FR",
            "every week on Monday, Tuesday and Friday, 10 times",
        ),
        (Repeat(Freq.MONTHLY), "FREQ=MONTHLY;BYMONTHDAY=24", "every month on the 24th"),
        (
            Repeat(Freq.MONTHLY, 2, by=By.WEEKDAY),
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=4TU",
            "every 2 months on the fourth Tuesday",
        ),
        (
            Repeat(Freq.MONTHLY, by=By.LAST_WEEKDAY),
            "FREQ=MONTHLY;BYDAY=-1TU",
            "every month on the last Tuesday",
        ),
        (
            Repeat(Freq.MONTHLY, by=By.LAST_DAY),
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            "every month on the last day",
        ),
        (
            Repeat(Freq.YEARLY, count=1),
            "FREQ=YEARLY;COUNT=1;BYMONTHDAY=24;BYMONTH=11",
            "every year on November 24, once",
        ),
    ],
)
def test_what_the_form_says_is_a_rule_and_a_sentence(said: Repeat, rule: str, words: str) -> None:
    assert said.rule(TUESDAY) == rule
    assert repeat.words(rule, TUESDAY) == words


REPEATS = st.builds(
    Repeat,
    freq=st.sampled_from(Freq),
    interval=st.integers(1, 1000),
    weekdays=st.sets(st.integers(0, 6)).map(lambda days: tuple(sorted(days))),
    by=st.sampled_from(By),
    ends=st.none() | st.dates(date(2030, 1, 1), date(2200, 12, 31)),
)


@given(
    said=REPEATS,
    count=st.none() | st.integers(1, 10_000),
    first=st.dates(date(2020, 1, 1), date(2029, 12, 31)),
)
def test_a_rule_of_the_form_is_read_as_it_was_written(
    said: Repeat, count: int | None, first: date
) -> None:
    rule = said.rule(first)

    found = repeat.read(rule)

    assert found is not None
    assert found.rule(first) == rule
    assert (found.freq, found.interval, found.ends) == (said.freq, said.interval, said.ends)
    if said.freq is Freq.MONTHLY and (first.day <= 28 or said.by is not By.WEEKDAY):
        assert found.by is said.by
    assert repeat.words(rule, first).startswith("every ")


@given(
    by=st.sampled_from(By),
    first=st.dates(date(2020, 1, 1), date(2029, 12, 31)),
    months=st.integers(0, 48),
)
def test_the_day_of_a_month_is_the_rules(by: By, first: date, months: int) -> None:
    said = Repeat(Freq.MONTHLY, by=by)
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    begin = date(year, month + 1, 1)
    walls = expand(
        said.rule(first),
        datetime(2019, 12, 1, 10),
        "UTC",
        datetime(begin.year, begin.month, 1),
        datetime(begin.year, begin.month, 1) + timedelta(days=32),
    )
    within = [wall for wall in walls if (wall.year, wall.month) == (begin.year, begin.month)]

    day = said.day_in(begin.year, begin.month, first)

    assert ([day] if day else []) == [w.date() for w in within if isinstance(w, datetime)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2", Repeat(Freq.MONTHLY, by=By.WEEKDAY)),
        ("FREQ=WEEKLY;WKST=SU", Repeat(Freq.WEEKLY)),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU", Repeat(Freq.WEEKLY, 2, (6,))),
        ("FREQ=YEARLY", Repeat(Freq.YEARLY)),
        ("FREQ=WEEKLY;UNTIL=20261225T030000Z", Repeat(Freq.WEEKLY, ends=CHRISTMAS)),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", None),
        ("FREQ=DAILY;BYDAY=MO,TU", None),
        ("FREQ=DAILY;BYHOUR=9", None),
        ("FREQ=WEEKLY;BYMONTH=1", None),
        ("FREQ=WEEKLY;COUNT=3;UNTIL=20261225", None),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15", None),
        ("FREQ=MONTHLY;BYMONTHDAY=-2", None),
        ("FREQ=MONTHLY;BYDAY=5TU", None),
        ("FREQ=MONTHLY;BYDAY=MO,TU", None),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", None),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", None),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", None),
        ("FREQ=YEARLY;BYYEARDAY=100", None),
    ],
)
def test_only_what_the_form_can_show_is_read(rule: str, expected: Repeat | None) -> None:
    assert repeat.read(rule, "America/New_York") == expected
    if expected is None:
        assert repeat.words(rule, TUESDAY) == "by a rule of its own"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            Repeat(Freq.DAILY, ends=CHRISTMAS, count=3),
            "Let it end on a day or after a number of times, not both.",
        ),
        (
            Repeat(Freq.DAILY, ends=date(2026, 11, 23)),
            "The repeat ends before it begins. Choose a later day.",
        ),
        (Repeat(Freq.DAILY, 0), "The repeat rule's INTERVAL must be a number from 1 to 1000."),
        (Repeat(Freq.DAILY, count=0), "The repeat rule's COUNT must be a number from 1 to 10000."),
    ],
)
def test_what_makes_no_sense_is_refused(said: Repeat, sentence: str) -> None:
    with pytest.raises(Invalid) as refusal:
        said.rule(TUESDAY)

    assert refusal.value.sentence == sentence


@pytest.mark.parametrize(
    ("day", "words"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (13, "13th"), (22, "22nd")],
)
def test_days_have_their_endings(day: int, words: str) -> None:
    assert repeat.words("FREQ=MONTHLY", date(2026, 1, day)) == f"every month on the {words}"
