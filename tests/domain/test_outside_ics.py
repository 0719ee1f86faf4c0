"""Entries of outside calendars: what we write is read again, whatever else comes is survived."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.event import Event
from sync_ui.domain.ics_write import cleaned
from sync_ui.domain.outside import Copy, Span, Told, Window, told
from sync_ui.domain.outside_ics import MOST_EVENTS, Place, entry, spans, write

PLACE = Place("Europe/Berlin", date(2026, 11, 21))
STAMP = datetime(2026, 11, 21, 8, tzinfo=UTC)
WINDOW = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))
MONDAY = Told(
    starts=datetime(2026, 12, 7, 9, tzinfo=UTC),
    ends=datetime(2026, 12, 7, 10, tzinfo=UTC),
    summary="J.S.",
)
COPY = Copy(id="sc0123456789", mark="v0mark", told=MONDAY)

texts = st.text(max_size=200).map(cleaned)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
days = st.dates(date(2020, 1, 1), date(2060, 1, 1))
lengths = st.integers(1, 400)


@st.composite
def tolds(draw: st.DrawFn) -> Told:
    by_day = draw(st.booleans())
    starts = draw(days) if by_day else draw(moments)
    length = draw(lengths)
    return Told(
        starts=starts,
        ends=starts + (timedelta(days=length) if by_day else timedelta(minutes=length)),
        summary=draw(texts),
        location=draw(texts),
        description=draw(texts),
        free=draw(st.booleans()),
    )


@given(tolds())
def test_an_entry_is_read_as_it_was_written(what: Told) -> None:
    found = entry(COPY.id, '"1"', write(replace(COPY, told=what), STAMP), PLACE)

    assert (found.id, found.etag, found.mark, found.told) == (COPY.id, '"1"', "v0mark", what)


@given(st.text(), st.text(), st.text())
def test_any_words_of_ours_can_be_written(summary: str, location: str, description: str) -> None:
    event = Event(
        uid="u", starts=MONDAY.starts, ends=MONDAY.ends, sequence=0, created_at=STAMP,
        changed_at=STAMP, summary=summary, location=location, description=description,
    )  # fmt: skip
    what = told(event)

    assert entry(COPY.id, "", write(replace(COPY, told=what), STAMP), PLACE).told == what


@pytest.mark.bar("S7", "O10")
@given(tolds(), st.data())
def test_nothing_that_comes_is_an_error(what: Told, data: st.DataObject) -> None:
    text = write(replace(COPY, told=what), STAMP)
    lines = text.split(b"\r\n")
    parts = [
        *lines,
        b"RRULE:FREQ=DAILY;COUNT=3",
        b"RRULE:FREQ=SECONDLY",
        b"RDATE:19000101T000000,99991231T000000Z",
        b"EXDATE;TZID=Nowhere:20261207T090000",
        b"RECURRENCE-ID;RANGE=THISANDFUTURE:20261207T090000Z",
        b"RECURRENCE-ID:20261207",
        b"DURATION:P999999D",
        b"DTSTART:22001231T235959Z",
        b"DTEND;VALUE=DATE:22001231",
        b"ATTENDEE;PARTSTAT=DECLINED:mailto:a@b.example",
        b"\xff\xfe\x00",
        b"BEGIN:VTIMEZONE",
    ]
    mixed = b"\r\n".join(data.draw(st.lists(st.sampled_from(parts), max_size=30)))
    cut = text[: data.draw(st.integers(0, len(text)))]

    for broken in (
        mixed,
        cut,
        b"\r\n".join((*lines[:4], mixed, *lines[4:])),
        data.draw(st.binary()),
    ):
        found = entry(COPY.id, "", broken, PLACE)
        assert found.id == COPY.id
        taken = spans(broken, WINDOW, PLACE, set())
        assert taken is None or all(each.starts_at < WINDOW.ends_at for each in taken)


def calendar(*lines: str) -> bytes:
    return "\r\n".join(("BEGIN:VCALENDAR", *lines, "END:VCALENDAR", "")).encode()


def vevent(*lines: str) -> str:
    return "\r\n".join(("BEGIN:VEVENT", "UID:u", *lines, "END:VEVENT"))


ONCE = ("DTSTART:20261207T090000Z", "DTEND:20261207T100000Z")
TAKEN = (Span(starts_at=MONDAY.starts, ends_at=MONDAY.ends),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attendees", "taken"),
    [
        ([], TAKEN),
        (["ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example"], TAKEN),
        (["ATTENDEE;PARTSTAT=DECLINED:mailto:anna@a.example"], ()),
        (["ATTENDEE;CN=Anna;PARTSTAT=declined;ROLE=CHAIR:MAILTO:Anna@A.example"], ()),
        (["ATTENDEE;PARTSTAT=DECLINED:mailto:somebody@else.example"], ()),
        (
            [
                "ATTENDEE;PARTSTAT=DECLINED:mailto:anna@a.example",
                "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ben@b.example",
            ],
            (),
        ),
        (
            [
                "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example",
                "ATTENDEE;PARTSTAT=DECLINED:mailto:ben@b.example",
            ],
            TAKEN,
        ),
    ],
)
def test_what_the_account_declined_takes_no_time(
    attendees: list[str], taken: tuple[Span, ...]
) -> None:
    data = calendar(vevent(*ONCE, *attendees))

    assert spans(data, WINDOW, PLACE, {"anna@a.example"}) == taken


def test_a_turn_that_cannot_be_read_does_not_cost_the_others() -> None:
    unreadable = vevent("RECURRENCE-ID:20261208T090000Z", "DTSTART:never")
    data = calendar(vevent(*ONCE), unreadable)

    assert spans(data, WINDOW, PLACE, set()) == TAKEN


def test_a_turn_made_free_or_declined_leaves_the_series() -> None:
    series = vevent(*ONCE, "RRULE:FREQ=DAILY;COUNT=3")
    free = vevent(
        "RECURRENCE-ID:20261208T090000Z",
        "DTSTART:20261208T090000Z",
        "DTEND:20261208T100000Z",
        "TRANSP:TRANSPARENT",
    )
    declined = free.replace("1208", "1209").replace(
        "TRANSP:TRANSPARENT", "ATTENDEE;PARTSTAT=DECLINED:mailto:anna@a.example"
    )

    assert len(spans(calendar(series), WINDOW, PLACE, set()) or ()) == 3
    assert spans(calendar(series, free, declined), WINDOW, PLACE, set()) == TAKEN


@pytest.mark.bar("I4")
def test_an_entry_of_too_many_parts_is_not_read() -> None:
    few, many = (calendar(*[vevent(*ONCE)] * number) for number in (MOST_EVENTS, MOST_EVENTS + 1))

    assert spans(few, WINDOW, PLACE, set()) == TAKEN
    assert spans(many, WINDOW, PLACE, set()) == ()
