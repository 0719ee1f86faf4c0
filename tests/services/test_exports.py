"""What is exported is what is there, is no formula anywhere, and our own import reads it again."""

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import assume, given
from hypothesis import strategies as st
from icalendar import Calendar as Parsed
from sqlalchemy import select

from sync_ui.config import Config
from sync_ui.domain import ics_own
from sync_ui.domain import ics_read as reading
from sync_ui.domain.csv_read import read_csv
from sync_ui.domain.csv_write import write_table
from sync_ui.domain.event import TELEHEALTH, DisplayMode, Kind, Status
from sync_ui.domain.reading import one_line, prose
from sync_ui.domain.roles import Role
from sync_ui.errors import Invalid, NotFound, Refused
from sync_ui.models import Appointment, AuditEntry, Client, Location, db, transaction
from sync_ui.models import Practice as PracticeRow
from sync_ui.services import accounts, appointments, clients, exports, links, people, plans
from sync_ui.services.access import Actor
from sync_ui.services.exports import Span
from sync_ui.services.plans import Plan
from tests import queries
from tests.practice import ZONE, Book, Practice, running

YEAR = Span(None, date(2026, 1, 1), date(2027, 12, 31), notes=True)


def own(practice: Practice, **other: object) -> Span:
    return replace(YEAR, clinician_id=practice.unlu.clinician_id, **other)  # type: ignore[arg-type]


def table(data: bytes) -> list[dict[str, str]]:
    text = data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def facts() -> list[tuple[object, ...]]:
    """Every appointment as people know it, without the numbers of rows."""
    db.session.rollback()
    found = db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    return [
        (
            a.starts_at,
            a.ends_at,
            a.starts_local,
            a.zone,
            a.all_day,
            a.kind,
            a.status,
            a.title,
            a.location,
            a.note,
            [(c.first_name, c.last_name, c.internal_id) for c in a.clients],
        )
        for a in found
    ]


@contextmanager
def empty_practice(installation: Path, directory: Path) -> Iterator[Flask]:
    """Another one, where nobody has been seen yet."""
    shutil.copytree(installation, directory)
    for app in running(Config(data_dir=directory, base_url="http://127.0.0.1:8000")):
        with transaction() as session:
            session.get_one(PracticeRow, 1).zone = ZONE
            session.add(Location(name="Room 2"))
            user = accounts.add_user(
                session, "eva@example.com", "Eva Holm", Role.CLINICIAN, "no password"
            )
            people.add_clinician(session, "Eva Holm", user)
        yield app


@pytest.mark.parametrize(
    ("export", "whose"),
    [
        (exports.schedule_table, "own"),
        (exports.schedule_calendar, "own"),
        (exports.schedule_calendar, "everyone's"),
    ],
    ids=["CSV", "ICS", "ICS of everyone"],
)
def test_an_export_imported_elsewhere_gives_equal_appointments(
    export: Callable[[Actor, Span], bytes],
    whose: str,
    app: Flask,
    practice: Practice,
    book: Book,
    empty_installation: Path,
    tmp_path: Path,
) -> None:
    lopez = clients.create(practice.sam, first_name="María José", last_name="López García").id
    cher = clients.create(practice.sam, first_name="Cher").id
    plus = clients.create(practice.sam, first_name="=Jane", last_name="+Smith & Sons").id
    book(practice.jane, location="Room 2", note='Came late;\n=1+1 “quoted” "so", see\n- more')
    book(lopez, practice.mark, cher, plus, at="2026-11-24 11:00")
    appointments.cancel(practice.unlu, book(practice.zoe, at="2026-11-25 10:00").id)
    appointments.cancel(practice.unlu, book(cher, at="2026-11-25 12:00").id, late=True)
    book(plus, at="2026-11-25 14:00", status=Status.NO_SHOW, location=TELEHEALTH)
    book(at="2026-11-26 09:00", kind=Kind.MEETING, title="@everyone: 'team', week 48")
    book(at="2026-11-26 12:00", kind=Kind.SUPERVISION, title="'=supervision")
    book(at="2026-11-26 13:00", kind=Kind.MEETING, title="Call with Jane Smith")
    book(at="2026-11-26 14:00", kind=Kind.SUPERVISION)
    book(at="2026-11-26 15:00", kind=Kind.OTHER, title="Peter Pan", status=Status.CANCELLED)
    book(at="2026-11-27 00:00", minutes=3 * 24 * 60, kind=Kind.TIME_OFF, all_day=True)
    book(at="2026-12-01 00:00", minutes=24 * 60, kind=Kind.OTHER, title="Audit", all_day=True)
    book(practice.jane, at="2026-12-02 23:30", minutes=60)
    group = [clients.create(practice.sam, first_name=f"Nora {n}").id for n in "ABCDEF"]
    book(*group, at="2026-12-03 10:00", title="Skills group", note="<b>Bring</b> a pen")
    book(practice.zoe, at="2026-12-03 12:00", title="Intake; 1, 2")
    # The clocks change: in the odd hours, and over them.
    if export is exports.schedule_table:  # a calendar tells moments, and there is none at 2:30
        book(practice.mark, at="2027-03-14 02:30")
    book(practice.jane, at="2027-03-14 01:00", minutes=180)
    book(practice.mark, at="2026-11-01 01:30", minutes=50)
    book(practice.jane, at="2026-10-31 22:00", minutes=8 * 60)
    there = facts()
    file = tmp_path / "export"
    span = own(practice) if whose == "own" else YEAR
    file.write_bytes(export(practice.sam, span))

    with empty_practice(empty_installation, tmp_path / "other") as other:
        done = other.test_cli_runner().invoke(
            args=["appointments", "import", str(file), "--clinician", "eva@example.com"]
        )
        assert done.exit_code == 0, done.output
        assert facts() == there


