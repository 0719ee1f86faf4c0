import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from icalendar import Calendar as ICalendar
from sqlalchemy import event

from sync_ui.domain.event import DisplayMode, Kind, Status
from sync_ui.errors import NotFound, Unavailable
from sync_ui.models import Appointment, Link, db
from sync_ui.models.installation import current
from sync_ui.services import (
    access,
    appointments,
    clients,
    feeds,
    links,
    people,
)
from sync_ui.services import practice as practices
from sync_ui.services.appointments import Plan
from sync_ui.services.feeds import Answer, Bodies
from tests.practice import ZONE, Book, Clock, Practice

Share = Callable[..., Link]


@pytest.fixture
def share(practice: Practice) -> Share:
    """`share()`: a link to Dr. Ünlü's calendar in initials."""

    def make(mode: DisplayMode = DisplayMode.INITIALS, calendar: str = "", **more: object) -> Link:
        key = calendar or practice.unlus_calendar
        return links.create(practice.ada, key, "Phone", mode, confirmed=True, **more)  # type: ignore[arg-type]

    return make


def token(link: Link) -> str:
    address = links.address(link)
    assert address is not None
    return address.split("/cal/")[1].split("/")[0]


def events(answer: Answer) -> list[dict[str, str]]:
    """Each event's properties, as the feed writes them."""
    text = answer.body.decode().replace("\r\n ", "")
    return [
        dict(line.split(":", 1) for line in block.strip().split("\r\n"))
        for block in re.findall(r"BEGIN:VEVENT\r\n(.*?)END:VEVENT", text, re.DOTALL)
    ]


def summaries(answer: Answer) -> list[str]:
    return [found["SUMMARY"] for found in events(answer)]


def change(practice: Practice, found: Appointment, **more: object) -> None:
    """Save the appointment again, with other values."""
    values: dict[str, object] = {
        "starts": found.starts_local,
        "ends": found.starts_local + (found.ends_at - found.starts_at),
        "zone": found.zone,
        "clients": tuple(found.clients),
        "kind": found.kind,
        "status": found.status,
    }
    plan = Plan(**{**values, **more})  # type: ignore[arg-type]
    appointments.change(practice.unlu, found.id, plan, despite_clashes=True)


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (DisplayMode.INTERNAL_ID, ["1042", "1042 & 1043", "Group (3)", "Meeting"]),
        (DisplayMode.INITIALS, ["J.S.", "J.S. & M.S.", "Group (3)", "Meeting"]),
        (DisplayMode.FIRST_NAME, ["Jane", "Jane & Mark", "Group (3)", "Meeting"]),
        (
            DisplayMode.FULL_NAME,
            ["Jane Smith", "Jane Smith & Mark Smith", "Group (3)", "Case conference"],
        ),
        (DisplayMode.BUSY, ["Busy"] * 4),
    ],
)
def test_a_feed_shows_names_as_its_link_says(
    practice: Practice, book: Book, share: Share, mode: DisplayMode, shown: list[str]
) -> None:
    book(practice.jane)
    book(practice.jane, practice.mark, at="2026-11-24 11:00")
    book(practice.jane, practice.mark, practice.zoe, at="2026-11-24 12:00")
    book(at="2026-11-24 13:00", kind=Kind.MEETING, title="Case conference")

    assert summaries(feeds.read(token(share(mode)))) == shown


def test_the_practice_wide_calendar_names_the_clinician(
    practice: Practice, book: Book, share: Share
) -> None:
    book(practice.jane)
    book(practice.zoe, actor=practice.anna, at="2026-11-24 11:00")

    answer = feeds.read(token(share(calendar="practice")))

    assert summaries(answer) == ["Dr. Ünlü: J.S.", "Anna Bergström: Z.O."]


def test_a_clinicians_feed_holds_no_one_elses_appointments(
    practice: Practice, book: Book, share: Share
) -> None:
    book(practice.zoe, actor=practice.anna)

    assert summaries(feeds.read(token(share(calendar=practice.annas_calendar)))) == ["Z.O."]
    assert summaries(feeds.read(token(share()))) == []


