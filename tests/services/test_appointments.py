from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from sync_ui.domain.event import Status
from sync_ui.errors import Conflict, Invalid, NotFound
from sync_ui.models import Appointment, db
from sync_ui.services import appointments, plans
from sync_ui.services.clashes import Clashing
from sync_ui.services.plans import Plan
from tests.practice import ZONE, Book, Practice

TEN = datetime(2026, 11, 24, 10)


def plan(starts: datetime = TEN, minutes: int = 50, **more: object) -> Plan:
    return Plan(starts=starts, ends=starts + timedelta(minutes=minutes), zone=ZONE, **more)  # type: ignore[arg-type]


def jane(practice: Practice) -> tuple[object, ...]:
    return appointments.find_clients(db.session(), [practice.jane])


def count() -> int | None:
    return db.session.scalar(select(func.count(Appointment.id)))


def test_an_appointment_keeps_its_wall_time_and_its_moment(practice: Practice, book: Book) -> None:
    found = book(practice.jane)

    assert found.starts_local == TEN
    assert found.starts_at.isoformat() == "2026-11-24T15:00:00+00:00"
    assert [client.id for client in found.clients] == [practice.jane]


def test_a_clinician_books_for_no_one_else(practice: Practice) -> None:
    assert practice.anna.clinician_id is not None
    with pytest.raises(NotFound):
        appointments.create(practice.unlu, practice.anna.clinician_id, plan())

    assert appointments.create(practice.sam, practice.anna.clinician_id, plan()).id


def test_a_clash_of_clinician_or_client_asks_first(practice: Practice, book: Book) -> None:
    book(practice.jane)
    assert practice.unlu.clinician_id is not None
    assert practice.anna.clinician_id is not None
    late = plan(TEN + timedelta(minutes=49), clients=jane(practice))

    for clinician_id in (practice.unlu.clinician_id, practice.anna.clinician_id):
        with pytest.raises(Conflict):
            appointments.create(practice.sam, clinician_id, late)
    assert count() == 1

    appointments.create(practice.sam, practice.anna.clinician_id, late, despite="Both agreed")
    after = plan(TEN + timedelta(minutes=120), clients=jane(practice))
    appointments.create(practice.sam, practice.unlu.clinician_id, after)
    assert count() == 3


def test_a_cancelled_appointment_clashes_with_nothing(practice: Practice, book: Book) -> None:
    appointments.cancel(practice.unlu, book(practice.jane).id)
    assert practice.unlu.clinician_id is not None

    assert appointments.create(practice.unlu, practice.unlu.clinician_id, plan()).id


@pytest.mark.bar("F5")
def test_a_change_keeps_the_uid_and_raises_the_revision(practice: Practice, book: Book) -> None:
    before = book(practice.jane)
    uid, revision = before.uid, before.revision

    after = appointments.change(practice.unlu, before.id, plan(TEN.replace(hour=14)))

    assert (after.uid, after.revision) == (uid, revision + 1)
    assert (after.starts_local.hour, after.clients) == (14, [])


@pytest.mark.bar("D1")
def test_the_second_of_two_editors_is_told(practice: Practice, book: Book) -> None:
    found = book(practice.jane)
    drawn_from = found.revision
    appointments.change(practice.sam, found.id, plan(TEN.replace(hour=14)), revision=drawn_from)

    with pytest.raises(Conflict):
        appointments.change(
            practice.unlu, found.id, plan(TEN.replace(hour=15)), revision=drawn_from
        )

    assert db.session.get_one(Appointment, found.id).starts_local.hour == 14


def test_cancelling_twice_changes_nothing_the_second_time(practice: Practice, book: Book) -> None:
    found = appointments.cancel(practice.unlu, book(practice.jane).id, late=True)
    revision = found.revision

    again = appointments.cancel(practice.unlu, found.id)

    assert (again.status, again.revision) == (Status.LATE_CANCELLED, revision)


@pytest.mark.bar("Z1", "Z5")
def test_another_clinicians_appointment_is_not_found(practice: Practice, book: Book) -> None:
    annas = book(practice.zoe, actor=practice.anna)

    with pytest.raises(NotFound):
        appointments.cancel(practice.unlu, annas.id)
    with pytest.raises(NotFound):
        appointments.change(practice.unlu, annas.id, plan())


@pytest.mark.parametrize(
    "wrong",
    [
        plan(minutes=0),
        plan(minutes=-50),
        plan(minutes=60 * 24 * 400),
        plan(datetime(1901, 1, 1)),
        plan(location="12 Elm Street"),
        plan(title="x" * 201),
        plan(note="x" * 5001),
    ],
)
def test_what_cannot_be_an_appointment_is_refused(practice: Practice, wrong: Plan) -> None:
    assert practice.unlu.clinician_id is not None
    with pytest.raises(Invalid):
        appointments.create(practice.unlu, practice.unlu.clinician_id, wrong)

    assert count() == 0


@pytest.mark.parametrize(
    ("starts", "minutes", "moments"),
    [
        (datetime(2026, 11, 1, 1, 30), 50, ("05:30", "06:20")),
        (datetime(2026, 11, 1, 0, 50), 50, ("04:50", "05:40")),
        (datetime(2027, 3, 14, 2, 30), 50, ("07:30", "08:20")),
        (datetime(2027, 3, 14, 2, 0), 120, ("07:00", "09:00")),
        (datetime(2027, 3, 14, 1, 30), 50, ("06:30", "07:20")),
        (datetime(2026, 10, 31, 22, 0), 600, ("02:00", "13:00")),
    ],
)
def test_an_appointment_in_the_odd_hour_lasts_as_long_as_it_says(
    practice: Practice, starts: datetime, minutes: int, moments: tuple[str, str]
) -> None:
    found = plans.moments(plan(starts, minutes))

    assert tuple(f"{moment:%H:%M}" for moment in found) == moments


@pytest.mark.bar("Z6")
def test_fifty_simultaneous_bookings_of_one_slot_make_one(app: Flask, practice: Practice) -> None:
    """Fifty browsers, sixteen of them at a time, as many as the server has threads."""
    assert practice.unlu.clinician_id is not None
    db.session.rollback()

    def book(_: int) -> bool:
        with app.app_context():
            assert practice.unlu.clinician_id is not None
            try:
                appointments.create(practice.sam, practice.unlu.clinician_id, plan())
            except Clashing:
                return False
            return True

    with ThreadPoolExecutor(16) as browsers:
        booked = list(browsers.map(book, range(50)))

    assert (booked.count(True), count()) == (1, 1)
