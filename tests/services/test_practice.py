from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import available_timezones

import pytest

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Location, db
from sync_ui.services import appointments
from sync_ui.services import practice as practices
from sync_ui.services.plans import Plan
from tests.practice import ZONE, Book, Practice

NOW = {
    "name": "Riverside",
    "zone": ZONE,
    "ceiling": DisplayMode.FULL_NAME,
    "days_back": 30,
    "months_ahead": 6,
}


def change(practice: Practice, **other: object) -> None:
    practices.change(practice.ada, **(NOW | other))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"name": "\x00"},
        {"zone": "Mars/Olympus"},
        {"zone": ""},
        {"zone": "UTC\x00"},
        {"zone": "../../etc/passwd"},
        {"days_back": -1},
        {"days_back": 367},
        {"months_ahead": 0},
        {"months_ahead": 25},
    ],
)
def test_nonsense_is_refused_and_changes_nothing(
    practice: Practice, wrong: dict[str, object]
) -> None:
    with pytest.raises(Invalid):
        change(practice, **wrong)

    found = practices.get()
    assert {name: getattr(found, name) for name in NOW} == NOW
    assert found.policy_revision == 0


def test_only_an_administrator_changes_the_practice(practice: Practice) -> None:
    change(practice, name="Lakeside")
    assert practices.get().name == "Lakeside"

    for actor in (practice.sam, practice.unlu):
        with pytest.raises(Refused):
            practices.change(actor, **NOW)  # type: ignore[arg-type]
        with pytest.raises(Refused):
            practices.show_internal_ids(actor, True)
        with pytest.raises(Refused):
            practices.add_location(actor, "Room 3")
        with pytest.raises(Refused):
            practices.remove_location(actor, 1)
    assert practices.get().name == "Lakeside"


def test_every_zone_offered_is_taken(practice: Practice) -> None:
    zones = practices.zones()

    assert set(zones) <= available_timezones()
    for zone in ("America/New_York", "Europe/Berlin", "Asia/Kathmandu", "UTC"):
        assert zone in zones
        practices.check_zone(zone)


@pytest.mark.parametrize("name", ["Room 2", "room 2", " ROOM  2 ", "Telehealth", "home visit"])
def test_a_place_is_there_once(practice: Practice, name: str) -> None:
    with pytest.raises(Conflict):
        practices.add_location(practice.ada, name)


def test_appointments_keep_a_place_that_is_removed(practice: Practice, book: Book) -> None:
    kept = book(practice.jane, location="Room 2")
    room = next(place for place in practices.locations() if place.name == "Room 2")
    starts = datetime(2026, 11, 25, 10)
    plan = Plan(
        starts=starts,
        ends=starts + timedelta(minutes=50),
        zone=ZONE,
        clients=tuple(kept.clients),
        location="Room 2",
    )

    practices.remove_location(practice.ada, room.id)

    assert practices.location_names() == ["Main office", "Telehealth", "Home visit"]
    moved = appointments.change(practice.unlu, kept.id, plan)
    assert (moved.starts_local, moved.location) == (starts, "Room 2")
    with pytest.raises(Invalid):
        appointments.change(practice.unlu, kept.id, replace(plan, location="Jane's home"))
    with pytest.raises(Invalid):
        book(practice.mark, location="Room 2")
    with pytest.raises(NotFound):
        practices.remove_location(practice.ada, room.id)
    assert db.session.query(Location).count() == 1


def test_internal_ids_are_switched_on_and_off(practice: Practice) -> None:
    assert practices.get().shows_internal_ids is False

    practices.show_internal_ids(practice.ada, True)

    assert practices.get().shows_internal_ids is True


def test_a_note_keeps_its_lines_and_loses_what_nobody_sees(practice: Practice, book: Book) -> None:
    booked = book(practice.jane, title="Intake\x00\r\nfirst", note=" one\r\n\n  two\x00\x1b\tx\n")

    assert (booked.title, booked.note) == ("Intake first", "one\n\n  two x")
