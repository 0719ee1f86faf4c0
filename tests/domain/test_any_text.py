"""Whatever a practice writes: a feed tells no more than its mode, and no text adds a line to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Error

from sync_ui.domain import display, ics_write
from sync_ui.domain.event import (
    Appointment,
    Choices,
    Client,
    DisplayMode,
    Kind,
    Subject,
    Telehealth,
)
from tests.oracle import one_line
from tests.readers import Reader, in_libical

BUSY, INTERNAL_ID, INITIALS, FIRST_NAME, FULL_NAME = DisplayMode

AT = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
CALENDAR = ics_write.Calendar("uid", "Dr. Ünlü", "Appointments", "Europe/Berlin", AT)
EVERYTHING = Choices(type=True, telehealth=Telehealth.ADDRESS, cancelled=True)

SPECIAL = [
    *("\r\n", "\n", "\r", "\t", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\x00"),
    *("\x08", "\x7f", "\ufeff", "\ud800", "\\", "\\n", ";", ",", ":", " ", "é", "🙂", "x" * 30),
    *("END:VEVENT", "BEGIN:VALARM", "ATTENDEE:x", "\u202e", "ש", "e\u0301", "👩‍👩‍👧", "von "),
]
TEXTS = st.lists(st.sampled_from(SPECIAL) | st.text(max_size=9), max_size=12).map("".join)
SESSION = Subject(
    kind=Kind.SESSION,
    clinician="Dr. Ünlü",
    clients=(Client("Jane", "Smith"),),
    location="Room 2",
    type="Intake",
)
SUBJECTS = st.builds(
    Subject,
    kind=st.sampled_from(Kind),
    clinician=st.just("Dr. Ünlü"),
    clients=st.lists(st.builds(Client, TEXTS, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple),
    title=TEXTS,
    location=TEXTS,
    telehealth_address=st.just("https://video.example.com/jane") | TEXTS,
    type=TEXTS,
)


def feed(subjects: Sequence[Subject], mode: DisplayMode, *, practice_wide: bool = False) -> bytes:
    events = [
        display.show(
            Appointment(
                uid=f"event-{number}",
                subject=subject,
                starts_at=AT,
                ends_at=AT.replace(hour=16),
                revision=3,
                created_at=AT,
                changed_at=AT,
            ),
            mode,
            EVERYTHING,
            link_revision=0,
            link_changed_at=AT,
            practice_wide=practice_wide,
        )
        for number, subject in enumerate(subjects)
    ]
    return ics_write.write(CALENDAR, events, year=2026)


@pytest.mark.bar("F1")
@given(one=SUBJECTS, other=SUBJECTS, practice_wide=st.booleans())
def test_busy_is_the_same_whoever_comes_and_whatever_for(
    one: Subject, other: Subject, practice_wide: bool
) -> None:
    """SECURITY F1: nothing that a busy feed says depends on what it may not say."""
    feeds = {feed([each], BUSY, practice_wide=practice_wide) for each in (one, other)}

    assert len(feeds) == 1
    assert feed([SESSION], FULL_NAME, practice_wide=practice_wide) not in feeds


VISIBLE = TEXTS.map("a{}".format)


def a_client(**told: st.SearchStrategy[str]) -> st.SearchStrategy[Client]:
    any_texts = {
        "first_name": VISIBLE,
        "last_name": TEXTS,
        "preferred_name": TEXTS,
        "internal_id": VISIBLE,
    }
    return st.builds(Client, **(any_texts | told))


@pytest.mark.bar("F1")
@given(data=st.data(), mode=st.sampled_from([INTERNAL_ID, INITIALS, FIRST_NAME, FULL_NAME]))
def test_clients_whom_a_mode_calls_the_same_have_the_same_feed(
    data: st.DataObject, mode: DisplayMode
) -> None:
    """SECURITY F1: two clients alike in what the mode tells, and in nothing else."""
    one, two = (st.just(data.draw(VISIBLE)) for _ in range(2))
    alike = {
        INTERNAL_ID: a_client(internal_id=one),
        INITIALS: a_client(
            first_name=TEXTS.map("J. {}".format), last_name=TEXTS.map("S. {}".format)
        ),
        FIRST_NAME: a_client(first_name=one, preferred_name=two),
        FULL_NAME: a_client(first_name=one, last_name=two),
    }[mode]

    feeds = {
        feed([replace(SESSION, clients=(data.draw(alike),), title=data.draw(TEXTS))], mode)
        for _ in range(2)
    }

    assert len(feeds) == 1


def check(read: Reader, rows: list[tuple[str, str, str]]) -> None:
    subjects = [
        Subject(
            kind=Kind.MEETING,
            clinician="Dr. Ünlü",
            title=f"a{title}",
            location=f"b{place}",
            type=f"c{kind}",
        )
        for title, place, kind in rows
    ]

    [found] = read([feed(subjects, FULL_NAME)])

    assert [(seen.summary, seen.location, seen.description) for seen in found] == [
        tuple(one_line(text) for text in (subject.title, subject.location, subject.type))
        for subject in subjects
    ]


ROWS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=9)


@pytest.mark.bar("F4")
@given(rows=ROWS)
def test_libical_finds_each_text_whole(rows: list[tuple[str, str, str]]) -> None:
    """SECURITY F4: a text that arrives whole has added neither line nor component."""
    check(in_libical, rows)


@pytest.mark.bar("F4")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_ical_js_finds_each_text_whole(
    in_ical_js: Reader, rows: list[tuple[str, str, str]]
) -> None:
    """SECURITY F4."""
    check(in_ical_js, rows)


@pytest.mark.bar("F4")
@pytest.mark.parametrize("text", ["x\r\nATTENDEE:y", "x\r\nEND:VEVENT\r\nBEGIN:VEVENT"])
def test_the_readers_would_notice_a_line_that_a_text_adds(in_ical_js: Reader, text: str) -> None:
    body = feed([replace(SESSION, clients=(), title="x")], FULL_NAME)
    naive = body.replace(b"SUMMARY:x", f"SUMMARY:{text}".encode())

    for read in (in_libical, in_ical_js):
        assert [seen.summary for seen in read([body])[0]] == ["x"]
        try:
            found = [seen.summary for seen in read([naive])[0]]
        except (AssertionError, ValueError, Error):
            continue
        assert found != [one_line(text)]