@pytest.mark.parametrize("export", [exports.schedule_table, exports.schedule_calendar])
def test_an_all_day_appointment_ends_on_its_first_day_at_the_earliest(
    export: Callable[[Actor, Span], bytes], practice: Practice, book: Book
) -> None:
    for day, hours in ((1, -24), (3, 0), (5, 10), (7, 24), (9, 30)):
        starts = f"2026-12-0{day} 00:00"
        made = book(at=starts, minutes=24 * 60, kind=Kind.OTHER, title=f"{hours}", all_day=True)
        with transaction() as session:
            row = session.get_one(Appointment, made.id)
            row.ends_at = row.starts_at + timedelta(hours=hours)

    read = reading.read(export(practice.unlu, own(practice)), ZONE, date(2026, 1, 1))

    assert read.problems == ()
    assert {entry.title: (entry.starts, entry.ends) for entry in read.entries} == {
        "-24": (date(2026, 12, 1), date(2026, 12, 2)),
        "0": (date(2026, 12, 3), date(2026, 12, 4)),
        "10": (date(2026, 12, 5), date(2026, 12, 6)),
        "24": (date(2026, 12, 7), date(2026, 12, 8)),
        "30": (date(2026, 12, 9), date(2026, 12, 11)),
    }


def test_a_feed_says_nothing_of_what_an_export_says_beside(
    app: Flask, practice: Practice, book: Book
) -> None:
    book(practice.jane, practice.mark, title="Skills group", status=Status.NO_SHOW)
    book(at="2026-11-26 09:00", kind=Kind.SUPERVISION, title="Supervision of Zoë")
    words = ics_own.PREFIX.encode()
    assert words in exports.schedule_calendar(practice.unlu, own(practice))

    for mode in DisplayMode:
        link = links.create(practice.unlu, practice.unlus_calendar, "Phone", mode, confirmed=True)
        address = links.address(link)
        assert address is not None
        feed = app.test_client().get(address.removeprefix("https://calendar.example.com")).data
        assert (feed.count(b"BEGIN:VEVENT"), feed.count(words)) == (2, 0)
        extensions = {line.partition(b":")[0] for line in feed.splitlines() if line[:2] == b"X-"}
        assert extensions == {
            b"X-WR-CALNAME",
            b"X-WR-CALDESC",
            b"X-WR-TIMEZONE",
            b"X-PUBLISHED-TTL",
            b"X-APPLE-CALENDAR-COLOR",
            b"X-MICROSOFT-CDO-BUSYSTATUS",
        }


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(prose)
LINES = TEXTS.map(one_line)
# Around the changes of the clocks of these zones, by the quarter of an hour.
EDGES = (datetime(2026, 3, 8), datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 11, 1))
WALLS = st.builds(
    lambda edge, quarters: edge + timedelta(minutes=15 * quarters),
    st.sampled_from(EDGES),
    st.integers(-96, 192),
)