def test_cancelled_appointments_leave_and_no_shows_stay(
    practice: Practice, book: Book, share: Share
) -> None:
    for hour, status in enumerate(Status, 9):
        book(practice.jane, at=f"2026-11-24 {hour:02}:00", status=status)

    found = events(feeds.read(token(share())))

    assert [one["DTSTART"] for one in found] == ["20261124T140000Z", "20261124T170000Z"]


def test_the_window_reaches_from_local_midnight_to_local_midnight(
    practice: Practice, book: Book, share: Share
) -> None:
    for at in (
        "2026-10-23 22:00",
        "2026-10-23 23:30",
        "2026-10-24 00:00",
        "2027-05-23 23:00",
        "2027-05-24 00:00",
    ):
        book(practice.jane, at=at)

    starts = [one["DTSTART"] for one in events(feeds.read(token(share())))]

    assert starts == ["20261024T033000Z", "20261024T040000Z", "20270524T030000Z"]


def test_all_day_time_off_is_told_in_days(practice: Practice, book: Book, share: Share) -> None:
    book(
        at="2026-12-24 00:00", minutes=3 * 24 * 60, kind=Kind.TIME_OFF, title="Paris", all_day=True
    )

    (found,) = events(feeds.read(token(share(DisplayMode.FULL_NAME))))

    assert (found["DTSTART;VALUE=DATE"], found["DTEND;VALUE=DATE"]) == ("20261224", "20261227")
    assert found["SUMMARY"] == "Time off"


def test_ten_oclock_is_ten_oclock_on_both_sides_of_daylight_saving(
    practice: Practice, book: Book, share: Share
) -> None:
    book(practice.jane, at="2027-03-12 10:00")
    book(practice.jane, at="2027-03-15 10:00")

    starts = [one["DTSTART"] for one in events(feeds.read(token(share())))]

    assert starts == ["20270312T150000Z", "20270315T140000Z"]


def test_two_readings_a_minute_apart_are_equal_to_the_byte(
    practice: Practice, book: Book, share: Share, now: Clock
) -> None:
    book(practice.jane)
    link = share()
    first = feeds.read(token(link))
    now.move(minutes=1)

    assert feeds.read(token(link)) == first


CHANGES: dict[str, Callable[[Practice, Appointment, Link], object]] = {
    "an appointment is moved": lambda p, a, _: change(
        p, a, starts=a.starts_local + timedelta(hours=1), ends=a.starts_local + timedelta(hours=2)
    ),
    "an appointment is cancelled": lambda p, a, _: appointments.cancel(p.unlu, a.id),
    "a client is renamed": lambda p, _, __: rename(p, first_name="Ruth", last_name="Green"),
    "a client gets another internal ID": lambda p, _, __: rename(p, internal_id="7777"),
    "a client is never to be shown": lambda p, _, __: rename(p, ceiling=DisplayMode.BUSY),
    "the link shows names otherwise": lambda p, _, link: links.change_mode(
        p.unlu, link.id, DisplayMode.BUSY
    ),
    "the practice lowers its ceiling": lambda p, _, __: policy(p, ceiling=DisplayMode.BUSY),
    "the practice has another window": lambda p, _, __: policy(p, months_ahead=1),
    "the practice has another zone": lambda p, _, __: policy(p, zone="Europe/Berlin"),
}


def rename(practice: Practice, **more: object) -> None:
    values: dict[str, object] = {
        "first_name": "Jane",
        "last_name": "Smith",
        "preferred_name": "",
        "internal_id": "1042",
        "ceiling": None,
    }
    clients.change(practice.sam, practice.jane, **{**values, **more})  # type: ignore[arg-type]


