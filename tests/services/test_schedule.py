from datetime import date

import pytest

from sync_ui.domain.event import Kind
from sync_ui.errors import NotFound
from sync_ui.services import schedule
from tests.practice import Book, Practice


def test_the_agenda_lists_days_in_the_practices_zone(practice: Practice, book: Book) -> None:
    book(practice.jane, at="2026-11-24 23:30", minutes=60)
    book(practice.zoe, actor=practice.anna, at="2026-11-25 09:00")
    book(at="2026-11-25 00:00", minutes=24 * 60, kind=Kind.TIME_OFF, all_day=True)

    def seen(actor: object, clinician_id: int | None = None) -> list[list[str]]:
        days = schedule.agenda(actor, date(2026, 11, 24), 3, clinician_id)  # type: ignore[arg-type]
        return [[f"{a.starts_local:%H:%M}" for a in day.appointments] for day in days]

    assert seen(practice.unlu) == [["23:30"], ["23:30", "00:00"], []]
    assert seen(practice.sam) == [["23:30"], ["23:30", "00:00", "09:00"], []]
    assert seen(practice.sam, practice.anna.clinician_id) == [[], ["09:00"], []]
    with pytest.raises(NotFound):
        seen(practice.unlu, practice.anna.clinician_id)