@pytest.mark.bar("I8")
@given(
    starts=WALLS,
    minutes=st.integers(5, 1500),
    zone=st.sampled_from([ZONE, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    people=st.lists(st.tuples(LINES, LINES).filter(lambda name: name[0]), max_size=3, unique=True),
    title=LINES,
    note=TEXTS,
    kind=st.sampled_from(Kind),
    status=st.sampled_from(Status),
)
def test_whatever_is_written_our_import_reads_so(
    starts: datetime,
    minutes: int,
    zone: str,
    people: list[tuple[str, str]],
    title: str,
    note: str,
    kind: Kind,
    status: Status,
) -> None:
    plan = Plan(starts=starts, ends=starts + timedelta(minutes=minutes), zone=zone)
    starts_at, ends_at = plans.moments(plan)
    assume(ends_at > starts_at)
    row: Any = SimpleNamespace(
        uid="A-1",
        kind=kind,
        status=status,
        title=title,
        location="",
        note=note,
        zone=zone,
        starts_local=starts,
        starts_at=starts_at,
        ends_at=ends_at,
        all_day=False,
        clinician="Dr. Ünlü",
        type=None,
    )
    attending = [(first, last, f"{n}") for n, (first, last) in enumerate(people)]
    cells = exports.table_rows(row, attending, YEAR)

    read = read_csv(write_table(exports.SCHEDULE_COLUMNS, cells), ZONE, date(2026, 1, 1))

    assert read.problems == ()
    (entry,) = read.entries
    assert (entry.starts, entry.zone, entry.clients) == (starts, zone, tuple(people))
    assert (entry.title, entry.note, entry.kind, entry.status) == (title, note, kind, status)
    assert isinstance(entry.ends, datetime)
    assert plans.moments(Plan(starts=starts, ends=entry.ends, zone=zone)) == (starts_at, ends_at)


def test_a_span_holds_its_days_and_no_others(practice: Practice, book: Book) -> None:
    book(practice.jane, at="2026-11-23 23:30", minutes=20)
    book(practice.jane, at="2026-11-24 00:00")
    book(practice.jane, at="2026-11-25 23:30", minutes=60)
    book(practice.jane, at="2026-11-26 00:30")
    span = own(practice, first=date(2026, 11, 24), last=date(2026, 11, 25))

    found = table(exports.schedule_table(practice.unlu, span))

    assert [row["Start Date"] for row in found] == ["2026-11-24", "2026-11-25"]


@pytest.mark.bar("I8")
def test_a_formula_in_a_name_stays_text(practice: Practice, book: Book) -> None:
    first_name = '=HYPERLINK("http://example.com")'
    client = clients.create(practice.sam, first_name=first_name, last_name="-1")
    book(client.id, note="+cmd")
    assert csv_by_hand(client.first_name).startswith('"=')

    (row,) = table(exports.schedule_table(practice.unlu, own(practice)))
    listed = table(exports.client_table(practice.sam))

    assert (row["First Name"], row["Last Name"], row["Notes"]) == (f"'{first_name}", "'-1", "'+cmd")
    assert {each["First Name"] for each in listed} == {"Jane", "Mark", "Zoë", f"'{first_name}"}


def csv_by_hand(cell: str) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([cell])
    return text.getvalue()


def test_private_notes_are_left_out_unless_asked_for(practice: Practice, book: Book) -> None:
    book(practice.jane, note="Do not call at work")
    with_notes, without = own(practice), own(practice, notes=False)

    for export in (exports.schedule_table, exports.schedule_calendar):
        assert b"Do not call" in export(practice.unlu, with_notes)
        assert b"Do not call" not in export(practice.unlu, without)


@pytest.mark.bar("Z1")
def test_a_clinician_exports_the_own_schedule_only(practice: Practice, book: Book) -> None:
    book(practice.jane)
    book(practice.zoe, actor=practice.anna)
    annas = replace(YEAR, clinician_id=practice.anna.clinician_id)
    for export in (exports.schedule_table, exports.schedule_calendar):
        assert b"Garc" in export(practice.anna, annas)
        assert b"Garc" in export(practice.sam, YEAR)
        assert b"Garc" not in export(practice.unlu, own(practice))

        with pytest.raises(NotFound):
            export(practice.unlu, annas)
        with pytest.raises(Refused):
            export(practice.unlu, YEAR)


def test_clients_are_exported_by_schedulers_with_those_who_left(
    practice: Practice, book: Book
) -> None:
    book(practice.jane)
    clients.archive(practice.sam, practice.jane)
    with pytest.raises(Refused):
        exports.client_table(practice.unlu)

    found = table(exports.client_table(practice.sam))

    assert [(row["Last Name"], row["Internal ID"], row["Archived"]) for row in found] == [
        ("O'Brien-García", "2001", ""),
        ("Smith", "1042", "2026-11-23"),
        ("Smith", "1043", ""),
    ]


def test_a_calendar_holds_full_names_and_says_what_was_cancelled(
    practice: Practice, book: Book
) -> None:
    with transaction() as session:
        session.get_one(Client, practice.jane).ceiling = DisplayMode.BUSY
    book(practice.jane, practice.mark, location="Room 2")
    appointments.cancel(practice.unlu, book(practice.mark, at="2026-11-25 10:00").id)
    book(at="2026-11-26 00:00", minutes=24 * 60, kind=Kind.TIME_OFF, all_day=True)

    events = Parsed.from_ical(exports.schedule_calendar(practice.sam, YEAR)).events

    assert [(str(e["SUMMARY"]), str(e["STATUS"]), str(e["TRANSP"])) for e in events] == [
        ("Dr. Ünlü: Jane Smith & Mark Smith", "CONFIRMED", "OPAQUE"),
        ("Dr. Ünlü: Mark Smith", "CANCELLED", "TRANSPARENT"),
        ("Dr. Ünlü: Time off", "CONFIRMED", "OPAQUE"),
    ]
    starts = events[0].start
    assert isinstance(starts, datetime)
    assert starts.astimezone(ZoneInfo(ZONE)).hour == 10
    assert (events[2].start, events[2].end) == (date(2026, 11, 26), date(2026, 11, 27))


@pytest.mark.bar("O1", "O3")
def test_every_export_is_in_the_audit_without_a_name(practice: Practice, book: Book) -> None:
    book(practice.jane)

    exports.schedule_table(practice.unlu, own(practice))
    exports.schedule_calendar(practice.sam, YEAR)
    exports.client_table(practice.sam)

    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(3)).all()
    assert [(entry.actor, entry.action, entry.subject) for entry in reversed(last)] == [
        (
            practice.unlu.word,
            "appointment.exported",
            f"clinician:{practice.unlu.clinician_id}",
        ),
        (practice.sam.word, "appointment.exported", "practice"),
        (practice.sam.word, "client.exported", "practice"),
    ]
    assert [entry.detail.get("appointments", entry.detail.get("clients")) for entry in last] == [
        3,
        1,
        1,
    ]
    assert not re.search("jane|smith", f"{[entry.detail for entry in last]}", re.IGNORECASE)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 2, 1), date(2026, 1, 31)),
        (date(1, 1, 1), date(2026, 1, 1)),
        (date(2026, 1, 1), date(9999, 12, 31)),
    ],
)
def test_a_span_must_be_one(practice: Practice, first: date, last: date) -> None:
    with pytest.raises(Invalid):
        exports.schedule_table(practice.sam, replace(YEAR, first=first, last=last))


def test_an_export_asks_as_often_for_many_as_for_few(practice: Practice, book: Book) -> None:
    book(practice.jane)

    def asked() -> list[int]:
        return [
            queries.number_of(lambda: exports.schedule_table(practice.sam, YEAR)),
            queries.number_of(lambda: exports.schedule_calendar(practice.sam, YEAR)),
            queries.number_of(lambda: exports.client_table(practice.sam)),
        ]

    before = asked()
    for day in range(1, 13):
        more = clients.create(practice.sam, first_name=f"Paula {day}").id
        book(practice.jane, more, at=f"2026-12-{day:02} 10:00")

    assert asked() == before
