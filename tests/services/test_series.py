"""Dr. Ünlü sees Jane Smith every Tuesday at 10:00, from 24 November 2026 on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from sync_ui.domain.event import GONE, TELEHEALTH, Kind, Status
from sync_ui.errors import Conflict, Invalid, NotFound
from sync_ui.models import Appointment, AuditEntry, Calendar, Client, Series, db, transaction
from sync_ui.services import access, appointments, series
from sync_ui.services import clients as client_service
from sync_ui.services.access import COMMAND
from sync_ui.services.appointments import Overtaken
from sync_ui.services.clashes import Clashing
from sync_ui.services.plans import Plan, plan_of
from sync_ui.services.series import Scope
from tests.practice import NOW, ZONE, Book, Clock, Practice

TUESDAY = datetime(2026, 11, 24, 10)
WEEK = timedelta(days=7)

Begin = Callable[..., Series]


@pytest.fixture
def begin(practice: Practice) -> Begin:
    """`begin("FREQ=WEEKLY;COUNT=4")`: Jane Smith with Dr. Ünlü, 50 minutes."""

    def create(rule: str = "FREQ=WEEKLY;COUNT=4", at: datetime = TUESDAY, **more: object) -> Series:
        plan = Plan(
            starts=at,
            ends=at + timedelta(minutes=50),
            zone=ZONE,
            clients=clients(practice.jane),
        )
        plan = replace(plan, **more)  # type: ignore[arg-type]
        assert practice.unlu.clinician_id is not None
        return series.create(practice.unlu, practice.unlu.clinician_id, plan, rule)

    return create


def clients(*client_ids: int) -> tuple[Client, ...]:
    return appointments.find_clients(db.session(), client_ids)


def rows(found: Series | None = None) -> list[Appointment]:
    db.session.rollback()
    wanted = select(Appointment).order_by(Appointment.starts_at, Appointment.id)
    if found is not None:
        wanted = wanted.where(Appointment.series_id == found.id)
    return list(db.session.scalars(wanted))


def times(found: Series | None = None) -> list[str]:
    return [f"{row.starts_local:%m-%d %H:%M}" for row in rows(found)]


def edit(
    practice: Practice, number: int, scope: Scope, *, rule: str | None = None, **changes: object
) -> Appointment:
    """Change one of all appointments, by its place in the schedule."""
    row = rows()[number]
    plan = plan_of(row)
    if "starts" in changes and "ends" not in changes:
        starts = changes["starts"]
        assert isinstance(starts, datetime)
        changes["ends"] = starts + (plan.ends - plan.starts)
    plan = replace(plan, **changes)  # type: ignore[arg-type]
    return series.change(practice.unlu, row.id, plan, scope, rule=rule)


def version(practice: Practice) -> int:
    db.session.rollback()
    return access.calendar(practice.unlu, practice.unlus_calendar).version


# A new series


def test_a_series_is_there_a_year_ahead_in_one_change(practice: Practice, begin: Begin) -> None:
    before = version(practice)

    found = begin("FREQ=WEEKLY", note="Intake", location="Room 2")

    made = rows(found)
    assert [row.starts_local for row in made] == [TUESDAY + week * WEEK for week in range(53)]
    assert {row.ends_at - row.starts_at for row in made} == {timedelta(minutes=50)}
    assert {(row.note, row.location) for row in made} == {("Intake", "Room 2")}
    assert [[client.id for client in row.clients] for row in made] == [[practice.jane]] * 53
    assert len({row.uid for row in made}) == 53
    assert version(practice) == before + 1
    [entry] = db.session.scalars(select(AuditEntry))
    assert (entry.action, entry.subject) == ("series.created", f"series:{found.id}")
    assert entry.detail == {"appointments": 53}


def test_ten_oclock_stays_ten_oclock_when_the_clocks_change(begin: Begin) -> None:
    found = begin("FREQ=WEEKLY;COUNT=52")

    made = rows(found)
    assert {f"{row.starts_local:%H:%M}" for row in made} == {"10:00"}
    utc = {f"{row.starts_at:%Y-%m-%d}": row.starts_at.hour for row in made}
    assert (utc["2027-03-09"], utc["2027-03-16"]) == (15, 14)
    assert (utc["2027-11-02"], utc["2027-11-09"]) == (14, 15)


def test_the_start_is_the_first_turn_whatever_the_rule_says(begin: Begin) -> None:
    begin("FREQ=WEEKLY;BYDAY=MO,TH;COUNT=4")

    assert times() == ["11-24 10:00", "11-26 10:00", "11-30 10:00", "12-03 10:00"]


def test_a_series_that_begins_in_two_years_has_its_first_turn(begin: Begin) -> None:
    begin("FREQ=WEEKLY", datetime(2028, 11, 28, 10))

    assert times() == ["11-28 10:00"]
    assert series.extend(COMMAND) == 0


def test_a_start_that_the_clocks_skip_is_a_turn(begin: Begin) -> None:
    begin("FREQ=DAILY;COUNT=2", datetime(2027, 3, 14, 2, 30))

    assert times() == ["03-14 02:30", "03-15 02:30"]


def test_what_cannot_be_a_series_is_refused(begin: Begin) -> None:
    for rule, at in (
        ("", TUESDAY),
        ("FREQ=HOURLY", TUESDAY),
        ("FREQ=WEEKLY;UNTIL=20261101", TUESDAY),
        ("FREQ=WEEKLY", datetime(2025, 11, 1, 10)),
    ):
        with pytest.raises(Invalid):
            begin(rule, at)

    assert rows() == []


def test_nobody_books_a_series_for_a_colleague(practice: Practice, begin: Begin) -> None:
    assert practice.anna.clinician_id is not None
    plan = Plan(starts=TUESDAY, ends=TUESDAY + timedelta(hours=1), zone=ZONE)

    with pytest.raises(NotFound):
        series.create(practice.unlu, practice.anna.clinician_id, plan, "FREQ=WEEKLY")

    assert series.create(practice.sam, practice.anna.clinician_id, plan, "FREQ=WEEKLY").id


def test_an_archived_client_begins_no_series_and_keeps_one(
    practice: Practice, begin: Begin
) -> None:
    begin()
    client_service.archive(practice.sam, practice.jane)

    with pytest.raises(Conflict):
        begin(at=TUESDAY + timedelta(hours=3))
    edit(practice, 1, Scope.ALL, note="Bring the form")

    assert [row.note for row in rows()] == ["Bring the form"] * 4


def test_a_series_that_clashes_asks_and_keeps_the_reason(
    practice: Practice, book: Book, begin: Begin
) -> None:
    book(practice.mark, at="2026-12-01 10:30")

    with pytest.raises(Clashing) as refusal:
        begin()
    assert len(refusal.value.clashes) == 1
    assert len(rows()) == 1

    assert practice.unlu.clinician_id is not None
    plan = replace(plan_of(rows()[0]), starts=TUESDAY, ends=TUESDAY + timedelta(hours=1))
    found = series.create(
        practice.unlu, practice.unlu.clinician_id, plan, "FREQ=WEEKLY;COUNT=3", despite="Agreed"
    )
    assert [row.clash_reason for row in rows(found)] == ["", "Agreed", ""]


# This one


def test_this_one_changes_alone_and_keeps_it(practice: Practice, begin: Begin) -> None:
    begin()

    edit(practice, 1, Scope.THIS, starts=datetime(2026, 12, 2, 15), note="By phone")

    assert times() == ["11-24 10:00", "12-02 15:00", "12-08 10:00", "12-15 10:00"]
    assert [row.own for row in rows()] == [[], ["note", "time"], [], []]
    assert [row.revision for row in rows()] == [0, 1, 0, 0]


def test_one_that_is_put_back_says_nothing_of_its_own(practice: Practice, begin: Begin) -> None:
    begin(note="Weekly")
    edit(practice, 1, Scope.THIS, starts=datetime(2026, 12, 1, 15), note="By phone")
    assert rows()[1].own == ["note", "time"]

    edit(practice, 1, Scope.THIS, starts=datetime(2026, 12, 1, 16), zone="Europe/Berlin")
    assert (rows()[1].own, rows()[1].zone) == (["note"], ZONE)
    edit(practice, 1, Scope.THIS, note="Weekly", status=Status.NO_SHOW)
    assert rows()[1].own == ["status"]
    edit(practice, 1, Scope.THIS, status=Status.SCHEDULED)
    edit(practice, 0, Scope.ALL, starts=TUESDAY.replace(hour=11))

    assert times() == ["11-24 11:00", "12-01 11:00", "12-08 11:00", "12-15 11:00"]
    assert [row.own for row in rows()] == [[]] * 4


def test_nothing_changed_changes_nothing(practice: Practice, begin: Begin) -> None:
    begin()
    before = version(practice)

    for scope in Scope:
        edit(practice, 1, scope)
        edit(practice, 1, scope, rule="FREQ=WEEKLY;COUNT=4;BYDAY=TU")

    assert version(practice) == before
    assert {row.revision for row in rows()} == {0}
    assert len(list(db.session.scalars(select(Series)))) == 1


def test_the_second_of_two_editors_of_a_series_is_told(practice: Practice, begin: Begin) -> None:
    begin()
    drawn_from = rows()[1]
    plan, revision = replace(plan_of(drawn_from), note="Late"), drawn_from.revision
    series.change(practice.sam, drawn_from.id, plan, Scope.ALL, revision=revision)

    with pytest.raises(Overtaken):
        series.change(
            practice.unlu,
            drawn_from.id,
            replace(plan, note="Early"),
            Scope.ALL,
            revision=revision,
        )

    assert {row.note for row in rows()} == {"Late"}


# All of them


def test_all_move_by_as_much_and_stay_who_they_are(practice: Practice, begin: Begin) -> None:
    found = begin()
    uids = [row.uid for row in rows()]

    edit(practice, 2, Scope.ALL, starts=datetime(2026, 12, 9, 14))

    assert times() == ["11-25 14:00", "12-02 14:00", "12-09 14:00", "12-16 14:00"]
    assert [row.uid for row in rows()] == uids
    assert [row.occurrence for row in rows()] == [f"{r.starts_local:%FT%T}" for r in rows()]
    assert db.session.get_one(Series, found.id).rule == "FREQ=WEEKLY;COUNT=4"
    assert {row.revision for row in rows()} == {1}


def test_all_can_last_longer(practice: Practice, begin: Begin) -> None:
    begin()

    edit(practice, 0, Scope.ALL, ends=TUESDAY + timedelta(minutes=80))

    assert {row.ends_at - row.starts_at for row in rows()} == {timedelta(minutes=80)}


def test_only_what_was_changed_is_changed_in_the_others(practice: Practice, begin: Begin) -> None:
    begin(note="Weekly")
    edit(practice, 1, Scope.THIS, note="Bring the form")
    edit(practice, 2, Scope.THIS, clients=clients(practice.jane, practice.mark))

    edit(practice, 1, Scope.ALL, location="Room 2")

    assert {row.location for row in rows()} == {"Room 2"}
    assert [row.note for row in rows()] == ["Weekly", "Bring the form", "Weekly", "Weekly"]
    assert [len(row.clients) for row in rows()] == [1, 1, 2, 1]


def test_what_one_says_of_itself_stays_until_it_is_said_of_all(
    practice: Practice, begin: Begin
) -> None:
    begin(note="Weekly")
    edit(practice, 1, Scope.THIS, note="Bring the form")

    edit(practice, 0, Scope.ALL, note="Fortnightly from May")
    assert rows()[1].note == "Bring the form"
    edit(practice, 1, Scope.ALL, note="Bring all forms")

    assert {row.note for row in rows()} == {"Bring all forms"}
    assert [row.own for row in rows()] == [[]] * 4


def test_moved_and_cancelled_ones_survive_a_move_of_all(practice: Practice, begin: Begin) -> None:
    begin()
    edit(practice, 1, Scope.THIS, starts=datetime(2026, 12, 2, 15))
    series.cancel(practice.unlu, rows()[2].id, Scope.THIS)

    edit(practice, 0, Scope.ALL, starts=TUESDAY.replace(hour=11), title="Moved")

    assert times() == ["11-24 11:00", "12-02 15:00", "12-08 11:00", "12-15 11:00"]
    assert rows()[2].status is Status.CANCELLED
    assert {row.title for row in rows()} == {"Moved"}
    assert [row.occurrence for row in rows()][1] == "2026-12-01T11:00:00"


def test_a_moved_one_moved_again_takes_all_along(practice: Practice, begin: Begin) -> None:
    begin()
    edit(practice, 1, Scope.THIS, starts=datetime(2026, 12, 1, 15))

    edit(practice, 1, Scope.ALL, starts=datetime(2026, 12, 1, 16))

    assert times() == ["11-24 16:00", "12-01 16:00", "12-08 16:00", "12-15 16:00"]
    assert [row.own for row in rows()] == [[]] * 4


def test_the_status_is_said_of_one_alone(practice: Practice, begin: Begin) -> None:
    begin()

    edit(practice, 1, Scope.ALL, status=Status.NO_SHOW, note="Did not come")

    statuses = [row.status for row in rows()]
    assert statuses == [Status.SCHEDULED, Status.NO_SHOW, Status.SCHEDULED, Status.SCHEDULED]
    assert {row.note for row in rows()} == {"Did not come"}


def test_kind_type_place_and_video_room_are_the_series_too(
    practice: Practice, begin: Begin, now: Clock
) -> None:
    begin("FREQ=WEEKLY")

    edit(
        practice,
        0,
        Scope.ALL,
        kind=Kind.SUPERVISION,
        clients=(),
        title="Peers",
        location=TELEHEALTH,
        telehealth_address="https://video.example.com/room",
    )
    now.move(days=14)
    assert series.extend(COMMAND) == 2

    said = {
        (row.kind, row.title, row.location, row.telehealth_address, len(row.clients))
        for row in rows()
    }
    assert said == {(Kind.SUPERVISION, "Peers", TELEHEALTH, "https://video.example.com/room", 0)}
    assert len(rows()) == 55


def test_all_become_days(practice: Practice, begin: Begin) -> None:
    begin(kind=Kind.TIME_OFF, clients=())

    edit(
        practice,
        1,
        Scope.ALL,
        starts=datetime(2026, 12, 1),
        ends=datetime(2026, 12, 2),
        all_day=True,
    )

    assert times() == ["11-24 00:00", "12-01 00:00", "12-08 00:00", "12-15 00:00"]
    assert {row.all_day for row in rows()} == {True}


def test_a_series_moved_back_still_reaches_a_year_ahead(practice: Practice, begin: Begin) -> None:
    begin("FREQ=WEEKLY")
    last = rows()[-1].starts_local

    edit(practice, 4, Scope.ALL, starts=TUESDAY + 4 * WEEK - timedelta(days=6))

    assert rows()[-1].starts_local == last - timedelta(days=6) + WEEK
    assert series.extend(COMMAND) == 0
    assert len(rows()) == 54


def test_every_other_week_stays_the_same_week(practice: Practice, begin: Begin) -> None:
    begin("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;COUNT=5")
    before = [row.starts_local for row in rows()]

    edit(practice, 1, Scope.ALL, starts=before[1] + timedelta(days=1))

    assert [row.starts_local for row in rows()] == [each + timedelta(days=1) for each in before]
    assert series.extend(COMMAND) == 0


def test_the_turn_of_a_month_stays_that_of_its_month(practice: Practice, begin: Begin) -> None:
    begin("FREQ=MONTHLY;BYMONTHDAY=28;COUNT=3", datetime(2026, 12, 28, 10))

    edit(practice, 1, Scope.ALL, starts=datetime(2027, 1, 31, 9))

    assert times() == ["12-31 09:00", "01-31 09:00", "02-28 09:00"]
    assert series.extend(COMMAND) == 0


def test_what_cannot_be_moved_to_other_days_says_so(practice: Practice, begin: Begin) -> None:
    begin("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1")
    before = times()

    with pytest.raises(Invalid):
        edit(practice, 0, Scope.ALL, starts=TUESDAY + timedelta(days=1))
    assert times() == before

    edit(practice, 0, Scope.THIS, starts=TUESDAY + timedelta(days=1))
    assert times()[0] == "11-25 10:00"


def test_a_move_of_all_onto_others_asks_first(practice: Practice, book: Book, begin: Begin) -> None:
    begin()
    book(practice.mark, at="2026-12-08 12:00")

    with pytest.raises(Conflict):
        edit(practice, 0, Scope.ALL, starts=TUESDAY.replace(hour=12))

    assert times()[0] == "11-24 10:00"


# This and following


def test_this_and_following_become_a_series_of_their_own(practice: Practice, begin: Begin) -> None:
    first = begin()
    uids = [row.uid for row in rows()]

    edit(practice, 2, Scope.FOLLOWING, starts=datetime(2026, 12, 10, 9))

    assert times() == ["11-24 10:00", "12-01 10:00", "12-10 09:00", "12-17 09:00"]
    assert [row.uid for row in rows()] == uids
    rest = db.session.get_one(Series, rows()[2].series_id)
    assert db.session.get_one(Series, first.id).rule == "FREQ=WEEKLY;COUNT=2"
    assert (rest.rule, rest.starts_local) == ("FREQ=WEEKLY;COUNT=2", datetime(2026, 12, 10, 9))
    assert [row.revision for row in rows()] == [0, 0, 1, 1]
    assert series.extend(COMMAND) == 0


def test_an_endless_series_is_cut_in_two(practice: Practice, begin: Begin, now: Clock) -> None:
    first = begin("FREQ=WEEKLY")

    edit(practice, 3, Scope.FOLLOWING, location="Room 2")
    now.move(days=7)
    assert series.extend(COMMAND) == 1

    assert db.session.get_one(Series, first.id).rule == "FREQ=WEEKLY;UNTIL=20261208"
    assert [row.location for row in rows()] == [""] * 3 + ["Room 2"] * 51


def test_following_from_the_first_is_all(practice: Practice, begin: Begin) -> None:
    begin()

    edit(practice, 0, Scope.FOLLOWING, note="Said")

    assert {row.note for row in rows()} == {"Said"}
    assert len(list(db.session.scalars(select(Series)))) == 1


def test_what_was_moved_or_cancelled_goes_along_into_the_new_series(
    practice: Practice, begin: Begin
) -> None:
    begin()
    edit(practice, 2, Scope.THIS, starts=datetime(2026, 12, 9, 15))
    series.cancel(practice.unlu, rows()[3].id, Scope.THIS, late=True)

    edit(practice, 1, Scope.FOLLOWING, starts=datetime(2026, 12, 1, 11))

    assert times() == ["11-24 10:00", "12-01 11:00", "12-09 15:00", "12-15 11:00"]
    assert rows()[3].status is Status.LATE_CANCELLED


# Another rule


def test_another_rule_keeps_what_fits_and_makes_what_is_missing(
    practice: Practice, begin: Begin
) -> None:
    begin()
    uids = {row.starts_local: row.uid for row in rows()}

    edit(practice, 0, Scope.ALL, rule="FREQ=WEEKLY;BYDAY=TU,TH;COUNT=4")

    assert times() == ["11-24 10:00", "11-26 10:00", "12-01 10:00", "12-03 10:00"]
    kept = [row for row in rows() if row.starts_local in uids]
    assert [row.uid for row in kept] == [uids[row.starts_local] for row in kept]


def test_another_rule_leaves_what_was_said_of_one_alone(practice: Practice, begin: Begin) -> None:
    begin()
    edit(practice, 1, Scope.THIS, note="Bring the form")
    series.cancel(practice.unlu, rows()[2].id, Scope.THIS)

    edit(practice, 0, Scope.ALL, rule="FREQ=WEEKLY;INTERVAL=4;COUNT=2")

    assert times() == ["11-24 10:00", "12-01 10:00", "12-08 10:00", "12-22 10:00"]
    assert [row.series_id is None for row in rows()] == [False, True, True, False]
    assert rows()[2].status is Status.CANCELLED


def test_another_rule_leaves_the_past_as_it_was(
    practice: Practice, begin: Begin, now: Clock
) -> None:
    begin("FREQ=WEEKLY;COUNT=6")
    now.set(datetime(2026, 12, 8, 15, 30, tzinfo=UTC))  # the third has begun

    edit(practice, 4, Scope.ALL, rule="FREQ=DAILY;INTERVAL=2;COUNT=16")

    assert times() == [
        *["11-24 10:00", "12-01 10:00", "12-08 10:00"],
        *["12-10 10:00", "12-12 10:00", "12-14 10:00", "12-16 10:00"],
        *["12-18 10:00", "12-20 10:00", "12-22 10:00", "12-24 10:00"],
    ]


def test_a_count_is_that_of_the_whole_series(practice: Practice, begin: Begin) -> None:
    begin("FREQ=WEEKLY;COUNT=4")

    edit(practice, 1, Scope.FOLLOWING, rule="FREQ=WEEKLY;COUNT=6")
    assert len(rows()) == 6
    with pytest.raises(Invalid):
        edit(practice, 3, Scope.FOLLOWING, rule="FREQ=DAILY;COUNT=2")

    edit(practice, 5, Scope.ALL, rule="FREQ=WEEKLY;COUNT=3")
    assert times() == ["11-24 10:00", "12-01 10:00", "12-08 10:00", "12-15 10:00", "12-29 10:00"]


@pytest.mark.parametrize("scope", [Scope.FOLLOWING, Scope.ALL])
def test_no_more_repeats_after_this_one(practice: Practice, begin: Begin, scope: Scope) -> None:
    begin("FREQ=WEEKLY")

    edit(practice, 2, scope, rule="")

    assert times() == ["11-24 10:00", "12-01 10:00", "12-08 10:00"]
    assert series.extend(COMMAND) == 0


def test_this_one_moves_and_ends_the_series(practice: Practice, begin: Begin) -> None:
    begin("FREQ=WEEKLY")

    edit(practice, 2, Scope.FOLLOWING, rule="", starts=datetime(2026, 12, 9, 11))

    assert times() == ["11-24 10:00", "12-01 10:00", "12-09 11:00"]


def test_an_appointment_begins_to_repeat(practice: Practice, book: Book) -> None:
    uid = book(practice.jane).uid

    edit(practice, 0, Scope.THIS, rule="FREQ=WEEKLY;COUNT=3", note="From now on")

    assert times() == ["11-24 10:00", "12-01 10:00", "12-08 10:00"]
    assert rows()[0].uid == uid
    assert {row.note for row in rows()} == {"From now on"}
    assert [[client.id for client in row.clients] for row in rows()] == [[practice.jane]] * 3


# Cancelled


def test_this_and_following_are_cancelled(practice: Practice, begin: Begin, now: Clock) -> None:
    begin("FREQ=WEEKLY")
    before = version(practice)

    assert series.cancel(practice.unlu, rows()[2].id, Scope.FOLLOWING, late=True) == 51

    statuses = [row.status for row in rows()]
    assert statuses[:4] == [
        *[Status.SCHEDULED, Status.SCHEDULED],
        *[Status.LATE_CANCELLED, Status.CANCELLED],
    ]
    assert set(statuses[4:]) == {Status.CANCELLED}
    assert version(practice) == before + 1
    now.move(days=30)
    assert series.extend(COMMAND) == 0
    assert series.cancel(practice.unlu, rows()[2].id, Scope.FOLLOWING) == 0
    assert version(practice) == before + 1


def test_no_shows_and_past_ones_are_not_cancelled(
    practice: Practice, begin: Begin, now: Clock
) -> None:
    begin("FREQ=WEEKLY;COUNT=5")
    edit(practice, 3, Scope.THIS, status=Status.NO_SHOW)
    now.set(datetime(2026, 12, 1, 15, 10, tzinfo=UTC))

    assert series.cancel(practice.unlu, rows()[3].id, Scope.ALL) == 2

    gone = [row.status in GONE for row in rows()]
    assert gone == [False, False, True, False, True]


def test_a_cancelled_turn_can_be_restored_and_changed(practice: Practice, begin: Begin) -> None:
    begin()
    series.cancel(practice.unlu, rows()[0].id, Scope.ALL)

    for number in (2, 3):
        appointments.restore(practice.unlu, rows()[number].id)
    edit(practice, 2, Scope.FOLLOWING, starts=datetime(2026, 12, 9, 11))

    assert times() == ["11-24 10:00", "12-01 10:00", "12-09 11:00", "12-16 11:00"]
    gone = [row.status in GONE for row in rows()]
    assert gone == [True, True, False, False]


def test_cancelling_one_is_cancelling_one(practice: Practice, begin: Begin, book: Book) -> None:
    begin()
    alone = book(practice.mark, at="2026-11-25 10:00").id

    assert series.cancel(practice.unlu, rows()[2].id, Scope.THIS) == 1
    assert series.cancel(practice.unlu, alone, Scope.ALL, late=True) == 1
    assert series.cancel(practice.unlu, alone, Scope.ALL) == 0

    assert [row.status in GONE for row in rows()] == [False, True, True, False, False]


# Imported ones


def test_what_a_split_leaves_behind_is_the_files_still(practice: Practice, begin: Begin) -> None:
    found = begin()
    with transaction() as session:
        imported = session.get_one(Series, found.id)
        imported.import_key, imported.import_digest = "weekly@example.com", "as it was"

    edit(practice, 2, Scope.FOLLOWING, note="From here on")

    first, rest = (db.session.get_one(Series, row.series_id) for row in rows()[1:3])
    assert (first.import_key, first.rule) == ("weekly@example.com", "FREQ=WEEKLY;COUNT=2")
    assert (rest.import_key, rest.import_digest) == (None, None)


def test_a_turn_that_a_file_moved_keeps_its_time(practice: Practice, begin: Begin) -> None:
    begin()
    second = rows()[1].id
    with transaction() as session:
        row = session.get_one(Appointment, second)
        moved = replace(plan_of(row), starts=row.starts_local.replace(hour=16))
        appointments.fill(session, row, replace(moved, ends=moved.starts + timedelta(hours=1)), NOW)

    edit(practice, 0, Scope.ALL, starts=TUESDAY.replace(hour=11))

    assert times() == ["11-24 11:00", "12-01 16:00", "12-08 11:00", "12-15 11:00"]


def test_calendars_of_others_stay_as_they_are(practice: Practice, begin: Begin) -> None:
    begin()
    annas = access.calendar(practice.anna, practice.annas_calendar).version

    edit(practice, 0, Scope.ALL, note="Said")

    assert db.session.get_one(Calendar, int(practice.annas_calendar)).version == annas
