import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import icalendar
import pytest
import vobject
from hypothesis import given, settings
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream

from sync_ui.domain.event import Event
from sync_ui.domain.ics_write import (
    NOTICE,
    Calendar,
    assemble,
    in_order,
    notice,
    write,
    write_event,
)

MADE = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
CHANGED = datetime(2026, 11, 3, 9, 30, 5, tzinfo=UTC)

CALENDAR = Calendar(
    uid="9b6f2f3c-1f6f-4a53-8a49-0f1d2c3b4a59",
    name="Dr. Ünlü",
    description="Nothing that is changed here goes back.",
    zone="America/New_York",
    changed_at=CHANGED,
)
SESSION = Event(
    uid="5f0c2c1e-6f0b-4f7e-9d6a-0d5a2b9a7e11",
    starts=datetime(2026, 12, 1, 15, 0, tzinfo=UTC),
    ends=datetime(2026, 12, 1, 15, 50, tzinfo=UTC),
    summary="J.S.",
    sequence=7,
    created_at=MADE,
    changed_at=CHANGED,
    location="Room 2",
)
HOLIDAY = replace(
    SESSION,
    uid="a1",
    starts=date(2026, 12, 24),
    ends=date(2026, 12, 27),
    summary="Time off",
    location="",
    out_of_office=True,
)

HOSTILE = [
    "J.S.\r\nBEGIN:VALARM\r\nEND:VALARM",
    "J.S.\nATTENDEE:mailto:jane@example.com",
    "J.S.\rEND:VEVENT",
    "J.S.\x0bX-LINE:1",
    "J.S.\x0cX-LINE:1",
    "J.S.\x1cX-LINE:1\x1dX-LINE:2\x1eX-LINE:3",
    "J.S.\x85X-LINE:1",
    "J.S.\u2028X-LINE:1\u2029X-LINE:2",
    "J.S.\x00\x08\x7f",
    "\ufeffJ.S.",
    "J.\ud800S.",
    "\\n\\,\\;\\\\",
    "a;b,c:d\"e'f^g=h",
    "\\",
    " J.S. ",
    "é" * 200,
    "🙂" * 90,
    "x" * 500,
    "a" + "\u0301" * 100,
    "\u202eSmith",
]

TEXTS = st.text(st.characters()) | st.text(
    st.sampled_from('\r\n\t\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029\x00\x08\x7f\ufeff\ud800\\;,:" é🙂x')
)


def feed(*events: Event, calendar: Calendar = CALENDAR) -> bytes:
    return write(calendar, events, year=2026)


def unfolded(body: bytes) -> list[str]:
    """The content lines as a reader with splitlines() finds them."""
    lines: list[str] = []
    for line in body.decode().splitlines():
        if line[:1] in {" ", "\t"}:
            lines[-1] += line[1:]
        else:
            lines.append(line)
    return lines


Shape = list[tuple[str, list[str]]]


def shape_in_icalendar(body: bytes) -> Shape:
    calendar = icalendar.Calendar.from_ical(body)
    return [(part.name or "", sorted(part.keys())) for part in calendar.walk()]


def shape_in_vobject(body: bytes) -> Shape:
    def walk(part: vobject.base.Component) -> Shape:
        names = sorted(name for name, lines in part.contents.items() for _ in lines)
        return [(part.name, names)] + [
            found for child in part.components() for found in walk(child)
        ]

    return walk(vobject.readOne(body.decode()))


def shape_in_ical(body: bytes) -> Shape:
    calendar = IcsCalendarStream.calendar_from_ics(body.decode())
    parts: list[Any] = [calendar, *calendar.timezones, *calendar.events]
    # What its model does not know by name it keeps as extras.
    return [
        (type(part).__name__, [*sorted(part.model_fields_set), *(e.name for e in part.extras)])
        for part in parts
    ]


def shape_in_splitlines(body: bytes) -> Shape:
    return [("", [re.split("[:;]", line)[0] for line in unfolded(body)])]


READERS = [shape_in_icalendar, shape_in_vobject, shape_in_ical, shape_in_splitlines]


def events_in(body: bytes) -> list[Any]:
    return icalendar.Calendar.from_ical(body).walk("VEVENT")


