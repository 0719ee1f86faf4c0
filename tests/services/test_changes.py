"""A drag of Jane Smith's Tuesdays taken back: every row is as it was, or nothing happens."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from sync_ui.domain.event import Status
from sync_ui.errors import Conflict, NotFound
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AuditEntry,
    Calendar,
    Change,
    Row,
    Series,
    db,
)
from sync_ui.services import (
    appointments,
    changes,
    clients,
    duplicates,
    people,
    series,
    upkeep,
)
from sync_ui.services.access import COMMAND, Actor
from sync_ui.services.plans import Plan, plan_of
from sync_ui.services.series import Scope
from tests.practice import NOW, ZONE, Book, Clock, Practice

TUESDAY = datetime(2026, 11, 24, 10)
WEEK = timedelta(days=7)

# What rises although all is as it was.
RISING = {"revision", "changed_at"}

Rows = list[tuple[str, ...]]
Do = Callable[[Practice, int], object]


@pytest.fixture
def weekly(practice: Practice) -> list[int]:
    """Jane Smith with Dr. Ünlü, ten Tuesdays; the second is moved, the fifth cancelled."""
    people_ = appointments.find_clients(db.session(), [practice.jane])
    plan = Plan(TUESDAY, TUESDAY + timedelta(minutes=50), ZONE, people_, note="Weekly")
    found = series.create(practice.sam, clinician_id(practice.unlu), plan, "FREQ=WEEKLY;COUNT=10")
    turns = ids(found.id)
    edit(practice.sam, turns[1], Scope.THIS, starts=TUESDAY + WEEK + timedelta(hours=5))
    series.cancel(practice.sam, turns[4], Scope.THIS, late=True)
    return turns


def clinician_id(actor: Actor) -> int:
    assert actor.clinician_id is not None
    return actor.clinician_id


def ids(series_id: int) -> list[int]:
    db.session.rollback()
    own = select(Appointment.id).where(Appointment.series_id == series_id)
    return list(db.session.scalars(own.order_by(Appointment.starts_at)))


def edit(
    actor: Actor, appointment_id: int, scope: Scope, *, rule: str | None = None, **said: object
) -> Appointment:
    db.session.rollback()
    plan = plan_of(db.session.get_one(Appointment, appointment_id))
    if "starts" in said:
        said["ends"] = said["starts"] + (plan.ends - plan.starts)  # type: ignore[operator]
    plan = replace(plan, **said)  # type: ignore[arg-type]
    return series.change(actor, appointment_id, plan, scope, rule=rule, despite="Agreed")


def hand_over(actor: Actor, appointment_id: int, to: Actor, **said: object) -> Appointment:
    db.session.rollback()
    plan = plan_of(db.session.get_one(Appointment, appointment_id))
    return appointments.change(
        actor,
        appointment_id,
        replace(plan, **said),  # type: ignore[arg-type]
        clinician_id=to.clinician_id,
        despite="Agreed",
    )


def as_stored() -> dict[str, Rows]:
    db.session.rollback()
    db.session.expire_all()
    found = {}
    for model in (Series, Appointment, AppointmentClient):
        table = Row.metadata.tables[model.__tablename__]
        columns = [column for column in table.columns if column.name not in RISING]
        rows = db.session.execute(select(*columns).order_by(*table.primary_key.columns))
        found[table.name] = [tuple(map(repr, row)) for row in rows]
    return found


def revisions() -> dict[str, int]:
    db.session.rollback()
    return {row.uid: row.revision for row in db.session.scalars(select(Appointment))}


def versions() -> dict[int | None, int]:
    db.session.rollback()
    return {row.clinician_id: row.version for row in db.session.scalars(select(Calendar))}


def times() -> list[str]:
    db.session.rollback()
    starts = select(Appointment.starts_local).order_by(Appointment.starts_at)
    return [f"{each:%m-%d %H:%M}" for each in db.session.scalars(starts)]


def take_back(actor: Actor, appointment_id: int) -> Appointment:
    change_id = changes.latest(actor, appointment_id)
    assert change_id is not None
    return changes.undo(actor, change_id)


# What is done to the fourth of ten, and may be taken back.
DONE: dict[str, Do] = {
    "this and following to another day and time": lambda p, turn: edit(
        p.sam, turn, Scope.FOLLOWING, starts=TUESDAY + 3 * WEEK + timedelta(hours=29)
    ),
    "this and following on to the next turn's time": lambda p, turn: edit(
        p.sam, turn, Scope.FOLLOWING, starts=TUESDAY + 4 * WEEK
    ),
    "this and following with somebody else": lambda p, turn: edit(
        p.sam,
        turn,
        Scope.FOLLOWING,
        clients=appointments.find_clients(db.session(), [p.mark, p.zoe]),
        note="Couple",
    ),
    "all a week earlier": lambda p, turn: edit(p.sam, turn, Scope.ALL, starts=TUESDAY + 2 * WEEK),
    "all at another time": lambda p, turn: edit(
        p.sam, turn, Scope.ALL, starts=TUESDAY + 3 * WEEK + timedelta(hours=1)
    ),
    "this one did not come, and all are in a room": lambda p, turn: edit(
        p.sam, turn, Scope.ALL, status=Status.NO_SHOW, location="Room 2"
    ),
    "this and following cancelled": lambda p, turn: series.cancel(
        p.sam, turn, Scope.FOLLOWING, late=True
    ),
    "all cancelled": lambda p, turn: series.cancel(p.sam, turn, Scope.ALL),
    "fewer": lambda p, turn: edit(p.sam, turn, Scope.ALL, rule="FREQ=WEEKLY;COUNT=6"),
    "more": lambda p, turn: edit(p.sam, turn, Scope.ALL, rule="FREQ=WEEKLY"),
    "every other week from here on": lambda p, turn: edit(
        p.sam, turn, Scope.FOLLOWING, rule="FREQ=WEEKLY;INTERVAL=2;COUNT=12", note="Less often"
    ),
    "other days": lambda p, turn: edit(p.sam, turn, Scope.ALL, rule="FREQ=WEEKLY;BYDAY=MO,TH"),
    "no more": lambda p, turn: edit(p.sam, turn, Scope.FOLLOWING, rule=""),
    "handed over": lambda p, turn: hand_over(p.sam, turn, p.anna),
    "handed over at another time": lambda p, turn: hand_over(
        p.sam,
        turn,
        p.anna,
        starts=TUESDAY + timedelta(days=30),
        ends=TUESDAY + timedelta(days=30, hours=1),
        clients=appointments.find_clients(db.session(), [p.zoe]),
    ),
}


@pytest.mark.parametrize("done", DONE)
def test_every_row_is_as_it_was(done: str, practice: Practice, weekly: list[int]) -> None:
    before, told = as_stored(), revisions()
    DONE[done](practice, weekly[3])
    changed, grown, feeds = as_stored(), revisions(), versions()
    assert changed != before
    touched = set(before["appointment"]) ^ set(changed["appointment"])
    uids = {uid for uid in told if any(repr(uid) in row for row in touched)}

    assert take_back(practice.sam, weekly[3]).id == weekly[3]

    assert as_stored() == before
    assert revisions() == {
        uid: grown.get(uid, revision) + (uid in uids) for uid, revision in told.items()
    }
    own = {None, practice.unlu.clinician_id}
    own |= {practice.anna.clinician_id} if "handed over" in done else set()
    assert {key for key, version in versions().items() if version > feeds[key]} == own
    [entry] = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))
    assert (entry.action, entry.subject) == ("change.undone", f"appointment:{weekly[3]}")

    edit(practice.sam, weekly[3], Scope.ALL, starts=TUESDAY + 3 * WEEK + timedelta(hours=1))
    hours = ["11", "15", *["11"] * 8]
    assert [each[6:8] for each in times()] == hours


def test_one_that_stood_alone_stands_alone_again(practice: Practice, book: Book) -> None:
    alone = book(practice.jane).id
    before = as_stored()
    edit(practice.unlu, alone, Scope.ALL, rule="FREQ=WEEKLY;COUNT=5", note="From now on")
    assert len(times()) == 5

    take_back(practice.unlu, alone)

    assert as_stored() == before


def test_changes_are_taken_back_one_after_the_other(
    practice: Practice, weekly: list[int], now: Clock
) -> None:
    states = []
    for done in DONE.values():
        states.append(as_stored())
        now.move(minutes=1)
        done(practice, weekly[3])
        if as_stored() == states[-1]:
            states.pop()
    assert len(states) > 10

    while changes.latest(practice.sam, weekly[3]):
        now.move(minutes=1)
        take_back(practice.sam, weekly[3])
        assert as_stored() == states.pop()
    assert states == []


@pytest.mark.parametrize("done", DONE)
def test_what_somebody_has_changed_since_stays(
    done: str, practice: Practice, weekly: list[int]
) -> None:
    DONE[done](practice, weekly[3])
    change_id = changes.latest(practice.sam, weekly[3])
    assert change_id is not None
    to = practice.anna if "handed" in done else practice.unlu
    edit(to, weekly[3], Scope.ALL, note="Bring the form")
    before = as_stored()

    assert changes.latest(practice.sam, weekly[3]) is None
    with pytest.raises(Conflict) as refused:
        changes.undo(practice.sam, change_id)

    assert refused.value.sentence == (
        "Some of these appointments were changed since, so this cannot be undone as a whole."
    )
    assert as_stored() == before


def test_what_was_changed_and_put_back_since_is_no_hindrance(
    practice: Practice, weekly: list[int]
) -> None:
    before = as_stored()
    edit(practice.sam, weekly[3], Scope.FOLLOWING, starts=TUESDAY + 3 * WEEK + timedelta(hours=1))
    change_id = changes.latest(practice.sam, weekly[3])
    for hour in (17, 11):
        edit(practice.unlu, weekly[6], Scope.THIS, starts=TUESDAY.replace(hour=hour) + 6 * WEEK)
    clients.change(
        practice.sam,
        practice.jane,
        first_name="Janet",
        last_name="Green",
        preferred_name="",
        internal_id="1042",
        ceiling=None,
    )

    assert changes.latest(practice.sam, weekly[3]) == change_id
    take_back(practice.sam, weekly[3])

    assert as_stored() == before


def test_it_is_undone_once_by_who_did_it_and_within_a_day(
    practice: Practice, weekly: list[int], now: Clock
) -> None:
    edit(practice.sam, weekly[3], Scope.ALL, note="Said")
    change_id = changes.latest(practice.sam, weekly[3])
    assert change_id is not None

    for other in (practice.unlu, practice.ada):
        assert changes.latest(other, weekly[3]) is None
        with pytest.raises(NotFound):
            changes.undo(other, change_id)
    with pytest.raises(NotFound):
        changes.latest(practice.anna, weekly[3])
    changes.undo(practice.sam, change_id)
    with pytest.raises(Conflict, match="undone already"):
        changes.undo(practice.sam, change_id)

    edit(practice.sam, weekly[3], Scope.ALL, note="Said again")
    assert changes.latest(practice.sam, weekly[3]) == change_id + 1
    now.move(days=1, seconds=1)
    assert changes.latest(practice.sam, weekly[3]) is None
    with pytest.raises(Conflict, match="more than a day old"):
        changes.undo(practice.sam, change_id + 1)
    upkeep.clean_up()
    with pytest.raises(NotFound):
        changes.undo(practice.sam, change_id + 1)


def test_this_one_alone_and_what_changes_nothing_is_not_kept(
    practice: Practice, weekly: list[int]
) -> None:
    edit(practice.sam, weekly[3], Scope.THIS, note="Bring the form")
    edit(practice.sam, weekly[3], Scope.ALL)
    series.cancel(practice.sam, weekly[3], Scope.THIS)

    assert db.session.scalar(select(func.count(Change.id))) == 0


def test_a_series_that_has_grown_since_is_as_long_again(practice: Practice, now: Clock) -> None:
    plan = Plan(TUESDAY, TUESDAY + timedelta(minutes=50), ZONE)
    found = series.create(practice.unlu, clinician_id(practice.unlu), plan, "FREQ=WEEKLY")
    first = ids(found.id)[0]
    before = as_stored()
    edit(practice.unlu, first, Scope.ALL, starts=TUESDAY.replace(hour=11))
    now.set(NOW + timedelta(hours=20))
    assert series.extend(COMMAND) == 0
    now.set(NOW + timedelta(hours=23, minutes=59))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "AHEAD", series.AHEAD + 2 * WEEK)
        assert series.extend(COMMAND) == 2

        take_back(practice.unlu, first)
        assert as_stored() == before
        assert series.extend(COMMAND) == 2

    assert {each[6:] for each in times()} == {"10:00"}


def test_a_grown_turn_that_says_something_of_its_own_keeps_it(
    practice: Practice, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(TUESDAY, TUESDAY + timedelta(minutes=50), ZONE)
    found = series.create(practice.unlu, clinician_id(practice.unlu), plan, "FREQ=WEEKLY")
    first = ids(found.id)[0]
    edit(practice.unlu, first, Scope.ALL, starts=TUESDAY.replace(hour=11))
    now.move(hours=2)
    monkeypatch.setattr(series, "AHEAD", series.AHEAD + 2 * WEEK)
    series.extend(COMMAND)
    series.cancel(practice.unlu, ids(found.id)[-1], Scope.THIS)

    assert changes.latest(practice.unlu, first) is None


def test_deleted_ones_come_back_though_others_have_their_numbers(
    practice: Practice, weekly: list[int], book: Book
) -> None:
    before = revisions()
    edit(practice.sam, weekly[3], Scope.ALL, rule="FREQ=WEEKLY;COUNT=6")
    book(practice.mark, at="2026-11-27 10:00")

    take_back(practice.sam, weekly[3])

    assert before.keys() < revisions().keys()
    assert len(times()) == 11


def test_whoever_was_merged_since_comes_as_who_was_kept(
    practice: Practice, weekly: list[int]
) -> None:
    mark = appointments.find_clients(db.session(), [practice.mark])
    edit(practice.sam, weekly[3], Scope.ALL, clients=mark)
    kept = clients.create(practice.sam, first_name="Jane", last_name="Smith").id
    duplicates.merge(practice.sam, kept, practice.jane)

    take_back(practice.sam, weekly[3])

    db.session.rollback()
    coming = select(AppointmentClient.client_id).distinct()
    assert list(db.session.scalars(coming)) == [kept]
    assert db.session.scalars(select(Series.client_ids)).one() == [kept]


def test_a_clinician_who_has_left_is_not_given_anything_back(
    practice: Practice, weekly: list[int]
) -> None:
    hand_over(practice.sam, weekly[3], practice.anna)
    change_id = changes.latest(practice.sam, weekly[3])
    assert change_id is not None
    people.archive(practice.ada, clinician_id(practice.unlu))

    with pytest.raises(Conflict, match="left the practice"):
        changes.undo(practice.sam, change_id)
