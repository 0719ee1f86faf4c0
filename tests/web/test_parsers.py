"""Readers that know nothing of this product find in every feed what the database holds."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from flask import Flask

from sync_ui.domain.event import DisplayMode, Kind
from sync_ui.domain.ics_write import NOTICE
from sync_ui.models import Link, transaction
from sync_ui.services import access, appointments, links
from sync_ui.services.plans import Plan
from tests.oracle import Rows, differences
from tests.practice import NOW, ZONE, Book, Clock, Practice, token_of
from tests.readers import Reader, in_icalendar
from tests.variants import Schedule, every_link

Fetch = Callable[[Link], bytes]


@pytest.fixture
def fetch(app: Flask) -> Fetch:
    """What a link answers over HTTP."""
    client = app.test_client()
    return lambda link: client.get(f"/cal/{token_of(link)}/feed.ics").data


@pytest.mark.bar("F8")
def test_every_variant_reads_as_the_database_says(
    everything: Practice, fetch: Fetch, reader: Reader
) -> None:
    """SECURITY F4, F8: equal counts, moments and texts, whatever the rows hold."""
    made = dict(every_link(everything))
    read = reader([fetch(link) for link in made.values()])
    rows = Rows()

    wrong = {
        name: found
        for (name, link), feed in zip(made.items(), read, strict=True)
        if (found := differences(feed, rows.shown_by(link, NOW)))
    }

    assert all(read)
    assert wrong == {}


FALSEHOODS = {
    "an event is missing": (rb"BEGIN:VEVENT.*?END:VEVENT\r\n", b""),
    "a text is another": (rb"SUMMARY:J\.S\.", b"SUMMARY:J.T."),
    "a start is an hour late": (rb"DTSTART:20261124T15", b"DTSTART:20261124T16"),
    "an end is a day late": (rb"DTEND:20261124T15", b"DTEND:20261125T15"),
    "a place is missing": (rb"LOCATION:Room 2\r\n", b""),
    "a stamp is older": (rb"LAST-MODIFIED:2026(\d+T\d+Z\r\nCREATED)", rb"LAST-MODIFIED:2025\1"),
}


@pytest.mark.parametrize("falsehood", FALSEHOODS)
def test_a_reader_notices_what_is_false(
    practice: Practice, book: Book, fetch: Fetch, reader: Reader, falsehood: str
) -> None:
    book(practice.jane, location="Room 2")
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    pattern, instead = FALSEHOODS[falsehood]
    body = fetch(link)
    false, changes = re.subn(pattern, instead, body, count=1, flags=re.DOTALL)
    held = Rows().shown_by(link, NOW)

    found, found_false = reader([body, false])

    assert changes == 1
    assert differences(found, held) == []
    assert differences(found_false, held) != []


OF_AN_EVENT = [
    *("UID", "DTSTAMP", "LAST-MODIFIED", "CREATED", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY"),
    *("LOCATION", "DESCRIPTION", "CONFERENCE", "STATUS", "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"),
    "CLASS",
]


@pytest.mark.bar("F2")
def test_an_event_is_private_and_neither_rings_nor_invites(
    everything: Practice, fetch: Fetch
) -> None:
    """SECURITY F2: in every variant nothing but these properties, each at most once."""
    for _, link in every_link(everything):
        lines = fetch(link).replace(b"\r\n ", b"").decode().split("\r\n")
        events = "\n".join(lines).split("BEGIN:VEVENT\n")[1:]

        assert lines[-2:] == ["END:VCALENDAR", ""]
        for text in events:
            event = text.partition("\nEND:VEVENT")[0].split("\n")
            names = [re.split("[:;]", line)[0] for line in event]
            assert names == [name for name in OF_AN_EVENT if name in names]
            assert event[-1] == "CLASS:PRIVATE"


def test_a_calendar_without_appointments_is_a_calendar(
    practice: Practice, fetch: Fetch, reader: Reader
) -> None:
    made = [
        links.create(practice.ada, key, "Phone", DisplayMode.INITIALS)
        for key in (practice.unlus_calendar, access.PRACTICE)
    ]

    assert reader([fetch(link) for link in made]) == [[], []]


@pytest.mark.bar("L15")
def test_the_notice_is_one_free_day_without_a_client(
    app: Flask, everything: Practice, reader: Reader, now: Clock
) -> None:
    link = links.create(everything.ada, access.PRACTICE, "Phone", DisplayMode.INITIALS)
    path = f"/cal/{token_of(link)}"
    links.disable(everything.ada, link.id)
    now.move(days=3)

    [[event]] = reader([app.test_client().get(path).data])

    today = now().astimezone(ZoneInfo(ZONE)).date()
    assert (event.summary, event.starts, event.ends, event.transp) == (
        NOTICE,
        today,
        today + timedelta(days=1),
        "TRANSPARENT",
    )


@pytest.mark.bar("F7")
def test_a_large_calendar_arrives_whole(practice: Practice, fetch: Fetch, reader: Reader) -> None:
    rows = Schedule(practice)
    for number in range(1_200):
        at = datetime(2026, 12, 1) + timedelta(hours=2 * number)
        rows.add(at.isoformat(), practice.zoe, location="Room 2")
    with transaction() as session:
        session.add_all(rows.rows)
    link = links.create(
        practice.ada, access.PRACTICE, "Phone", DisplayMode.FULL_NAME, confirmed=True
    )

    [read] = reader([fetch(link)])

    assert len(read) == 1_200
    assert differences(read, Rows().shown_by(link, NOW)) == []


def changes_of_clocks(zone: ZoneInfo) -> Iterator[datetime]:
    """The days (noon, wall time) on which the zone's clocks change within the year to come."""
    noon = datetime(2026, 9, 15, 12)
    for day in (noon + timedelta(days=number) for number in range(365)):
        around = (day - timedelta(days=1), day)
        before, after = (wall.replace(tzinfo=zone).utcoffset() for wall in around)
        if before != after:
            yield day


