from datetime import date, datetime, timedelta

import pytest

from sync_ui.domain.event import Kind, Status
from sync_ui.errors import Invalid
from sync_ui.models import Appointment, db
from sync_ui.services import access, appointments, clashes, holidays, plans
from sync_ui.services import practice as practices
from sync_ui.services.clashes import Clash, Clashing, Taken
from sync_ui.services.plans import Plan, moments
from tests import queries
from tests.practice import ZONE, Book, Practice

TEN = datetime(2026, 11, 24, 10)


def plan(*client_ids: int, starts: datetime = TEN, minutes: int = 50, **more: object) -> Plan:
    return Plan(
        starts=starts,
        ends=starts + timedelta(minutes=minutes),
        zone=ZONE,
        clients=appointments.find_clients(db.session(), client_ids),
        **more,  # type: ignore[arg-type]
    )


def unlus(practice: Practice) -> int:
    assert practice.unlu.clinician_id is not None
    return practice.unlu.clinician_id


def annas(practice: Practice) -> int:
    assert practice.anna.clinician_id is not None
    return practice.anna.clinician_id


def told(found: list[Clash]) -> list[tuple[str, str]]:
    return [(clash.taken.value, clash.what) for clash in found]


def make_a_room(practice: Practice, name: str) -> None:
    place = next(place for place in practices.locations() if place.name == name)
    practices.make_exclusive(practice.ada, place.id, exclusive=True)


def test_the_clinician_the_client_and_the_room_are_each_only_once_there(
    practice: Practice, book: Book
) -> None:
    book(practice.jane, location="Room 2")
    make_a_room(practice, "Room 2")
    assert told(clashes.found(practice.sam, plan(), unlus(practice))) == [
        ("clinician", "Jane Smith")
    ]
    assert told(clashes.found(practice.sam, plan(practice.jane), annas(practice))) == [
        ("client", "Jane Smith")
    ]
    assert told(clashes.found(practice.sam, plan(location="Room 2"), annas(practice))) == [
        ("room", "Jane Smith")
    ]
    assert clashes.found(practice.sam, plan(practice.zoe), annas(practice)) == []


def test_a_place_that_is_no_room_holds_any_number(practice: Practice, book: Book) -> None:
    book(practice.jane, location="Main office")

    assert clashes.found(practice.sam, plan(location="Main office"), annas(practice)) == []


def test_what_ends_when_another_begins_collides_with_nothing(
    practice: Practice, book: Book
) -> None:
    book(practice.jane, at="2026-11-24 10:00", minutes=50)

    after = plan(starts=TEN + timedelta(minutes=50))
    before = plan(starts=TEN - timedelta(minutes=50))
    a_minute_early = plan(starts=TEN + timedelta(minutes=49))

    found = [clashes.found(practice.sam, p, unlus(practice)) for p in (after, before)]
    assert found == [[], []]
    assert told(clashes.found(practice.sam, a_minute_early, unlus(practice))) == [
        ("clinician", "Jane Smith")
    ]


def test_cancelled_ones_take_no_time_and_no_shows_do(practice: Practice, book: Book) -> None:
    found = book(practice.jane)
    assert len(clashes.found(practice.sam, plan(), unlus(practice))) == 1
    kept = plans.plan_of(found)
    appointments.change(practice.sam, found.id, replaced(kept, Status.NO_SHOW))
    assert len(clashes.found(practice.sam, plan(), unlus(practice))) == 1

    appointments.change(practice.sam, found.id, replaced(kept, Status.LATE_CANCELLED))

    assert clashes.found(practice.sam, plan(), unlus(practice)) == []


def replaced(kept: Plan, status: Status) -> Plan:
    return Plan(**{name: getattr(kept, name) for name in Plan.__slots__} | {"status": status})


def test_a_birthday_takes_no_time_and_a_day_off_does(practice: Practice, book: Book) -> None:
    day = {"at": "2026-11-24 00:00", "minutes": 24 * 60, "all_day": True}
    book(title="Anna's birthday", kind=Kind.OTHER, **day)
    assert clashes.found(practice.sam, plan(), unlus(practice)) == []

    book(title="Away", kind=Kind.TIME_OFF, **day)

    assert told(clashes.found(practice.sam, plan(), unlus(practice))) == [("clinician", "Away")]


