"""Our own words in an exported calendar are read as they were written, and only while they hold."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain import ics_own
from sync_ui.domain.event import GONE, Event, Kind, Status
from sync_ui.domain.ics_own import OwnWords
from sync_ui.domain.ics_read import read_ics
from sync_ui.domain.ics_write import Calendar, assemble, write_event
from sync_ui.domain.reading import Entry, one_line

CHANGED = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
NEW_YORK = "America/New_York"
CALENDAR = Calendar(
    uid="9b6f2f3c", name="Schedule", description="", zone=NEW_YORK, changed_at=CHANGED
)
JANE, MARK = ("Jane", "Smith", "1042"), ("Mark", "Smith", "1043")
GROUP = OwnWords(Kind.SESSION, Status.NO_SHOW, NEW_YORK, "Skills group", (JANE, MARK))


def export(words: OwnWords, *, clinician: str = "", starts: datetime = CHANGED) -> bytes:
    event = Event(
        uid="5f0c2c1e",
        starts=starts,
        ends=starts + timedelta(minutes=50),
        summary=f"{clinician}{words.summary}",
        sequence=0,
        created_at=CHANGED,
        changed_at=CHANGED,
        cancelled=words.status in GONE,
    )
    vevent = write_event(event, beside=ics_own.write(words))
    return assemble(CALENDAR, [vevent], year=2026)


def read_one(data: bytes) -> Entry:
    reading = read_ics(data, NEW_YORK, date(2026, 11, 1))
    assert reading.problems == ()
    (entry,) = reading.entries
    return entry


def said(entry: Entry) -> tuple[object, ...]:
    people = [(*name, n) for name, n in zip(entry.clients, entry.client_ids, strict=True)]
    return entry.kind, entry.status, entry.zone, entry.title, tuple(people)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(one_line)


@given(
    words=st.builds(
        OwnWords,
        kind=st.sampled_from(Kind),
        status=st.sampled_from(Status),
        zone=st.sampled_from([NEW_YORK, "Europe/Berlin", "Asia/Kathmandu"]),
        title=NAMES,
        clients=st.lists(
            st.tuples(NAMES.filter(bool), NAMES, st.text("0123456789-X", min_size=1)),
            max_size=3,
        ).map(tuple),
    ),
    clinician=st.sampled_from(["", "Dr. Ünlü: "]),
)
def test_what_is_written_is_read_so(words: OwnWords, clinician: str) -> None:
    entry = read_one(export(words, clinician=clinician))

    assert said(entry) == (words.kind, words.status, words.zone, words.title, words.clients)
    assert entry.ours is True


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (b"SUMMARY:Jane Smith & Mark Smith", b"SUMMARY:Paula Brown"),
        (b"X-SYNC-CALENDAR-KIND:session", b"X-SYNC-CALENDAR-KIND:party"),
        (b"X-SYNC-CALENDAR-ZONE:America/New_York", b"X-SYNC-CALENDAR-ZONE:Utopia"),
        (b'["Mark"', b"[" * 5_000),
        (b'["Mark"\\, "Smith"\\, "1043"]', b"5"),
        (b'["Mark"\\, "Smith"\\, "1043"]', b'[""\\, ""\\, ""]'),
    ],
)
def test_words_that_no_longer_hold_or_never_did_are_left_out(ours: bytes, theirs: bytes) -> None:
    written = export(GROUP)
    assert ours in written

    entry = read_one(written.replace(ours, theirs))

    assert (entry.ours, entry.clients, entry.kind) == (False, (), None)
    assert entry.title == ("Paula Brown" if b"Paula" in theirs else "Jane Smith & Mark Smith")


@pytest.mark.parametrize(
    ("status", "written", "instead", "wanted"),
    [
        (Status.NO_SHOW, b"STATUS:CONFIRMED", b"STATUS:CANCELLED", Status.CANCELLED),
        (Status.LATE_CANCELLED, b"STATUS:CANCELLED", b"STATUS:CONFIRMED", Status.SCHEDULED),
    ],
)
def test_an_event_that_another_program_cancelled_or_revived_is_so(
    status: Status, written: bytes, instead: bytes, wanted: Status
) -> None:
    export_of_it = export(replace(GROUP, status=status))
    assert read_one(export_of_it).status is status

    entry = read_one(export_of_it.replace(written, instead))

    assert (entry.status, entry.clients) == (wanted, (("Jane", "Smith"), ("Mark", "Smith")))


@pytest.mark.parametrize(
    ("starts", "wall", "until"),
    [
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), (1, 30), (2, 20)),
        (datetime(2026, 12, 1, 5, 30, tzinfo=UTC), (0, 30), (1, 20)),
        (datetime(2027, 3, 14, 6, 30, tzinfo=UTC), (1, 30), (3, 20)),
    ],
)
def test_times_are_on_the_clocks_of_the_appointments_own_zone(
    starts: datetime, wall: tuple[int, int], until: tuple[int, int]
) -> None:
    elsewhere = replace(CALENDAR, zone="Asia/Kathmandu")
    written = export(GROUP, starts=starts).replace(NEW_YORK.encode(), elsewhere.zone.encode(), 1)

    entry = read_one(written)

    assert isinstance(entry.starts, datetime)
    assert isinstance(entry.ends, datetime)
    assert entry.zone == NEW_YORK
    assert (entry.starts.hour, entry.starts.minute) == wall
    assert (entry.ends.hour, entry.ends.minute) == until
