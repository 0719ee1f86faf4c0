"""A file dropped again: it updates and adds, asks about what vanished, leaves what is ours."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from sync_ui.domain.event import Status
from sync_ui.errors import Conflict
from sync_ui.models import Appointment, ImportedTitle, Series, db
from sync_ui.services import appointments, duplicates, imports, series
from sync_ui.services.access import COMMAND
from sync_ui.services.comparison import Outcome
from sync_ui.services.imports import Preview
from sync_ui.services.plans import plan_of
from tests.practice import Book, Clock
from tests.practice import Practice as People
from tests.services.test_imports import CANCELLED, PAULA, STAFF, WEEKLY, calendar, schedule

BringIn = Callable[..., Preview]

TABLE = """Client,Start,Minutes
Paula Brown,2026-11-20 10:00,50
Paula Brown,2026-12-01 10:00,50
Ravi Shah,2026-12-03 10:00,50
Lucy Hill,2026-12-08 10:00,50
"""


@pytest.fixture
def bring_in(practice: People) -> BringIn:
    def bring(*events: str, data: str = "", **more: object) -> Preview:
        assert practice.unlu.clinician_id is not None
        content = data.encode() or calendar(*events)
        return imports.apply(practice.sam, practice.unlu.clinician_id, content, **more)  # type: ignore[arg-type]

    return bring


def without(line: int) -> str:
    lines = TABLE.splitlines()
    return "\n".join([*lines[:line], *lines[line + 1 :]])


def statuses() -> list[str]:
    db.session.rollback()
    return [status.value for _, _, status in schedule()]


@pytest.mark.bar("I5")
def test_a_row_that_vanished_is_told_and_stays(practice: People, bring_in: BringIn) -> None:
    bring_in(data=TABLE)

    done = bring_in(data=without(3))

    (missing,) = done.missing
    assert (missing.what, missing.turns, missing.all_day) == ("Ravi Shah", 1, False)
    assert missing.starts == datetime(2026, 12, 3, 15, tzinfo=UTC)
    assert done.counts == {Outcome.UNCHANGED: 3}
    assert statuses() == ["scheduled"] * 4


def test_a_missing_row_that_was_ticked_is_cancelled(practice: People, bring_in: BringIn) -> None:
    bring_in(data=TABLE)
    (missing,) = bring_in(data=without(3)).missing

    done = bring_in(data=without(3), cancel_missing=[missing.id])

    assert done.counts == {Outcome.UNCHANGED: 3, Outcome.CANCELLED: 1}
    assert statuses() == ["scheduled", "scheduled", "cancelled", "scheduled"]
    assert bring_in(data=without(3)).missing == ()


def test_a_cancelled_row_that_is_in_the_file_again_is_back(bring_in: BringIn) -> None:
    bring_in(data=TABLE)
    bring_in(data=without(3), cancel_missing=None)

    bring_in(data=TABLE)

    assert statuses() == ["scheduled"] * 4


@pytest.mark.parametrize("line", [1, 4])
def test_what_is_past_or_beyond_the_files_days_is_not_missing(line: int, bring_in: BringIn) -> None:
    bring_in(data=TABLE)

    assert bring_in(data=without(line)).missing == ()


def test_only_files_of_the_same_kind_are_compared(practice: People, bring_in: BringIn) -> None:
    bring_in(data=TABLE)

    assert bring_in(PAULA, STAFF.replace("202612", "202712")).missing == ()
    other = TABLE.replace("Minutes", "Duration").replace("Ravi Shah,2026-12-03 10:00,50\n", "")
    assert bring_in(data=other).missing == ()


def test_another_clinicians_rows_are_not_missing(practice: People, bring_in: BringIn) -> None:
    assert practice.anna.clinician_id is not None
    imports.apply(practice.sam, practice.anna.clinician_id, TABLE.encode())

    assert bring_in(data=without(3)).missing == ()


def test_while_rows_are_wrong_nothing_is_cancelled_in_bulk(bring_in: BringIn) -> None:
    bring_in(data=TABLE)

    with pytest.raises(Conflict):
        bring_in(
            data=TABLE.replace("2026-12-03", "tomorrow"), skip_wrong_rows=True, cancel_missing=None
        )
    assert statuses() == ["scheduled"] * 4


def test_a_series_that_vanished_is_asked_about_as_one_and_ends(
    bring_in: BringIn, now: Clock
) -> None:
    endless = WEEKLY.replace(";COUNT=4", "")
    later = STAFF.replace("20261202", "20271102")
    bring_in(endless, PAULA, later)

    (missing,) = bring_in(PAULA, later).missing
    assert missing.what == "Jane Smith"
    done = bring_in(PAULA, later, cancel_missing=[missing.id])

    assert done.counts == {Outcome.UNCHANGED: 2, Outcome.CANCELLED: 1}
    now.move(days=60)
    series.extend(COMMAND)
    db.session.rollback()
    kept = [who for _, who, status in schedule() if status is Status.SCHEDULED]
    assert kept == ["Paula Brown", "Staff meeting"]


def test_a_change_says_what_changes(bring_in: BringIn) -> None:
    bring_in(PAULA)

    later = bring_in(PAULA.replace("T10", "T11") + "\nLOCATION:Room 2").rows[0]

    assert (later.said, later.was) == (("place",), datetime(2026, 12, 1, 15, tzinfo=UTC))
    assert later.starts == datetime(2026, 12, 1, 16, tzinfo=UTC)


def test_what_was_moved_here_stays_when_the_file_changes_something_else(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA)
    found = db.session.scalars(select(Appointment)).one()
    plan = plan_of(found)
    moved = plan.starts.replace(hour=16)
    ends = moved + (plan.ends - plan.starts)
    appointments.change(practice.unlu, found.id, replace(plan, starts=moved, ends=ends))

    bring_in(PAULA + "\nDESCRIPTION:Bring the forms")

    db.session.rollback()
    found = db.session.scalars(select(Appointment)).one()
    assert (found.starts_local, found.note) == (moved, "Bring the forms")


def test_what_another_clinician_has_taken_over_does_not_come_back(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA)
    found = db.session.scalars(select(Appointment)).one()
    plan = plan_of(found)
    appointments.change(practice.sam, found.id, plan, clinician_id=practice.anna.clinician_id)
    assert practice.anna.clinician_id is not None

    assert bring_in(PAULA).counts == {Outcome.UNCHANGED: 1}

    assert len(schedule()) == 1
    own = imports.apply(practice.sam, practice.anna.clinician_id, calendar(STAFF))
    assert own.counts == {Outcome.NEW: 1}


@pytest.mark.parametrize("prefix", ["A note of ours", ""])
def test_what_we_exported_ourselves_is_known_again(
    prefix: str, practice: People, bring_in: BringIn, book: Book
) -> None:
    uid = book(practice.jane, at="2026-12-01 10:00", note=prefix).uid
    lines = ["Client,Client ID,Start,Minutes,Status,Appointment ID"]
    same = f"Jane Smith,1042,2026-12-01 10:00,50,scheduled,{uid}"

    assert bring_in(data="\n".join([*lines, same])).counts == {Outcome.UNCHANGED: 1}
    moved = bring_in(data="\n".join([*lines, same.replace("10:00", "11:00")]))
    assert moved.counts == {Outcome.CHANGED: 1}
    assert practice.anna.clinician_id is not None
    other = "\n".join([*lines, same]).encode()
    elsewhere = imports.apply(practice.sam, practice.anna.clinician_id, other)
    assert elsewhere.counts == {Outcome.UNCHANGED: 1}

    db.session.rollback()
    found = db.session.scalars(select(Appointment)).one()
    assert (found.starts_local.hour, found.note) == (11, prefix)


def test_a_series_that_was_split_here_does_not_come_back(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(WEEKLY)
    third = db.session.scalars(
        select(Appointment).where(Appointment.occurrence == "2026-12-15T10:00:00")
    ).one()
    plan = plan_of(third)
    later = replace(plan, starts=plan.starts.replace(hour=14), ends=plan.ends.replace(hour=14))
    series.change(practice.unlu, third.id, later, series.Scope.FOLLOWING, despite="Agreed")
    db.session.rollback()
    before = schedule()
    assert [start[-5:] for start, _, _ in before] == ["10:00", "10:00", "14:00", "14:00"]

    assert bring_in(WEEKLY).counts == {Outcome.UNCHANGED: 1}
    assert bring_in(WEEKLY + "\nDESCRIPTION:More").counts == {Outcome.UNCHANGED: 1}

    db.session.rollback()
    assert schedule() == before


def test_a_turn_that_was_moved_here_stays_when_the_file_gives_the_series_a_note(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(WEEKLY)
    second = db.session.scalars(
        select(Appointment).where(Appointment.occurrence == "2026-12-08T10:00:00")
    ).one()
    plan = plan_of(second)
    later = replace(plan, starts=plan.starts.replace(hour=14), ends=plan.ends.replace(hour=14))
    series.change(practice.unlu, second.id, later, series.Scope.THIS, despite="Agreed")

    bring_in(WEEKLY + "\nDESCRIPTION:More")

    db.session.rollback()
    found = db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    assert [(turn.starts_local.hour, turn.note) for turn in found] == [
        (10, "More"),
        (14, "More"),
        (10, "More"),
        (10, "More"),
    ]


def test_a_turn_that_the_file_takes_back_and_gives_again_is_back(bring_in: BringIn) -> None:
    bring_in(WEEKLY)
    bring_in(WEEKLY, CANCELLED)
    assert statuses() == ["scheduled", "scheduled", "cancelled", "scheduled"]

    bring_in(WEEKLY)

    assert statuses() == ["scheduled"] * 4


def test_a_cancelled_series_grows_no_turns(bring_in: BringIn, now: Clock) -> None:
    bring_in(WEEKLY.replace(";COUNT=4", "") + "\nSTATUS:CANCELLED")
    now.move(days=60)

    assert series.extend(COMMAND) == 0
    assert db.session.scalars(select(Series)).one().rule.endswith("UNTIL=20261130")


def test_a_client_who_was_merged_is_the_one_who_was_kept(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA)
    db.session.rollback()
    paula = db.session.scalars(select(ImportedTitle.client_id)).one()
    assert paula is not None
    duplicates.merge(practice.sam, practice.jane, paula)

    assert bring_in(PAULA).counts == {Outcome.UNCHANGED: 1}
    assert schedule() == [("2026-12-01 10:00", "Jane Smith", Status.SCHEDULED)]