def texts_in_icalendar(body: bytes) -> list[tuple[str, ...]]:
    return [
        tuple(str(event[name]) for name in ("UID", "SUMMARY", "LOCATION", "DESCRIPTION"))
        for event in events_in(body)
    ]


def cleaned(text: str) -> str:
    """What may be left of any text, said in another way than the writer's."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = []
    for character in text:
        if character == "\n":
            kept.append(character)
        elif character.isspace() and unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            kept.append(" ")
        elif unicodedata.category(character) not in {"Cc", "Cs"}:
            kept.append(character)
    return re.sub("[\ufeff\ufffe\uffff]", "", "".join(kept))


def test_one_session_as_the_feed_writes_it() -> None:
    assert write_event(SESSION) == (
        "BEGIN:VEVENT\r\n"
        "UID:5f0c2c1e-6f0b-4f7e-9d6a-0d5a2b9a7e11\r\n"
        "DTSTAMP:20261103T093005Z\r\n"
        "LAST-MODIFIED:20261103T093005Z\r\n"
        "CREATED:20261101T080000Z\r\n"
        "SEQUENCE:7\r\n"
        "DTSTART:20261201T150000Z\r\n"
        "DTEND:20261201T155000Z\r\n"
        "SUMMARY:J.S.\r\n"
        "LOCATION:Room 2\r\n"
        "STATUS:CONFIRMED\r\n"
        "TRANSP:OPAQUE\r\n"
        "X-MICROSOFT-CDO-BUSYSTATUS:BUSY\r\n"
        "CLASS:PRIVATE\r\n"
        "END:VEVENT\r\n"
    )


def test_days_off_are_dates_and_out_of_office() -> None:
    text = write_event(HOLIDAY)

    assert "\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\n" in text
    assert "\r\nTRANSP:OPAQUE\r\nX-MICROSOFT-CDO-BUSYSTATUS:OOF\r\n" in text
    assert "LOCATION" not in text


@pytest.mark.bar("F7")
def test_an_empty_feed_still_holds_a_component() -> None:
    assert feed().decode() == (
        "BEGIN:VCALENDAR\r\n"
        "VERSION:2.0\r\n"
        "PRODID:-//Sync Calendar//Feed 1//EN\r\n"
        "CALSCALE:GREGORIAN\r\n"
        "UID:9b6f2f3c-1f6f-4a53-8a49-0f1d2c3b4a59\r\n"
        "NAME:Dr. Ünlü\r\n"
        "X-WR-CALNAME:Dr. Ünlü\r\n"
        "DESCRIPTION:Nothing that is changed here goes back.\r\n"
        "X-WR-CALDESC:Nothing that is changed here goes back.\r\n"
        "X-WR-TIMEZONE:America/New_York\r\n"
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n"
        "X-PUBLISHED-TTL:PT1H\r\n"
        "COLOR:teal\r\n"
        "X-APPLE-CALENDAR-COLOR:#008080\r\n"
        "LAST-MODIFIED:20261103T093005Z\r\n"
        "BEGIN:VTIMEZONE\r\n"
        "TZID:America/New_York\r\n"
        "BEGIN:DAYLIGHT\r\n"
        "DTSTART:19720312T020000\r\n"
        "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\r\n"
        "TZOFFSETFROM:-0500\r\n"
        "TZOFFSETTO:-0400\r\n"
        "TZNAME:EDT\r\n"
        "END:DAYLIGHT\r\n"
        "BEGIN:STANDARD\r\n"
        "DTSTART:19721105T020000\r\n"
        "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU\r\n"
        "TZOFFSETFROM:-0400\r\n"
        "TZOFFSETTO:-0500\r\n"
        "TZNAME:EST\r\n"
        "END:STANDARD\r\n"
        "END:VTIMEZONE\r\n"
        "END:VCALENDAR\r\n"
    )


def test_the_order_of_the_events_given_does_not_matter() -> None:
    twin = replace(SESSION, uid="0")
    later = replace(SESSION, uid="1", starts=SESSION.starts + timedelta(hours=1))

    assert feed(later, HOLIDAY, SESSION, twin) == feed(twin, SESSION, later, HOLIDAY)
    assert re.findall(r"UID:(\S+)", feed(HOLIDAY, later, SESSION, twin).decode())[1:] == [
        "0",
        SESSION.uid,
        "1",
        "a1",
    ]


def test_texts_kept_from_before_give_the_same_feed() -> None:
    events = [HOLIDAY, SESSION]
    kept = [write_event(event) for event in sorted(events, key=in_order)]

    assert assemble(CALENDAR, kept, year=2026) == feed(*events)


def test_moments_of_any_zone_leave_in_utc() -> None:
    new_york = timezone(timedelta(hours=-5))
    local = replace(SESSION, starts=datetime(2026, 12, 1, 10, 0, tzinfo=new_york))

    assert write_event(local) == write_event(SESSION)


def test_a_moment_without_a_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        write_event(replace(SESSION, changed_at=datetime(2026, 11, 3)))


@pytest.mark.parametrize("event", [SESSION, HOLIDAY])
def test_an_event_without_length_has_no_end(event: Event) -> None:
    assert "DTEND" in write_event(event)
    assert "DTEND" not in write_event(replace(event, ends=event.starts))


def test_a_long_name_is_cut_to_what_outlook_takes() -> None:
    body = feed(calendar=replace(CALENDAR, name="é" * 300))
    names = [line for line in unfolded(body) if "NAME:é" in line]

    assert names == ["NAME:" + "é" * 255, "X-WR-CALNAME:" + "é" * 255]


@pytest.mark.bar("F2")
def test_nothing_in_a_feed_rings_invites_or_repeats_its_address() -> None:
    """SECURITY F2."""
    described = replace(SESSION, description="Intake")
    names = {re.split("[:;]", line)[0] for line in unfolded(feed(described, HOLIDAY))}

    assert {"UID", "SUMMARY", "DESCRIPTION"} < names
    assert names.isdisjoint(
        {"METHOD", "ATTENDEE", "ORGANIZER", "SOURCE", "URL", "IMAGE", "ACTION", "TRIGGER"}
    )


@pytest.mark.bar("F2")
def test_every_event_is_private() -> None:
    """SECURITY F2."""
    classes = [str(event["CLASS"]) for event in events_in(feed(SESSION, HOLIDAY))]

    assert classes == ["PRIVATE", "PRIVATE"]


THOUSAND = [
    replace(
        SESSION,
        uid=f"session-{n}",
        starts=SESSION.starts + timedelta(hours=n),
        ends=SESSION.ends + timedelta(hours=n),
    )
    for n in range(1000)
]
HOSTILE_EVENTS = [
    replace(SESSION, uid=f"hostile-{n}", summary=text, location=text, description=text)
    for n, text in enumerate(HOSTILE)
]
FEEDS = {
    "good": feed(SESSION, HOLIDAY),
    "empty": feed(),
    "notice": notice(CALENDAR, date(2026, 12, 1), 2026),
    "1 000 events": feed(*THOUSAND),
    "hostile names": feed(*HOSTILE_EVENTS),
}
COUNTS = {"good": 2, "empty": 0, "notice": 1, "1 000 events": 1000, "hostile names": len(HOSTILE)}


@pytest.mark.bar("F4")
@pytest.mark.parametrize("name", FEEDS)
def test_three_independent_parsers_find_every_event(name: str) -> None:
    body = FEEDS[name]
    found = [
        len(events_in(body)),
        len(vobject.readOne(body.decode()).contents.get("vevent", [])),
        len(IcsCalendarStream.calendar_from_ics(body.decode()).events),
    ]

    assert found == [COUNTS[name]] * 3


@pytest.mark.bar("F4")
@pytest.mark.parametrize("name", FEEDS)
def test_every_line_ends_with_crlf_and_has_75_octets_at_most(name: str) -> None:
    check_lines(FEEDS[name])


def check_lines(body: bytes) -> None:
    assert body.endswith(b"\r\n")
    lines = body.removesuffix(b"\r\n").split(b"\r\n")

    assert max(map(len, lines)) <= 75
    assert [line for line in lines if re.search(rb"[\x00-\x1f\x7f]", line)] == []
    assert [line.decode() for line in lines] == body.decode().splitlines()


@pytest.mark.bar("F4")
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("shape", READERS)
def test_hostile_text_changes_no_line(shape: Callable[[bytes], Shape], text: str) -> None:
    """SECURITY F4."""
    hostile = replace(SESSION, uid=text, summary=text, location=text, description=text)
    harmless = replace(SESSION, uid="x", summary="x", location="x", description="x")

    assert shape(feed(hostile)) == shape(feed(harmless))


@pytest.mark.bar("F4")
def test_a_reader_would_see_the_line_that_hostile_text_tries_to_add() -> None:
    naive = feed(SESSION).replace(b"SUMMARY:J.S.", b"SUMMARY:J.S.\x0bATTENDEE:x")

    assert shape_in_splitlines(naive) != shape_in_splitlines(feed(SESSION))


@pytest.mark.bar("F4")
@settings(deadline=None)
@given(uid=TEXTS, summary=TEXTS, location=TEXTS, description=TEXTS, name=TEXTS, about=TEXTS)
def test_no_text_adds_a_line_a_property_or_a_component(
    uid: str, summary: str, location: str, description: str, name: str, about: str
) -> None:
    """SECURITY F4."""
    hostile = feed(
        replace(SESSION, uid=uid, summary=summary, location=location, description=description),
        calendar=replace(CALENDAR, name=name, description=about),
    )
    harmless = feed(
        replace(SESSION, location=location and "x", description=description and "x"),
        calendar=replace(CALENDAR, description=about and "x"),
    )

    check_lines(hostile)
    for shape in READERS:
        assert shape(hostile) == shape(harmless)


@settings(deadline=None)
@given(texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS))
def test_what_is_allowed_arrives_as_it_was(texts: tuple[str, str, str, str]) -> None:
    uid, summary, location, description = (text + "." for text in texts)
    event = replace(SESSION, uid=uid, summary=summary, location=location, description=description)

    assert texts_in_icalendar(feed(event)) == [
        tuple(cleaned(text) for text in (uid, summary, location, description))
    ]


@pytest.mark.bar("F8")
@settings(deadline=None)
@given(
    starts=st.datetimes(
        min_value=datetime(1900, 1, 1),
        max_value=datetime(2200, 1, 1),
        timezones=st.timezones(),
        allow_imaginary=False,
    ),
    minutes=st.integers(1, 5000),
)
def test_times_arrive_as_the_same_moments(starts: datetime, minutes: int) -> None:
    starts = starts.replace(microsecond=0)
    ends = starts.astimezone(UTC) + timedelta(minutes=minutes)
    body = feed(replace(SESSION, starts=starts, ends=ends))
    (event,) = events_in(body)

    assert (event["DTSTART"].dt, event["DTEND"].dt) == (starts.astimezone(UTC), ends)


@pytest.mark.bar("L15")
def test_the_notice_shows_one_day_and_leaves_it_free() -> None:
    body = notice(CALENDAR, date(2026, 12, 1), 2026)
    (event,) = events_in(body)

    assert str(event["SUMMARY"]) == NOTICE == "This calendar link was turned off"
    assert event["DTSTART"].dt == date(2026, 12, 1)
    assert event["DTEND"].dt == date(2026, 12, 2)
    assert str(event["TRANSP"]) == "TRANSPARENT"
    assert str(event["X-MICROSOFT-CDO-BUSYSTATUS"]) == "FREE"


def test_the_notice_is_stable_within_a_day_and_grows_with_the_next() -> None:
    today, tomorrow = (notice(CALENDAR, date(2026, 12, day), 2026) for day in (1, 2))
    first, second = (events_in(body)[0] for body in (today, tomorrow))

    assert notice(CALENDAR, date(2026, 12, 1), 2026) == today
    assert second["UID"] == first["UID"]
    assert second["SEQUENCE"] > first["SEQUENCE"]
    assert second["LAST-MODIFIED"].dt > first["LAST-MODIFIED"].dt
    assert second["LAST-MODIFIED"].dt == datetime(2026, 12, 2, 5, 0, tzinfo=UTC)


def test_the_notice_of_the_day_itself_is_as_new_as_the_reset() -> None:
    body = notice(CALENDAR, date(2026, 11, 3), 2026)

    assert b"\r\nLAST-MODIFIED:20261103T093005Z\r\n" in body