def test_a_holiday_asks_except_for_time_off(practice: Practice) -> None:
    day = date(2026, 11, 24)
    assert clashes.found(practice.sam, plan(), unlus(practice)) == []
    holidays.add(practice.ada, name="Founders’ day", first_day=day, last_day=day)

    found = clashes.found(practice.sam, plan(), unlus(practice))

    assert told(found) == [("holiday", "Founders’ day")]
    assert clashes.found(practice.sam, plan(kind=Kind.TIME_OFF), unlus(practice)) == []
    the_next_day = plan(starts=datetime(2026, 11, 25, 0, 0))
    assert clashes.found(practice.sam, the_next_day, unlus(practice)) == []


@pytest.mark.bar("Z5")
def test_a_clinician_learns_no_name_from_anothers_schedule(practice: Practice, book: Book) -> None:
    booked = book(practice.zoe, actor=practice.anna, location="Room 2")
    make_a_room(practice, "Room 2")
    here = plan(practice.zoe, location="Room 2")

    for_sam = clashes.found(practice.sam, here, unlus(practice))
    for_unlu = clashes.found(practice.unlu, here, unlus(practice))

    assert [(c.taken, c.what, c.appointment_id) for c in for_sam] == [
        (Taken.CLIENT, "Zoë O'Brien-García", booked.id)
    ]
    assert [(c.taken, c.what, c.appointment_id) for c in for_unlu] == [(Taken.CLIENT, "", None)]


@pytest.mark.bar("Z5")
def test_a_clinician_learns_no_times_from_anothers_schedule(practice: Practice, book: Book) -> None:
    booked = book(practice.zoe, actor=practice.anna, at="2026-11-25 09:00")
    long = plan(practice.zoe, minutes=7 * 24 * 60)

    (for_sam,) = clashes.found(practice.sam, long, unlus(practice))
    (for_unlu,) = clashes.found(practice.unlu, long, unlus(practice))

    assert (for_sam.starts_at, for_sam.ends_at) == (booked.starts_at, booked.ends_at)
    assert (for_unlu.starts_at, for_unlu.ends_at) == moments(long)


def test_a_clash_is_overridden_with_a_reason_that_is_kept(practice: Practice, book: Book) -> None:
    book(practice.jane)
    with pytest.raises(Clashing) as refused:
        appointments.create(practice.sam, unlus(practice), plan(practice.mark), despite="  ")
    assert told(list(refused.value.clashes)) == [("clinician", "Jane Smith")]
    assert "Jane" not in refused.value.sentence

    made = appointments.create(
        practice.sam, unlus(practice), plan(practice.mark), despite="Twins, both agreed"
    )

    assert made.clash_reason == "Twins, both agreed"
    free = appointments.create(
        practice.sam, unlus(practice), plan(starts=datetime(2026, 11, 26, 10)), despite="Not needed"
    )
    assert free.clash_reason == ""
    with pytest.raises(Invalid):
        appointments.create(practice.sam, unlus(practice), plan(), despite="x" * 201)


def test_many_plans_are_compared_in_a_constant_number_of_queries(
    practice: Practice, book: Book
) -> None:
    for week in range(8):
        book(practice.jane, at=f"{TEN + timedelta(weeks=week):%Y-%m-%d %H:%M}")

    wanted = [plan(starts=TEN + timedelta(weeks=week)) for week in range(8)]

    def found(weeks: int) -> list[Clash]:
        return clashes.found_in(practice.sam, wanted[:weeks], unlus(practice))

    assert (len(found(1)), len(found(8))) == (1, 8)
    assert queries.number_of(lambda: found(1)) == queries.number_of(lambda: found(8))


def test_undoing_a_cancellation_asks_when_the_time_has_been_given_away(
    practice: Practice, book: Book
) -> None:
    cancelled = appointments.cancel(practice.sam, book(practice.jane).id)
    other = book(practice.mark)
    with pytest.raises(Clashing):
        appointments.restore(practice.sam, cancelled.id)
    appointments.cancel(practice.sam, other.id)

    restored = appointments.restore(practice.sam, cancelled.id)

    assert (restored.status, restored.revision) == (Status.SCHEDULED, 2)


def test_an_appointment_goes_to_another_clinician_with_its_feed(
    practice: Practice, book: Book
) -> None:
    found = book(practice.jane)
    versions = [access.calendar(practice.sam, key).version for key in calendars(practice)]

    appointments.change(practice.sam, found.id, plans.plan_of(found), clinician_id=annas(practice))

    assert db.session.get_one(Appointment, found.id).clinician_id == annas(practice)
    after = [access.calendar(practice.sam, key).version for key in calendars(practice)]
    assert [new > old for new, old in zip(after, versions, strict=True)] == [True, True, True]


def calendars(practice: Practice) -> tuple[str, str, str]:
    return practice.unlus_calendar, practice.annas_calendar, "practice"
