from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.moments import Moment, day_comes_first, minutes, moment
from sync_ui.errors import Invalid

DAY = date(2026, 7, 6)


@pytest.mark.parametrize(
    "cell",
    [
        "2026-07-06",
        "2026/7/6",
        "20260706",
        "7/6/2026",
        "07/06/26",
        "7-6-2026",
        "6.7.2026",
        "06. 07. 2026",
        "Jul 6, 2026",
        "July 6th 2026",
        "6 July 2026",
        "06-JUL-26",
        "Mon, Jul 6, 2026",
        "Monday 6 July 2026",
    ],
)
def test_a_day_in_every_form(cell: str) -> None:
    assert moment(cell, day_first=False) == Moment(DAY)


@pytest.mark.parametrize(
    ("cell", "clock"),
    [
        ("15:30", time(15, 30)),
        ("9:05:07", time(9, 5, 7)),
        ("23:59:60", time(23, 59, 59)),
        ("15.30", time(15, 30)),
        ("15h30", time(15, 30)),
        ("1530", time(15, 30)),
        ("3:30 PM", time(15, 30)),
        ("3:30pm", time(15, 30)),
        ("3:30 p.m.", time(15, 30)),
        ("3:30\u202fPM", time(15, 30)),
        ("3pm", time(15)),
        ("12:00 AM", time(0)),
        ("12 pm", time(12)),
        ("15:30 PM", time(15, 30)),
    ],
)
def test_a_time_of_day_in_every_form(cell: str, clock: time) -> None:
    assert moment(cell, day_first=False) == Moment(clock=clock)


@pytest.mark.parametrize(
    ("cell", "offset"),
    [
        ("2026-07-06T15:30", None),
        ("2026-07-06 15:30", None),
        ("7/6/2026, 3:30 PM", None),
        ("July 6, 2026 at 3:30 PM", None),
        ("20260706T153000", None),
        ("2026-07-06T15:30:00Z", timedelta()),
        ("2026-07-06 15:30 UTC", timedelta()),
        ("2026-07-06T15:30:00.000+01:00", timedelta(hours=1)),
        ("2026-07-06T15:30-0330", timedelta(hours=-3, minutes=-30)),
    ],
)
def test_day_and_time_in_one_cell(cell: str, offset: timedelta | None) -> None:
    assert moment(cell, day_first=False) == Moment(DAY, time(15, 30), offset)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("tomorrow", "“tomorrow” is no date or time that can be read."),
        ("10", "“10” is no date or time that can be read."),
        ("", "“” is no date or time that can be read."),
        ("25:00", "“25:00” is no time of the day."),
        ("2026-02-30", "“2026-02-30” is no day of the calendar."),
        ("31/07/2026", "“31/07/2026” is no day of the calendar, read as month/day."),
        ("1026-07-06", "Its year 1026 is not between 1900 and 2200."),
        ("7/6/2026 ten o'clock", "“7/6/2026 ten o'clock” is no date or time that can be read."),
    ],
)
def test_what_is_no_moment_is_refused(cell: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refusal:
        moment(cell, day_first=False)

    assert refusal.value.sentence == sentence


@pytest.mark.parametrize(
    ("cells", "zone", "expected"),
    [
        (["03/04/2026", "13/04/2026"], "America/New_York", (True, False)),
        (["03/04/2026", "04/13/2026"], "Europe/Berlin", (False, False)),
        (["03/04/2026"], "America/New_York", (False, True)),
        (["03/04/2026"], "Pacific/Honolulu", (False, True)),
        (["03/04/2026"], "Europe/Berlin", (True, True)),
        (["03/03/2026"], "Europe/Berlin", (True, False)),
        (["04/13/2026", "04/14/2026", "13/04/2026"], "Europe/Berlin", (False, False)),
        (["2026-07-06", "10:00", "", "6.7.2026"], "America/New_York", (False, False)),
    ],
)
def test_the_order_of_day_and_month_is_settled_for_all_cells(
    cells: list[str], zone: str, expected: tuple[bool, bool]
) -> None:
    assert day_comes_first(cells, zone) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("50", 50),
        ("50.0", 50),
        ("50 min", 50),
        ("90m", 90),
        ("0:50", 50),
        ("01:30:00", 90),
        ("1 h", 60),
        ("1.5 hours", 90),
        ("1h 20m", 80),
        ("1 hr, 20 mins", 80),
    ],
)
def test_a_length_in_every_form(cell: str, expected: int) -> None:
    assert minutes(cell) == expected


@pytest.mark.parametrize("cell", ["", "0", "many", "-50", "99:00", "1441", "50 €"])
def test_what_is_no_length_is_refused(cell: str) -> None:
    with pytest.raises(Invalid):
        minutes(cell)


@given(cell=st.text(alphabet="0123456789/-.: TZapmJulyMon,+h\u202f", max_size=30))
def test_any_cell_is_a_moment_or_is_refused(cell: str) -> None:
    try:
        found = moment(cell, day_first=True)
    except Invalid:
        return
    assert found != Moment()