def policy(practice: Practice, **more: object) -> None:
    values: dict[str, object] = {
        "name": "Riverside",
        "zone": ZONE,
        "ceiling": DisplayMode.FULL_NAME,
        "days_back": 30,
        "months_ahead": 6,
    }
    practices.change(practice.ada, **{**values, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("what", CHANGES)
def test_the_next_reading_shows_every_change_even_within_the_same_second(
    practice: Practice, book: Book, share: Share, what: str, now: Clock
) -> None:
    appointment = book(practice.jane)
    link = share(DisplayMode.FULL_NAME)
    before = feeds.read(token(link))

    CHANGES[what](practice, appointment, link)
    after = feeds.read(token(link), if_none_match=before.etag)
    assert before.last_modified is not None
    asked_by_date = feeds.read(
        token(link), if_modified_since=before.last_modified.strftime("%a, %d %b %Y %H:%M:%S GMT")
    )

    assert after.status == 200
    assert asked_by_date.status == 200
    assert after.body != before.body
    assert after.last_modified is not None
    assert after.last_modified > before.last_modified


@pytest.mark.parametrize("what", ["a client is renamed", "the link shows names otherwise"])
def test_a_change_of_what_shows_raises_sequence_and_keeps_the_uid(
    practice: Practice, book: Book, share: Share, what: str
) -> None:
    appointment = book(practice.jane)
    link = share(DisplayMode.FULL_NAME)
    (before,) = events(feeds.read(token(link)))

    CHANGES[what](practice, appointment, link)

    (after,) = events(feeds.read(token(link)))
    assert after["UID"] == before["UID"]
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
    assert after["LAST-MODIFIED"] > before["LAST-MODIFIED"]
    assert after["DTSTAMP"] == after["LAST-MODIFIED"]


def test_a_clinicians_new_name_shows_practice_wide(
    practice: Practice, book: Book, share: Share
) -> None:
    book(practice.jane)
    link = share(calendar="practice")
    (before,) = events(feeds.read(token(link)))

    assert practice.unlu.clinician_id is not None
    people.rename(practice.ada, practice.unlu.clinician_id, "Dr. A. Ünlü")

    (after,) = events(feeds.read(token(link)))
    assert after["SUMMARY"] == "Dr. A. Ünlü: J.S."
    assert int(after["SEQUENCE"]) == int(before["SEQUENCE"]) + 1


def test_equal_initials_are_told_apart_for_good(
    practice: Practice, book: Book, share: Share
) -> None:
    book(practice.jane)
    link = share()
    (alone,) = events(feeds.read(token(link)))
    john = clients.create(practice.sam, first_name="John", last_name="Stone")
    second = book(john.id, at="2026-11-24 11:00")

    both = events(feeds.read(token(link)))
    assert [one["SUMMARY"] for one in both] == ["J.S.1", "J.S.2"]
    assert both[0]["UID"] == alone["UID"]
    assert int(both[0]["SEQUENCE"]) > int(alone["SEQUENCE"])

    appointments.cancel(practice.unlu, second.id)
    assert summaries(feeds.read(token(link))) == ["J.S.1"]


def test_a_ceiling_holds_for_links_that_exist(practice: Practice, book: Book, share: Share) -> None:
    book(practice.jane)
    link = share(DisplayMode.FULL_NAME)
    assert summaries(feeds.read(token(link))) == ["Jane Smith"]

    policy(practice, ceiling=DisplayMode.INITIALS)

    assert summaries(feeds.read(token(link))) == ["J.S."]


def test_midnight_moves_the_window_and_the_validators(
    practice: Practice, book: Book, share: Share, now: Clock
) -> None:
    book(practice.jane, at="2027-05-24 09:00")
    link = share()
    now.set(datetime(2026, 11, 24, 4, 59, 59, tzinfo=UTC))
    before = feeds.read(token(link))
    now.set(datetime(2026, 11, 24, 5, 0, 0, tzinfo=UTC))

    after = feeds.read(token(link), if_none_match=before.etag)

    assert (len(events(before)), len(events(after))) == (0, 1)
    assert after.last_modified == datetime(2026, 11, 24, 5, tzinfo=UTC)


def test_a_clock_that_steps_back_hides_no_change(
    practice: Practice, book: Book, share: Share, now: Clock
) -> None:
    appointment = book(practice.jane)
    link = share()
    before = feeds.read(token(link))
    now.move(days=-1)

    appointments.cancel(practice.unlu, appointment.id)

    after = feeds.read(token(link), if_none_match=before.etag)
    assert (after.status, events(after)) == (200, [])
    assert after.last_modified is not None
    assert before.last_modified is not None
    assert after.last_modified > before.last_modified


def test_an_unchanged_feed_answers_304_to_either_validator(
    practice: Practice, book: Book, share: Share, now: Clock
) -> None:
    book(practice.jane)
    link = share()
    now.move(seconds=30)
    first = feeds.read(token(link))
    assert first.last_modified is not None
    date = first.last_modified.strftime("%a, %d %b %Y %H:%M:%S GMT")

    for asked in ({"if_none_match": first.etag}, {"if_modified_since": date}):
        answer = feeds.read(token(link), **asked)
        assert (answer.status, answer.body) == (304, b"")
        assert (answer.etag, answer.last_modified) == (first.etag, first.last_modified)


def test_the_preview_is_the_feeds_next_five(practice: Practice, book: Book, share: Share) -> None:
    book(practice.jane, at="2026-11-20 10:00")
    for day in range(24, 31):
        book(practice.jane, practice.mark, at=f"2026-11-{day} 10:00", location="Room 2")
    calendar = access.calendar(practice.unlu, practice.unlus_calendar)

    for mode in DisplayMode:
        shown = feeds.preview(calendar, mode)
        served = events(feeds.read(token(share(mode))))[1:6]
        assert [one.summary for one in shown] == [one["SUMMARY"] for one in served]
        assert [one.location for one in shown] == [one.get("LOCATION", "") for one in served]


def test_a_token_never_issued_is_not_found(practice: Practice) -> None:
    with pytest.raises(NotFound):
        feeds.read("2" * 33)


def broken(app: Flask) -> None:
    """From now on no statement reaches the database."""

    @event.listens_for(db.engine, "before_cursor_execute")
    def fail(*_: object) -> None:
        raise db_error

    from sqlalchemy.exc import OperationalError  # late: raised by the listener alone

    db_error = OperationalError("SELECT", {}, Exception("disk I/O error"))
    app.extensions["mend"] = lambda: event.remove(db.engine, "before_cursor_execute", fail)


def test_a_broken_database_serves_the_last_good_body(
    app: Flask, practice: Practice, book: Book, share: Share
) -> None:
    book(practice.jane)
    read, unread = token(share()), token(share())
    good = feeds.read(read)
    db.session.rollback()
    broken(app)
    try:
        assert feeds.read(read) == good
        with pytest.raises(Unavailable):
            feeds.read(unread)
    finally:
        app.extensions["mend"]()


def test_a_broken_database_revives_no_dead_link(
    app: Flask, practice: Practice, book: Book, share: Share, now: Clock
) -> None:
    book(practice.jane)
    reset, late = share(), share(expires_at=now() + timedelta(hours=1))
    dead, expiring = token(reset), token(late)
    feeds.read(dead)
    feeds.read(expiring)
    links.reset(practice.unlu, reset.id)
    now.move(hours=2)
    db.session.rollback()
    broken(app)
    try:
        for each in (dead, expiring):
            with pytest.raises(Unavailable):
                feeds.read(each)
    finally:
        app.extensions["mend"]()


def test_the_held_bodies_stay_within_their_bound() -> None:
    bodies = Bodies(most_bytes=100)
    for name in "abc":
        bodies.put(name, Answer(200, b"x" * 40, "a.ics"))

    assert bodies.get("a") is None
    assert bodies.get("b") is not None
    assert bodies.get("c") is not None


def test_an_empty_feed_is_a_whole_calendar(share: Share) -> None:
    calendar = ICalendar.from_ical(feeds.read(token(share())).body)

    assert [component.name for component in calendar.subcomponents] == ["VTIMEZONE"]


def test_a_journalled_token_stays_dead_whatever_the_database_says(
    practice: Practice, book: Book, share: Share, now: Clock
) -> None:
    book(practice.jane)
    link = share()
    assert len(events(feeds.read(token(link)))) == 1

    current().journal.add([found.digest for found in link.tokens], now())

    assert summaries(feeds.read(token(link))) == ["This calendar link was turned off"]
