"""Five readers of a feed that share no line of code with its writer, nor with each other.

Each reads many feeds in one go, and tells the same facts of every event. Two are
not Python: ical.js runs in the browser that the tests drive anyway, libical is
called through ctypes.
"""

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import icalendar
import pytest
import vobject
from ical.calendar_stream import IcsCalendarStream
from ical.event import EventStatus
from playwright.sync_api import Browser

from tests.system import missing

ICAL_JS = Path(__file__).parent / "data" / "vendor" / "ical.js-2.2.1.es5.min.js"


class Seen(NamedTuple):
    """One VEVENT: moments in UTC or days, texts without escapes, "" for what is not there."""

    uid: str
    starts: datetime | date
    ends: datetime | date
    summary: str
    location: str
    description: str
    conference: str
    status: str
    transp: str
    sequence: int
    changed_at: datetime


# What each of several bodies holds, in its own order.
Reader = Callable[[Sequence[bytes]], list[list[Seen]]]


def in_icalendar(bodies: Sequence[bytes]) -> list[list[Seen]]:
    return [_in_icalendar(body) for body in bodies]


def _in_icalendar(body: bytes) -> list[Seen]:
    events: list[Any] = icalendar.Calendar.from_ical(body).walk("VEVENT")
    return [
        Seen(
            uid=str(event["UID"]),
            starts=_utc(event["DTSTART"].dt),
            ends=_utc(event["DTEND"].dt),
            summary=str(event["SUMMARY"]),
            location=str(event.get("LOCATION", "")),
            description=str(event.get("DESCRIPTION", "")),
            conference=str(event.get("CONFERENCE", "")),
            status=str(event["STATUS"]),
            transp=str(event["TRANSP"]),
            sequence=int(event["SEQUENCE"]),
            changed_at=event["LAST-MODIFIED"].dt,
        )
        for event in events
    ]


def in_vobject(bodies: Sequence[bytes]) -> list[list[Seen]]:
    return [_in_vobject(body) for body in bodies]


def _in_vobject(body: bytes) -> list[Seen]:
    return [
        Seen(
            uid=event.uid.value,
            starts=_utc(event.dtstart.value),
            ends=_utc(event.dtend.value),
            summary=event.summary.value,
            location=event.getChildValue("location", ""),
            description=event.getChildValue("description", ""),
            conference=event.getChildValue("conference", ""),
            status=event.status.value,
            transp=event.transp.value,
            sequence=int(event.sequence.value),
            changed_at=event.last_modified.value,
        )
        for event in vobject.readOne(body.decode()).contents.get("vevent", [])
    ]


def in_ical(bodies: Sequence[bytes]) -> list[list[Seen]]:
    return [_in_ical(body) for body in bodies]


def _in_ical(body: bytes) -> list[Seen]:
    return [
        Seen(
            uid=event.uid,
            starts=_utc(event.dtstart),
            ends=_utc(event.end),
            summary=event.summary or "",
            location=event.location or "",
            description=event.description or "",
            conference=str(event.conference[0].uri) if event.conference else "",
            status=(event.status or EventStatus.TENTATIVE).value,
            transp=str(event.transparency),
            sequence=event.sequence or 0,
            changed_at=event.last_modified or datetime.max.replace(tzinfo=UTC),
        )
        for event in IcsCalendarStream.calendar_from_ics(body.decode()).events
    ]


_NAMES = (
    *("uid", "dtstart", "dtend", "summary", "location", "description", "conference"),
    *("status", "transp", "sequence", "last-modified"),
)

_READ_ALL = """([bodies, names]) => bodies.map((body) =>
  new ICAL.Component(ICAL.parse(body)).getAllSubcomponents("vevent").map((event) =>
    names.map((name) => String(event.getFirstPropertyValue(name) ?? ""))))"""


