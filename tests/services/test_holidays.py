from datetime import date

import pytest

from sync_ui.domain.event import Kind
from sync_ui.errors import Invalid, Refused
from sync_ui.services import appointments, holidays
from tests.practice import Book, Clock, Practice

FRIDAY = date(2026, 11, 27)
SUNDAY = date(2026, 11, 29)


def test_a_holiday_tells_how_many_appointments_fall_on_it(practice: Practice, book: Book) -> None:
    book(practice.jane, at="2026-11-27 00:00")
    book(practice.mark, at="2026-11-29 23:30")
    book(practice.zoe, actor=practice.anna, at="2026-11-28 10:00")
    appointments.cancel(practice.sam, book(practice.jane, at="2026-11-28 12:00").id)
    book(at="2026-11-28 00:00", minutes=1440, kind=Kind.TIME_OFF, all_day=True)
    book(practice.jane, at="2026-11-30 00:00")
    book(practice.jane, at="2026-11-26 22:00", minutes=120)

    weekend = holidays.add(practice.ada, name="Long weekend", first_day=FRIDAY, last_day=SUNDAY)
    quiet = holidays.add(practice.ada, name="Quiet day", first_day=date(2026, 12, 25))

    assert holidays.collisions([weekend, quiet]) == {weekend.id: 3}
    assert holidays.collisions([]) == {}


def test_past_holidays_are_listed_no_more(practice: Practice, now: Clock) -> None:
    holidays.add(practice.ada, name="Long weekend", first_day=FRIDAY, last_day=SUNDAY)
    now.move(days=6)  # Sunday noon
    assert [found.name for found in holidays.upcoming()] == ["Long weekend"]

    now.move(days=1)

    assert holidays.upcoming() == []


@pytest.mark.parametrize(
    ("first", "last"),
    [(SUNDAY, FRIDAY), (FRIDAY, date(2027, 11, 27)), (date(1066, 10, 14), None)],
)
def test_impossible_days_are_refused(practice: Practice, first: date, last: date | None) -> None:
    with pytest.raises(Invalid):
        holidays.add(practice.ada, name="Never", first_day=first, last_day=last)

    assert holidays.upcoming() == []


def test_holidays_are_kept_by_administrators(practice: Practice) -> None:
    with pytest.raises(Refused):
        holidays.add(practice.sam, name="Free", first_day=FRIDAY)
    made = holidays.add(practice.ada, name="Free", first_day=FRIDAY)
    with pytest.raises(Refused):
        holidays.remove(practice.unlu, made.id)

    holidays.remove(practice.ada, made.id)

    assert holidays.upcoming() == []