def meant_by(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which clocks show it; in the hour that is left out, as before the change.

    RFC 5545, 3.3.5.
    """
    a_day = timedelta(days=1)
    offsets = [at.replace(tzinfo=zone).utcoffset() for at in (wall - a_day, wall + a_day)]
    moments = [wall.replace(tzinfo=UTC) - offset for offset in offsets if offset is not None]
    fitting = [at for at in moments if at.astimezone(zone).replace(tzinfo=None) == wall]
    return min(fitting, default=moments[0])


@pytest.mark.bar("F8")
def test_wall_times_of_every_zone_are_right_through_both_changes(
    practice: Practice, fetch: Fetch
) -> None:
    """SECURITY F8: the days before and after, the night itself, and the whole day."""
    assert practice.unlu.clinician_id is not None
    expected: dict[str, tuple[object, object]] = {}
    zones = set()
    with transaction() as session:
        for name in sorted(available_timezones() - {"localtime", "Factory"}):
            zone = ZoneInfo(name)
            for noon in changes_of_clocks(zone):
                zones.add(name)
                midnight = noon.replace(hour=0)
                hours = (-14, 0.25, 1.5, 2.5, 3.5, 10, 34)
                walls = [midnight + timedelta(hours=hour) for hour in hours]
                for wall in walls:
                    plan = Plan(wall, wall + timedelta(minutes=20), name, kind=Kind.MEETING)
                    made = appointments.add(session, practice.unlu.clinician_id, plan, NOW)
                    at = meant_by(wall, zone)
                    expected[made.uid] = at, at + timedelta(minutes=20)
                ends = midnight + timedelta(days=1)
                plan = Plan(midnight, ends, name, kind=Kind.TIME_OFF, all_day=True)
                made = appointments.add(session, practice.unlu.clinician_id, plan, NOW)
                expected[made.uid] = midnight.date(), ends.date()
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.BUSY,
        days_back=90,
        months_ahead=12,
    )

    [read] = in_icalendar([fetch(link)])

    assert len(zones) > 150
    assert {seen.uid: (seen.starts, seen.ends) for seen in read} == expected
