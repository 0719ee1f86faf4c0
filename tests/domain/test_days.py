from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain import days

TODAY = date(2026, 11, 23)  # a Monday
NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "day", "rest"),
    [
        ("today", date(2026, 11, 23), ""),
        ("jane tomorrow", date(2026, 11, 24), "jane"),
        ("yesterday", date(2026, 11, 22), ""),
        ("mon", date(2026, 11, 23), ""),
        ("friday jane smith", date(2026, 11, 27), "jane smith"),
        ("next fri", date(2026, 11, 27), ""),
        ("sunday", date(2026, 11, 29), ""),
        ("24 nov", date(2026, 11, 24), ""),
        ("nov 24", date(2026, 11, 24), ""),
        ("24th november", date(2026, 11, 24), ""),
        ("november 24, 2025", date(2025, 11, 24), ""),
        ("24. dec 2027", date(2027, 12, 24), ""),
        ("3 jan", date(2027, 1, 3), ""),
        ("1 sep", date(2026, 9, 1), ""),
        ("1 may", date(2027, 5, 1), ""),
        ("29 feb", date(2028, 2, 29), ""),
        ("2026-11-24", date(2026, 11, 24), ""),
        ("smith 2026-1-5 room", date(2026, 1, 5), "smith room"),
        ("11/24", date(2026, 11, 24), ""),
        ("11/24/26", date(2026, 11, 24), ""),
        ("24.11.", date(2026, 11, 24), ""),
        ("24.11.2027", date(2027, 11, 24), ""),
    ],
)
def test_a_day_is_understood_as_people_type_it(text: str, day: date, rest: str) -> None:
    assert days.typed(text, TODAY, NEW_YORK) == (day, rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "monica",
        "mark",
        "may",
        "jane may",
        "31 feb",
        "13/13",
        "2026-13-01",
        "1042",
        "nov",
        "room 2",
    ],
)
def test_what_is_no_day_stays_text(text: str) -> None:
    assert days.typed(text, TODAY, NEW_YORK) == (None, text)


def test_the_order_of_day_and_month_is_that_of_the_place() -> None:
    assert days.typed("3/12", TODAY, NEW_YORK)[0] == date(2027, 3, 12)
    assert days.typed("3/12", TODAY, BERLIN)[0] == date(2026, 12, 3)


@given(st.text(st.sampled_from("0123456789/.- novmayfri,"), max_size=20), st.dates())
def test_nothing_typed_breaks_it(text: str, today: date) -> None:
    days.typed(text, min(today, date(9000, 1, 1)), NEW_YORK)


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_a_whole_date_is_that_date(day: date) -> None:
    for text in (f"{day}", f"{day:%b} {day.day} {day.year}".lower(), f"{day:%m/%d/%Y}"):
        assert days.typed(text, TODAY, NEW_YORK) == (day, "")