@pytest.fixture
def in_ical_js(browser: Browser) -> Iterator[Reader]:
    page = browser.new_page()
    page.add_script_tag(path=ICAL_JS)

    def read(bodies: Sequence[bytes]) -> list[list[Seen]]:
        found = page.evaluate(_READ_ALL, [[body.decode() for body in bodies], _NAMES])
        return [[_seen(*texts) for texts in feed] for feed in found]

    yield read
    page.close()


def in_libical(bodies: Sequence[bytes]) -> list[list[Seen]]:
    return [_in_libical(body) for body in bodies]


def _in_libical(body: bytes) -> list[Seen]:
    lib = _libical()
    root = lib.icalparser_parse_string(body)
    assert root
    try:
        assert lib.icalcomponent_count_errors(root) == 0
        assert lib.icalrestriction_check(root) == 1  # which properties must and may be there
        kind = lib.icalcomponent_string_to_kind(b"VEVENT")
        found = []
        event = lib.icalcomponent_get_first_component(root, kind)
        while event:
            found.append(_seen(*(_value(lib, event, name) for name in _NAMES)))
            event = lib.icalcomponent_get_next_component(root, kind)
        return found
    finally:
        lib.icalcomponent_free(root)


def _value(lib: ctypes.CDLL, event: int, name: str) -> str:
    found = lib.icalcomponent_get_first_property(
        event, lib.icalproperty_string_to_kind(name.upper().encode())
    )
    if not found:
        return ""
    value = lib.icalproperty_get_value(found)
    kind = lib.icalvalue_isa(value)
    if kind == lib.icalvalue_string_to_kind(b"TEXT"):
        text: bytes = lib.icalvalue_get_text(value)
    else:
        text = lib.icalvalue_as_ical_string(value)
    return text.decode()


@cache
def _libical() -> ctypes.CDLL:
    name = ctypes.util.find_library("ical")
    if name is None:
        missing("libical")
    lib = ctypes.CDLL(name)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for function, result, *arguments in (
        ("icalparser_parse_string", pointer, text),
        ("icalcomponent_free", None, pointer),
        ("icalcomponent_count_errors", number, pointer),
        ("icalrestriction_check", number, pointer),
        ("icalcomponent_string_to_kind", number, text),
        ("icalcomponent_get_first_component", pointer, pointer, number),
        ("icalcomponent_get_next_component", pointer, pointer, number),
        ("icalcomponent_get_first_property", pointer, pointer, number),
        ("icalproperty_string_to_kind", number, text),
        ("icalproperty_get_value", pointer, pointer),
        ("icalvalue_string_to_kind", number, text),
        ("icalvalue_isa", number, pointer),
        ("icalvalue_get_text", text, pointer),
        ("icalvalue_as_ical_string", text, pointer),
    ):
        declared = getattr(lib, str(function))
        declared.restype, declared.argtypes = result, arguments
    return lib


READERS: dict[str, Reader | str] = {
    "icalendar": in_icalendar,
    "vobject": in_vobject,
    "ical": in_ical,
    "ical.js": "in_ical_js",
    "libical": in_libical,
}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Reader:
    """Each of the five in turn."""
    found = READERS[request.param]
    if isinstance(found, str):
        in_browser: Reader = request.getfixturevalue(found)
        return in_browser
    return found


def _seen(uid: str, starts: str, ends: str, *more: str) -> Seen:
    *texts, sequence, changed_at = more
    stamp = datetime.fromisoformat(changed_at)
    return Seen(uid, _when(starts), _when(ends), *texts, int(sequence), stamp)  # type: ignore[call-arg, arg-type]


def _when(text: str) -> datetime | date:
    """`2026-11-24T15:00:00Z` or `2026-11-24`, with or without what separates."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _utc(when: Any) -> datetime | date:
    assert isinstance(when, date)
    if isinstance(when, datetime):
        assert when.utcoffset() is not None, "a moment without a zone"
        return when.astimezone(UTC)
    return when
