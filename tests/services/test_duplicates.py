"""Two records of one person become one, and nothing is lost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from icalendar import Calendar as Parsed
from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain.event import DisplayMode, Kind
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import (
    Appointment,
    AuditEntry,
    Calendar,
    Client,
    ImportedTitle,
    Initials,
    Series,
    db,
    transaction,
)
from sync_ui.services import appointments, clients, duplicates, feeds, links, plans
from sync_ui.services.access import Actor
from tests import queries
from tests.practice import Book, Clock, Practice, token_of


def add(first_name: str, last_name: str = "", preferred_name: str = "") -> int:
    with transaction() as session:
        added = clients.add(session, first_name, last_name, preferred_name)
        session.flush()
        return added.id


def attending(appointment: Appointment) -> list[int]:
    db.session.rollback()
    return [client.id for client in db.session.get_one(Appointment, appointment.id).clients]


def summaries(token: str) -> list[str]:
    events = Parsed.from_ical(feeds.read(token).body).events
    return sorted(str(event["SUMMARY"]) for event in events)


def suggested(actor: Actor) -> list[set[int]]:
    return [{one.id, other.id} for one, other in duplicates.suggestions(actor)]


def test_the_same_name_is_suggested(practice: Practice) -> None:
    assert suggested(practice.sam) == []
    zoe = add("Zoe", "O’Brien-Garcia")
    jane = add("  jane ", "SMITH")
    add("Jane", "Doe")
    add("Jane")
    add("Jane")

    assert suggested(practice.sam) == [{practice.zoe, zoe}, {practice.jane, jane}]


def test_a_preferred_name_is_compared_with_first_names(practice: Practice) -> None:
    elizabeth = add("Elizabeth", "Smith", preferred_name="Jane")
    other = add("Liz", "Smith", preferred_name="Jane")

    assert {frozenset(pair) for pair in suggested(practice.sam)} == {
        frozenset({practice.jane, elizabeth}),
        frozenset({practice.jane, other}),
        frozenset({elizabeth, other}),
    }


def test_suggestions_are_for_schedulers_and_ask_once(practice: Practice) -> None:
    for _ in range(20):
        add("Jane", "Smith")

    assert len(duplicates.suggestions(practice.sam)) == duplicates.MOST_SUGGESTED
    assert queries.number_of(lambda: duplicates.suggestions(practice.sam)) == 1
    with pytest.raises(Refused):
        duplicates.suggestions(practice.unlu)


def test_the_kept_client_has_the_appointments_of_both(practice: Practice, book: Book) -> None:
    twin = add("Jane", "Smyth")
    own = book(practice.jane)
    moved = book(twin, actor=practice.anna)
    couple = book(twin, practice.mark, at="2026-11-25 10:00")
    both = book(twin, practice.jane, practice.mark, at="2026-11-26 10:00")
    meeting = book(kind=Kind.MEETING, at="2026-11-27 10:00")
    before = {a.id: a.revision for a in (own, moved, couple, both, meeting)}

    duplicates.merge(practice.sam, practice.jane, twin)

    assert attending(own) == attending(moved) == [practice.jane]
    assert attending(couple) == [practice.jane, practice.mark]
    assert attending(both) == [practice.jane, practice.mark]
    grown = {a.id for a in db.session.scalars(select(Appointment)) if a.revision > before[a.id]}
    assert grown == {own.id, moved.id, couple.id, both.id}
    merged = db.session.get_one(Client, twin)
    assert (merged.merged_into_id, merged.archived_at is not None) == (practice.jane, True)


def test_feeds_show_the_kept_client_at_the_next_reading(
    practice: Practice, book: Book, now: Clock
) -> None:
    twin = add("Janet", "Smyth")
    book(practice.jane)
    book(twin, at="2026-11-25 10:00")
    book(twin, actor=practice.anna)
    full = links.create(practice.ada, "practice", "Phone", DisplayMode.FULL_NAME, confirmed=True)
    unlus = links.create(practice.ada, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    full_token, unlus_token = token_of(full), token_of(unlus)
    held = feeds.read(unlus_token)
    assert summaries(full_token) == [
        "Anna Bergström: Janet Smyth",
        "Dr. Ünlü: Jane Smith",
        "Dr. Ünlü: Janet Smyth",
    ]
    assert summaries(unlus_token) == ["J.S.1", "J.S.2"]
    now.move(minutes=1)

    duplicates.merge(practice.sam, practice.jane, twin)

    assert feeds.read(unlus_token, if_none_match=held.etag).status == 200
    assert summaries(full_token) == [
        "Anna Bergström: Jane Smith",
        "Dr. Ünlü: Jane Smith",
        "Dr. Ünlü: Jane Smith",
    ]
    assert summaries(unlus_token) == ["J.S.1", "J.S.1"]


def test_initials_are_numbered_with_every_clinician_and_never_change(
    practice: Practice, book: Book
) -> None:
    twin = add("Janet", "Smyth")
    book(practice.jane)
    book(twin, actor=practice.anna)
    before = [(i.clinician_id, i.client_id, i.number) for i in db.session.scalars(select(Initials))]

    duplicates.merge(practice.sam, practice.jane, twin)

    after = [(i.clinician_id, i.client_id, i.number) for i in db.session.scalars(select(Initials))]
    assert set(after) - set(before) == {(practice.anna.clinician_id, practice.jane, 2)}
    assert set(before) <= set(after)


def test_calendars_of_others_are_not_raised(practice: Practice, book: Book) -> None:
    twin = add("Jane", "Smith")
    book(twin)
    book(practice.zoe, actor=practice.anna)

    def versions() -> dict[int | None, int]:
        db.session.rollback()
        return {c.clinician_id: c.version for c in db.session.scalars(select(Calendar))}

    before = versions()
    duplicates.merge(practice.sam, practice.jane, twin)

    assert {key for key, version in versions().items() if version != before[key]} == {
        None,
        practice.unlu.clinician_id,
    }


@pytest.mark.parametrize(
    ("one", "other", "stricter"),
    [
        (None, None, None),
        (None, DisplayMode.INITIALS, DisplayMode.INITIALS),
        (DisplayMode.BUSY, None, DisplayMode.BUSY),
        (DisplayMode.FULL_NAME, DisplayMode.INITIALS, DisplayMode.INITIALS),
        (DisplayMode.BUSY, DisplayMode.FIRST_NAME, DisplayMode.BUSY),
    ],
)
def test_the_stricter_ceiling_wins(
    practice: Practice,
    one: DisplayMode | None,
    other: DisplayMode | None,
    stricter: DisplayMode | None,
) -> None:
    twin = add("Jane", "Smith")
    with transaction() as session:
        session.get_one(Client, practice.jane).ceiling = one
        session.get_one(Client, twin).ceiling = other

    assert duplicates.merge(practice.sam, practice.jane, twin).ceiling is stricter


def test_series_and_imported_titles_go_on_with_the_kept_client(
    practice: Practice, book: Book
) -> None:
    twin = add("Janey", "Smith")
    book(twin)
    clinician_id = practice.unlu.clinician_id
    assert clinician_id is not None
    with transaction() as session:
        series = Series(
            clinician_id=clinician_id,
            rule="FREQ=WEEKLY",
            kind=Kind.SESSION,
            zone="America/New_York",
            starts_local=clock.now().replace(tzinfo=None),
            ends_local=clock.now().replace(tzinfo=None),
            client_ids=[practice.mark, twin, practice.jane],
            extended_until=clock.now(),
            created_at=clock.now(),
        )
        title = ImportedTitle(clinician_id=clinician_id, title="J Smith 50min", client_id=twin)
        session.add_all([series, title])

    duplicates.merge(practice.sam, practice.jane, twin)

    assert db.session.scalars(select(Series)).one().client_ids == [practice.mark, practice.jane]
    titles = db.session.scalars(select(ImportedTitle).order_by(ImportedTitle.title))
    assert [(t.title, t.client_id) for t in titles] == [
        ("J Smith 50min", practice.jane),
        ("Janey Smith", practice.jane),
    ]


def test_old_addresses_lead_to_the_kept_client_also_twice_over(
    practice: Practice, book: Book
) -> None:
    twin, third = add("Janet", "Smith"), add("Janette", "Smith")
    book(third, actor=practice.anna)
    assert clients.record_of(practice.anna, third).id == third

    duplicates.merge(practice.sam, twin, third)
    duplicates.merge(practice.sam, practice.jane, twin)

    for old in (twin, third, practice.jane):
        assert clients.record_of(practice.anna, old).id == practice.jane
        with pytest.raises(NotFound):
            clients.record_of(practice.unlu, old)


def test_what_was_planned_with_a_duplicate_takes_place_with_the_kept_client(
    practice: Practice, book: Book
) -> None:
    twin = add("Janet", "Smyth")
    booked = book(practice.mark)
    with transaction() as session:
        planned = appointments.find_clients(session, [practice.mark, twin])
    plan = replace(plans.plan_of(booked), clients=planned)
    duplicates.merge(practice.sam, practice.jane, twin)

    appointments.change(practice.unlu, booked.id, plan)
    again = book(twin, practice.jane, at="2026-11-25 10:00")

    assert attending(booked) == [practice.mark, practice.jane]
    assert attending(again) == [practice.jane]
    with pytest.raises(Conflict):
        clients.change(
            practice.sam,
            twin,
            first_name="Janet",
            last_name="Smyth",
            preferred_name="",
            internal_id="77",
            ceiling=None,
        )


def test_a_merge_has_conditions(practice: Practice) -> None:
    twin, third, left = add("Jane", "Smith"), add("Jane", "Smith"), add("Jane", "Smith")
    clients.archive(practice.sam, left)
    with pytest.raises(Refused):
        duplicates.merge(practice.unlu, practice.jane, twin)
    with pytest.raises(Invalid):
        duplicates.merge(practice.sam, twin, twin)
    with pytest.raises(NotFound):
        duplicates.merge(practice.sam, practice.jane, 10**6)
    with pytest.raises(Conflict):
        duplicates.merge(practice.sam, left, twin)
    duplicates.merge(practice.sam, practice.jane, twin)

    with pytest.raises(Conflict):
        duplicates.merge(practice.sam, third, twin)
    with pytest.raises(Conflict):
        duplicates.merge(practice.sam, twin, third)
    with pytest.raises(Conflict):
        clients.restore(practice.sam, twin)
    duplicates.merge(practice.sam, practice.jane, left)
    assert suggested(practice.sam) == [{practice.jane, third}]


def test_the_audit_tells_ids_and_counts_alone(practice: Practice, book: Book) -> None:
    twin = add("Jane", "Smith")
    book(twin)

    duplicates.merge(practice.sam, practice.jane, twin)

    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last is not None
    assert (last.action, last.subject) == ("client.merged", f"client:{practice.jane}")
    assert last.detail == {"duplicate": twin, "appointments": 1}


def test_a_file_that_names_the_duplicate_brings_nothing_new(
    practice: Practice, command: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "week.csv"
    file.write_text(
        "Start Date,Start Time,Minutes,Client,Appointment ID\n"
        "2026-12-01,10:00,50,Janey Smythe,A-1\n"
        "2026-12-02,10:00,50,Jane Smith,A-2\n"
    )

    def bring_in() -> dict[str | None, tuple[int, list[int]]]:
        command("appointments", "import", str(file), "--clinician", "unlu@example.com")
        db.session.rollback()
        found = db.session.scalars(select(Appointment))
        return {a.import_key: (a.revision, [c.id for c in a.clients]) for a in found}

    bring_in()
    twin = db.session.scalars(select(Client.id).where(Client.last_name == "Smythe")).one()
    duplicates.merge(practice.sam, practice.jane, twin)
    db.session.rollback()
    merged = {a.import_key: a.revision for a in db.session.scalars(select(Appointment))}

    assert bring_in() == {key: (revision, [practice.jane]) for key, revision in merged.items()}
    assert merged.keys() == {"csv:A-1", "csv:A-2"}


def test_a_file_with_the_duplicates_internal_id_means_the_kept_client(
    practice: Practice, command: Callable[..., str], tmp_path: Path
) -> None:
    twin = db.session.get_one(Client, add("Janet", "Smyth"))
    duplicates.merge(practice.sam, practice.jane, twin.id)
    file = tmp_path / "week.csv"
    file.write_text(f"Start,Client ID\n2026-12-01T10:00,{twin.internal_id}\n")

    command("appointments", "import", str(file), "--clinician", "unlu@example.com")

    assert attending(db.session.scalars(select(Appointment)).one()) == [practice.jane]
