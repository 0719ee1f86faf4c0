"""Appointments are stored as an earlier tzdata would have had them, then the laws are today's."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from sync_ui.models import Appointment, AuditEntry, db, transaction
from sync_ui.services import access, appointments, check, zone_laws
from sync_ui.services.access import COMMAND
from sync_ui.services.plans import Plan
from tests.practice import Book, Clock, Practice

HOUR = timedelta(hours=1)


@pytest.fixture
def under_other_laws(practice: Practice, book: Book) -> tuple[int, int]:
    """One session and one day off of Dr. Ünlü, an hour late; another is as it should be."""
    book(practice.mark, at="2026-12-01 10:00")
    wrong = book(practice.jane, at="2026-12-02 10:00").id
    first = datetime(2027, 3, 14)  # a day of 23 hours
    plan = Plan(first, first + timedelta(days=1), "America/New_York", all_day=True)
    assert practice.unlu.clinician_id is not None
    day = appointments.create(practice.unlu, practice.unlu.clinician_id, plan, despite="Both").id
    with transaction() as session:
        for appointment_id in (wrong, day):
            row = session.get_one(Appointment, appointment_id)
            row.starts_at += HOUR
            row.ends_at += HOUR
    return wrong, day


def version(practice: Practice) -> int:
    db.session.rollback()
    return access.calendar(practice.unlu, practice.unlus_calendar).version


def moments(appointment_id: int) -> tuple[str, str, int]:
    db.session.rollback()
    row = db.session.get_one(Appointment, appointment_id)
    return f"{row.starts_at:%m-%d %H:%M}", f"{row.ends_at:%m-%d %H:%M}", row.revision


@pytest.mark.bar("D7")
def test_what_other_laws_left_is_set_right_once(
    practice: Practice, under_other_laws: tuple[int, int]
) -> None:
    session, day = under_other_laws
    before = version(practice)
    assert moments(session) == ("12-02 16:00", "12-02 16:50", 0)

    assert zone_laws.repair(COMMAND) == 2

    assert moments(session) == ("12-02 15:00", "12-02 15:50", 1)
    assert moments(day) == ("03-14 05:00", "03-15 04:00", 1)
    assert version(practice) == before + 1
    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last is not None
    assert (last.action, last.detail) == ("appointment.zones_repaired", {"appointments": 2})

    assert zone_laws.repair(COMMAND) == 0
    assert version(practice) == before + 1


@pytest.mark.bar("D7")
def test_the_past_stays_as_it_was(
    practice: Practice, under_other_laws: tuple[int, int], now: Clock
) -> None:
    session, _ = under_other_laws
    now.set(datetime.fromisoformat("2026-12-03T00:00+00:00"))

    assert zone_laws.repair(COMMAND) == 1
    assert moments(session) == ("12-02 16:00", "12-02 16:50", 0)


def test_the_check_tells_and_repairs(under_other_laws: tuple[int, int]) -> None:
    def said() -> list[str]:
        return [each.words for each in check.findings() if each.subject == "time zones"]

    assert said() == ["2 appointments were set right."]
    assert said() == ["as the zones' laws say."]
