from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from sync_ui.domain.event import Kind, Status
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Appointment, AuditEntry, Client, ImportFile, Practice, Series, db
from sync_ui.services import appointments, clients, imports, series, uploads
from sync_ui.services.access import COMMAND
from sync_ui.services.imports import Preview
from sync_ui.services.merge import Outcome
from tests.practice import Clock
from tests.practice import Practice as People


def calendar(*events: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Google Inc//Google Calendar//EN"]
    for event in events:
        lines += ["BEGIN:VEVENT", *event.strip().split("\n"), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


PAULA = """UID:paula@example.com
DTSTART;TZID=America/New_York:20261201T100000
DTEND;TZID=America/New_York:20261201T105000
SUMMARY:Paula Brown"""

STAFF = """UID:staff@example.com
DTSTART;TZID=America/New_York:20261202T120000
DTEND;TZID=America/New_York:20261202T130000
SUMMARY:Staff meeting"""

WEEKLY = """UID:weekly@example.com
DTSTART;TZID=America/New_York:20261201T100000
DTEND;TZID=America/New_York:20261201T105000
RRULE:FREQ=WEEKLY;COUNT=4
SUMMARY:Jane Smith"""

MOVED = """UID:weekly@example.com
RECURRENCE-ID;TZID=America/New_York:20261208T100000
DTSTART;TZID=America/New_York:20261209T150000
DTEND;TZID=America/New_York:20261209T155000
SUMMARY:Jane Smith"""

CANCELLED = """UID:weekly@example.com
RECURRENCE-ID;TZID=America/New_York:20261215T100000
DTSTART;TZID=America/New_York:20261215T100000
DTEND;TZID=America/New_York:20261215T105000
STATUS:CANCELLED
SUMMARY:Jane Smith"""

FOR_EVER = WEEKLY.replace(";COUNT=4", "")


@pytest.fixture
def bring_in(practice: People) -> Callable[..., Preview]:
    """`bring_in(PAULA)` imports a calendar of these events into Dr. Ünlü's schedule."""

    def bring(*events: str, data: bytes = b"", **more: object) -> Preview:
        assert practice.unlu.clinician_id is not None
        content = data or calendar(*events)
        return imports.apply(practice.sam, practice.unlu.clinician_id, content, **more)  # type: ignore[arg-type]

    return bring


def schedule() -> list[tuple[str, str, Status]]:
    """(start on the wall, who or what, status) of everything in the schedule."""
    return [
        (
            f"{found.starts_local:%Y-%m-%d %H:%M}",
            " & ".join(f"{c.first_name} {c.last_name}" for c in found.clients) or found.title,
            found.status,
        )
        for found in db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    ]


def everything() -> list[tuple[object, ...]]:
    """Every row that an import could touch, but the audit's."""
    db.session.expire_all()
    tables = (Appointment, Series, Client, Practice)
    return [
        tuple(row)
        for table in tables
        for row in db.session.execute(select(table.__table__).order_by(table.__table__.c.id))
    ]


def test_a_title_like_a_name_becomes_a_client_once(bring_in: Callable[..., Preview]) -> None:
    done = bring_in(PAULA, PAULA.replace("paula@", "again@").replace("20261201", "20261208"))

    assert done.counts == {Outcome.NEW: 2}
    assert done.new_clients == 1
    assert schedule() == [
        ("2026-12-01 10:00", "Paula Brown", Status.SCHEDULED),
        ("2026-12-08 10:00", "Paula Brown", Status.SCHEDULED),
    ]


def test_a_known_client_is_found_by_any_spelling_of_case(
    practice: People, bring_in: Callable[..., Preview]
) -> None:
    done = bring_in(PAULA.replace("Paula Brown", "  zoë   o'brien-garcía "))

    assert done.new_clients == 0
    assert db.session.scalars(select(Appointment)).one().clients[0].id == practice.zoe


def test_a_couple_in_a_title_is_two_clients(
    practice: People, bring_in: Callable[..., Preview]
) -> None:
    bring_in(PAULA.replace("Paula Brown", "Jane Smith & Mark Smith"))

    attending = db.session.scalars(select(Appointment)).one().clients
    assert [client.id for client in attending] == [practice.jane, practice.mark]


def test_a_meeting_is_no_client_and_says_its_kind(bring_in: Callable[..., Preview]) -> None:
    done = bring_in(STAFF)

    found = db.session.scalars(select(Appointment)).one()
    assert (found.kind, found.title, found.clients) == (Kind.MEETING, "Staff meeting", [])
    assert [(title.text, title.is_client) for title in done.titles] == [("Staff meeting", False)]


def test_an_answer_about_a_title_counts_and_is_remembered(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(STAFF, answers={"Staff meeting": True})

    assert schedule() == [("2026-12-02 12:00", "Staff meeting", Status.SCHEDULED)]
    assert db.session.scalars(select(Appointment)).one().kind is Kind.SESSION
    assert bring_in(STAFF).counts == {Outcome.UNCHANGED: 1}


def test_the_command_takes_each_unknown_title_for_a_client(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(STAFF, take_titles=True)

    assert db.session.scalars(select(Appointment)).one().kind is Kind.SESSION


@pytest.mark.bar("I8")
def test_importing_twice_changes_nothing(bring_in: Callable[..., Preview]) -> None:
    bring_in(PAULA, STAFF, WEEKLY, MOVED, CANCELLED)
    before = everything()

    done = bring_in(PAULA, STAFF, WEEKLY, MOVED, CANCELLED)

    assert done.counts == {Outcome.UNCHANGED: 3}
    assert everything() == before


def test_importing_twice_a_day_later_changes_no_appointment(
    bring_in: Callable[..., Preview], now: Clock
) -> None:
    bring_in(FOR_EVER)
    count = len(schedule())
    now.move(days=1)

    assert bring_in(FOR_EVER).counts == {Outcome.UNCHANGED: 1}
    assert len(schedule()) == count


def test_a_changed_event_updates_and_keeps_its_uid(bring_in: Callable[..., Preview]) -> None:
    bring_in(PAULA)
    before = db.session.scalars(select(Appointment)).one()
    uid, revision = before.uid, before.revision

    done = bring_in(PAULA.replace("T10", "T11"))

    after = db.session.scalars(select(Appointment)).one()
    assert done.counts == {Outcome.CHANGED: 1}
    assert (after.uid, after.revision) == (uid, revision + 1)
    assert schedule() == [("2026-12-01 11:00", "Paula Brown", Status.SCHEDULED)]


def test_an_edit_made_here_survives_the_same_file(
    practice: People, bring_in: Callable[..., Preview]
) -> None:
    bring_in(PAULA)
    appointments.cancel(practice.unlu, db.session.scalars(select(Appointment)).one().id)

    assert bring_in(PAULA).counts == {Outcome.UNCHANGED: 1}
    assert bring_in(PAULA.replace("T10", "T11")).counts == {Outcome.CHANGED: 1}
    assert schedule() == [("2026-12-01 11:00", "Paula Brown", Status.CANCELLED)]


def test_a_client_renamed_here_is_found_again(
    practice: People, bring_in: Callable[..., Preview]
) -> None:
    bring_in(PAULA)
    paula = db.session.scalars(select(Client).where(Client.first_name == "Paula")).one()
    clients.change(
        practice.sam,
        paula.id,
        first_name="Paula",
        last_name="Green",
        preferred_name="",
        internal_id=paula.internal_id,
        ceiling=None,
    )

    assert bring_in(PAULA).counts == {Outcome.UNCHANGED: 1}
    assert db.session.scalar(select(func.count(Client.id))) == 4


def test_a_series_comes_with_its_moved_and_cancelled_turns(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(WEEKLY, MOVED, CANCELLED)

    assert schedule() == [
        ("2026-12-01 10:00", "Jane Smith", Status.SCHEDULED),
        ("2026-12-09 15:00", "Jane Smith", Status.SCHEDULED),
        ("2026-12-22 10:00", "Jane Smith", Status.SCHEDULED),
    ]


def test_a_turn_cancelled_later_is_cancelled_here(bring_in: Callable[..., Preview]) -> None:
    bring_in(WEEKLY)

    done = bring_in(WEEKLY, CANCELLED)

    assert done.counts == {Outcome.CHANGED: 1}
    assert schedule() == [
        ("2026-12-01 10:00", "Jane Smith", Status.SCHEDULED),
        ("2026-12-08 10:00", "Jane Smith", Status.SCHEDULED),
        ("2026-12-15 10:00", "Jane Smith", Status.CANCELLED),
        ("2026-12-22 10:00", "Jane Smith", Status.SCHEDULED),
    ]
    assert bring_in(WEEKLY, CANCELLED).counts == {Outcome.UNCHANGED: 1}


def test_a_turn_moved_later_moves_here_and_keeps_its_uid(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(WEEKLY)
    uids = set(db.session.scalars(select(Appointment.uid)))

    bring_in(WEEKLY, MOVED)

    assert [start for start, _, _ in schedule()] == [
        "2026-12-01 10:00",
        "2026-12-09 15:00",
        "2026-12-15 10:00",
        "2026-12-22 10:00",
    ]
    assert set(db.session.scalars(select(Appointment.uid))) == uids


def test_a_single_event_that_begins_to_repeat_stays_the_same_appointment(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(WEEKLY.replace("RRULE:FREQ=WEEKLY;COUNT=4\n", ""))
    uid = db.session.scalars(select(Appointment.uid)).one()

    bring_in(WEEKLY)

    first = select(Appointment.uid).order_by(Appointment.starts_at)
    assert db.session.scalars(first).first() == uid
    assert len(schedule()) == 4


def test_a_series_that_stops_repeating_leaves_one_appointment(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(WEEKLY)

    bring_in(WEEKLY.replace("RRULE:FREQ=WEEKLY;COUNT=4\n", ""))

    scheduled = [start for start, _, status in schedule() if status is Status.SCHEDULED]
    assert scheduled == ["2026-12-01 10:00"]


def test_an_endless_series_is_kept_a_year_ahead_and_extended(
    bring_in: Callable[..., Preview], now: Clock
) -> None:
    bring_in(FOR_EVER)
    assert schedule()[-1][0] == "2027-11-23 10:00"
    count = len(schedule())

    assert series.extend(COMMAND) == 0
    now.move(days=14)
    assert series.extend(COMMAND) == 2

    assert schedule()[-1][0] == "2027-12-07 10:00"
    assert len(schedule()) == count + 2
    assert series.extend(COMMAND) == 0


def test_a_weekly_session_stays_at_ten_across_daylight_saving(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(FOR_EVER)

    assert {start[-5:] for start, _, _ in schedule()} == {"10:00"}
    in_utc = {found.starts_at.hour for found in db.session.scalars(select(Appointment))}
    assert in_utc == {14, 15}


def test_an_address_that_is_no_place_of_the_practice_stays_in_the_note(
    bring_in: Callable[..., Preview],
) -> None:
    places = {
        "LOCATION:12 Elm Street": ("", "Location: 12 Elm Street"),
        "LOCATION:room 2": ("Room 2", ""),
        "LOCATION:https://zoom.us/j/1": ("Telehealth", "https://zoom.us/j/1"),
    }
    for number, place in enumerate(places):
        bring_in(PAULA.replace("paula@", f"{number}@") + f"\n{place}")

    found = db.session.scalars(select(Appointment).order_by(Appointment.id))
    assert [(row.location, row.note) for row in found] == list(places.values())


@pytest.mark.bar("I8")
def test_a_wrong_row_stops_the_import_until_it_is_left_out(
    bring_in: Callable[..., Preview], practice: People
) -> None:
    data = (
        b"Client,Start,Minutes\nPaula Brown,2026-12-01 10:00,50\n"
        b"Ravi Shah,yesterday,50\nLucy Hill,2026-12-03 10:00,50\n"
    )
    assert practice.unlu.clinician_id is not None
    preview = imports.look(practice.sam, practice.unlu.clinician_id, data)
    assert [problem.line for problem in preview.problems] == [3]

    with pytest.raises(Conflict):
        bring_in(data=data)
    assert schedule() == []

    bring_in(data=data, skip_wrong_rows=True)
    assert [who for _, who, _ in schedule()] == ["Paula Brown", "Lucy Hill"]


def test_an_internal_id_column_finds_the_client(
    bring_in: Callable[..., Preview], practice: People
) -> None:
    bring_in(data=b"Client ID,Start,Minutes\n1042,2026-12-01 10:00,50\n")

    assert db.session.scalars(select(Appointment)).one().clients[0].id == practice.jane


def test_an_unknown_internal_id_is_a_wrong_row(
    bring_in: Callable[..., Preview],
) -> None:
    with pytest.raises(Conflict):
        bring_in(data=b"Client ID,Start,Minutes\n9999,2026-12-01 10:00,50\n")


def test_a_look_changes_nothing(practice: People) -> None:
    before = everything()
    assert practice.unlu.clinician_id is not None

    preview = imports.look(practice.sam, practice.unlu.clinician_id, calendar(PAULA, WEEKLY))

    assert preview.summary(applied=False) == (
        "Would import: 2 new, 0 changed, 0 unchanged, 0 cancelled; 1 new clients."
    )
    assert everything() == before
    assert db.session.scalar(select(func.count(AuditEntry.id))) == 0


@pytest.mark.bar("O1", "O3")
def test_an_import_writes_one_audit_row_without_names(bring_in: Callable[..., Preview]) -> None:
    bring_in(PAULA, WEEKLY)

    (entry,) = db.session.scalars(select(AuditEntry))
    assert (entry.action, entry.detail) == ("import.applied", {"new": 2})


def test_an_import_moves_the_feed_and_an_unchanged_one_does_not(
    bring_in: Callable[..., Preview], practice: People
) -> None:
    from sync_ui.services import access  # late: needs the application's context

    version = access.calendar(practice.unlu, practice.unlus_calendar).version
    bring_in(PAULA)
    db.session.expire_all()
    moved = access.calendar(practice.unlu, practice.unlus_calendar).version
    bring_in(PAULA)
    db.session.expire_all()

    assert moved > version
    assert access.calendar(practice.unlu, practice.unlus_calendar).version == moved


def test_clinicians_do_not_import_and_strangers_find_no_upload(practice: People) -> None:
    assert practice.unlu.clinician_id is not None
    with pytest.raises(Refused):
        imports.look(practice.unlu, practice.unlu.clinician_id, calendar(PAULA))
    kept = uploads.keep(practice.sam, practice.unlu.clinician_id, calendar(PAULA))
    with pytest.raises(NotFound):
        uploads.kept_file(practice.ada, kept.id)

    uploads.discard(practice.sam, kept.id)
    assert db.session.scalar(select(func.count(ImportFile.id))) == 0


@pytest.mark.bar("I5", "I9")
def test_a_login_page_instead_of_a_calendar_is_one_sentence(
    bring_in: Callable[..., Preview], app: Flask
) -> None:
    with pytest.raises(Invalid):
        bring_in(data=b"<!doctype html><title>Sign in</title>")


def test_the_preview_tells_the_practices_time(practice: People) -> None:
    assert practice.unlu.clinician_id is not None
    london = PAULA.replace("America/New_York", "Europe/London")
    day = STAFF.replace(";TZID=America/New_York:20261202T120000", ";VALUE=DATE:20261202").replace(
        "DTEND;TZID=America/New_York:20261202T130000\n", ""
    )

    rows = imports.look(practice.sam, practice.unlu.clinician_id, calendar(london, day)).rows

    assert [row.starts for row in rows] == [
        datetime(2026, 12, 1, 10, tzinfo=UTC),
        date(2026, 12, 2),
    ]


def test_an_all_day_name_is_no_likely_client(practice: People) -> None:
    assert practice.unlu.clinician_id is not None
    birthday = """UID:birthday@example.com
DTSTART;VALUE=DATE:20261126
SUMMARY:Aunt Agatha"""

    preview = imports.look(
        practice.sam,
        practice.unlu.clinician_id,
        calendar(birthday, PAULA + "\nTRANSP:TRANSPARENT"),
    )

    assert [(title.text, title.is_client) for title in preview.titles] == [
        ("Aunt Agatha", False),
        ("Paula Brown", False),
    ]


def test_a_duration_in_the_hour_that_comes_twice_is_no_wrong_row(
    bring_in: Callable[..., Preview],
) -> None:
    bring_in(
        """UID:night@example.com
DTSTART;TZID=America/New_York:20261101T013000
DURATION:PT50M
SUMMARY:Night Owl"""
    )

    found = db.session.scalars(select(Appointment)).one()
    assert found.ends_at - found.starts_at == timedelta(minutes=50)


TWO_JANES = b"""\
Client ID,Client,Start,Minutes
77,Jane Smith,2026-12-01 10:00,50
78,Jane Smith,2026-12-01 12:00,50
77,Jane Smith,2026-12-08 10:00,50
"""


def test_two_numbers_in_a_file_are_two_clients_of_one_name(
    bring_in: Callable[..., Preview], practice: People
) -> None:
    """The first of them may be the Jane Smith whom we know; the second is somebody else."""
    for new in (1, 0):
        assert bring_in(data=TWO_JANES).new_clients == new

    assert numbers() == [("01 10", "1042"), ("01 12", "78"), ("08 10", "1042")]


def test_whom_the_file_knows_by_our_number_is_nobody_else(
    bring_in: Callable[..., Preview], practice: People
) -> None:
    bring_in(data=TWO_JANES + b"1042,Jane Smith,2026-12-02 10:00,50\n")

    assert [number for _, number in numbers()] == ["77", "78", "1042", "77"]


def numbers() -> list[tuple[str, str]]:
    """(day and hour, the client's internal ID) of every appointment."""
    found = db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    return [(f"{a.starts_local:%d %H}", a.clients[0].internal_id) for a in found]
