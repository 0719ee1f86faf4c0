"""Who has not seen an appointment's last change yet."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui.domain.event import Choices, DisplayMode, Kind
from sync_ui.models import Appointment, Calendar, Link, db
from sync_ui.services import appointments, freshness, links, visits
from sync_ui.services.access import Actor
from sync_ui.services.freshness import Freshness
from sync_ui.services.visits import Recorder, Seen
from tests.practice import Book, Clock, Practice

IPHONE = "iOS/26.5 (23F77) dataaccessd/1.0"
GOOGLE = "Google-Calendar-Importer"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/137.0.0.0 Safari/537.36"
APPLE = "Apple Calendar on iPhone or iPad"

Read = Callable[..., datetime]


@pytest.fixture
def office(practice: Practice) -> Link:
    return links.create(practice.unlu, practice.unlus_calendar, "Office", DisplayMode.INITIALS)


@pytest.fixture
def read(app: Flask, now: Clock) -> Read:
    """`read(link, GOOGLE)`: an app reads the link a minute later, and gets what is new."""
    recorder: Recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()

    def by(link: Link, agent: str) -> datetime:
        now.move(minutes=1)
        at = now()
        db.session.rollback()
        token = db.session.get_one(Link, link.id).tokens[-1]
        changed_at = db.session.scalars(
            select(Calendar.changed_at).where(Calendar.id == link.calendar_id)
        ).one()
        recorder.note(Seen(token.id, link.id, agent, "203.0.113.7", "", changed_at, at))
        recorder.write()
        return at

    return by


def of(actor: Actor, appointment: Appointment) -> list[Freshness]:
    db.session.rollback()
    return freshness.of(actor, db.session.get_one(Appointment, appointment.id))


def test_who_read_before_the_change_still_shows_the_old_time(
    practice: Practice, office: Link, book: Book, read: Read, now: Clock
) -> None:
    session = book(practice.jane)
    google = read(office, GOOGLE)
    iphone = read(office, IPHONE)
    now.move(minutes=1)
    appointments.cancel(practice.unlu, session.id)

    assert of(practice.unlu, session) == [
        Freshness("Office", False, APPLE, iphone, has_seen=False),
        Freshness("Office", False, "Google Calendar", google, has_seen=False),
    ]

    iphone = read(office, IPHONE)
    assert of(practice.unlu, session) == [
        Freshness("Office", False, APPLE, iphone, has_seen=True),
        Freshness("Office", False, "Google Calendar", google, has_seen=False),
    ]


def test_a_change_in_the_second_of_a_reading_is_not_seen(
    practice: Practice, office: Link, book: Book, read: Read
) -> None:
    """What counts is the Last-Modified that was given, not the moment of the reading."""
    first = book(practice.jane)
    read_at = read(office, GOOGLE)
    second = book(practice.mark, at="2026-11-25 10:00")

    assert second.changed_at - timedelta(seconds=1) <= read_at
    assert [found.has_seen for found in of(practice.unlu, first)] == [True]
    assert [found.has_seen for found in of(practice.unlu, second)] == [False]


def test_browsers_and_scripts_show_nobody_a_schedule(
    practice: Practice, office: Link, book: Book, read: Read
) -> None:
    session = book(practice.jane)
    read(office, CHROME)

    assert of(practice.unlu, session) == [Freshness("Office", False, None, None, has_seen=False)]


def test_an_app_that_has_not_read_for_two_weeks_reads_no_more(
    practice: Practice, office: Link, book: Book, read: Read, now: Clock
) -> None:
    last_at = read(office, GOOGLE)
    now.move(days=14)
    session = book(practice.jane, at="2026-12-14 10:00")

    assert of(practice.unlu, session) == [Freshness("Office", False, None, last_at, has_seen=False)]


def test_a_change_of_two_days_ago_is_no_news(
    practice: Practice, office: Link, book: Book, now: Clock
) -> None:
    session = book(practice.jane)
    now.set(session.changed_at + timedelta(days=2, seconds=-1))
    assert len(of(practice.unlu, session)) == 1

    now.move(seconds=1)

    assert of(practice.unlu, session) == []


def test_the_practices_links_are_for_who_may_share_them(
    practice: Practice, office: Link, book: Book, read: Read
) -> None:
    desk = links.create(practice.ada, "practice", "Front desk", DisplayMode.BUSY)
    session = book(practice.jane)
    read(office, GOOGLE)
    read(desk, IPHONE)

    assert [found.label for found in of(practice.unlu, session)] == ["Office"]
    assert [(found.label, found.practice_wide) for found in of(practice.ada, session)] == [
        ("Office", False),
        ("Front desk", True),
    ]
    assert of(practice.anna, session) == []


def test_dead_links_and_links_of_others_show_nothing(
    practice: Practice, office: Link, book: Book
) -> None:
    links.create(practice.anna, practice.annas_calendar, "Anna's", DisplayMode.BUSY)
    session = book(practice.jane)
    assert len(of(practice.ada, session)) == 1

    links.disable(practice.unlu, office.id)

    assert of(practice.ada, session) == []


def test_after_a_reset_it_tells_who_lost_the_link_until_it_is_added_again(
    practice: Practice, office: Link, book: Book, read: Read, now: Clock
) -> None:
    session = book(practice.jane)
    google = read(office, GOOGLE)
    iphone = read(office, IPHONE)
    now.move(minutes=1)
    links.reset(practice.unlu, office.id)
    lost_at = now()

    assert of(practice.unlu, session) == [
        Freshness("Office", False, APPLE, iphone, has_seen=False, lost_at=lost_at),
        Freshness("Office", False, "Google Calendar", google, has_seen=False, lost_at=lost_at),
    ]

    iphone = read(office, IPHONE)
    assert of(practice.unlu, session) == [
        Freshness("Office", False, APPLE, iphone, has_seen=True),
        Freshness("Office", False, "Google Calendar", google, has_seen=False, lost_at=lost_at),
    ]


def test_a_replaced_address_is_lost_when_its_grace_is_over(
    practice: Practice, office: Link, book: Book, read: Read, now: Clock
) -> None:
    read(office, GOOGLE)
    links.renew(practice.unlu, office.id, 24)
    ends_at = now() + timedelta(hours=24)
    now.move(hours=23)
    session = book(practice.jane)
    assert [found.lost_at for found in of(practice.unlu, session)] == [None]

    now.move(hours=1)

    assert [found.lost_at for found in of(practice.unlu, session)] == [ends_at]


def test_a_disabled_link_is_spoken_of_for_a_week(
    practice: Practice, office: Link, book: Book, read: Read, now: Clock
) -> None:
    read(office, GOOGLE)
    links.disable(practice.unlu, office.id)
    lost_at = now()
    now.move(days=6, hours=23)
    session = book(practice.jane, at="2026-12-14 10:00")
    assert [found.lost_at for found in of(practice.unlu, session)] == [lost_at]

    now.move(hours=1)

    assert of(practice.unlu, session) == []


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-15 10:00", False),
        ("2026-11-16 10:00", True),
        ("2026-12-23 10:00", True),
        ("2026-12-24 10:00", False),
    ],
)
def test_only_a_link_whose_window_holds_the_appointment_counts(
    practice: Practice, book: Book, at: str, shown: bool
) -> None:
    """Today is 23 November in New York; the link shows 7 days back and a month ahead."""
    links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Short",
        DisplayMode.BUSY,
        days_back=7,
        months_ahead=1,
    )

    assert [found.label for found in of(practice.unlu, book(practice.jane, at=at))] == (
        ["Short"] if shown else []
    )


def test_a_link_without_time_off_does_not_wait_for_it(practice: Practice, book: Book) -> None:
    create = (practice.unlu, practice.unlus_calendar)
    links.create(*create, "All", DisplayMode.BUSY)
    links.create(*create, "Work", DisplayMode.BUSY, choices=Choices(time_off=False))

    time_off = book(kind=Kind.TIME_OFF)

    assert [found.label for found in of(practice.unlu, time_off)] == ["All"]


def test_visits_by_several_networks_are_of_one_app(
    practice: Practice, office: Link, book: Book, app: Flask, now: Clock
) -> None:
    session = book(practice.jane)
    recorder: Recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()
    [token] = office.tokens
    for peer in ("203.0.113.7", "198.51.100.3"):
        now.move(minutes=5)
        seen = Seen(token.id, office.id, IPHONE, peer, "", session.changed_at, now())
        recorder.note(seen)
    recorder.write()

    assert of(practice.unlu, session) == [Freshness("Office", False, APPLE, now(), has_seen=True)]
    assert len(visits.of_link(office.id)) == 2
