from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import pytest
from sqlalchemy import select

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import AuditEntry, Link, Location, db
from sync_ui.services import access, accounts, appointments, codes, feeds, links, replaced
from sync_ui.services import practice as practices
from sync_ui.services.plans import Plan
from tests.practice import ZONE, Book, Clock, Practice, token_of
from tests.services.test_feeds import summaries

NOW = {"name": "Riverside", "zone": ZONE, "days_back": 30, "months_ahead": 6}

POLICY: dict[str, Any] = {
    "ceiling": DisplayMode.FULL_NAME,
    "longest_link_days": None,
    "wants_agreement": False,
    "schedulers_share_practice": True,
}


def change(practice: Practice, **other: object) -> None:
    practices.change(practice.ada, **(NOW | other))  # type: ignore[arg-type]


def change_policy(practice: Practice, **other: object) -> int:
    return practices.change_policy(practice.ada, **(POLICY | other))


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
            practices.change_policy(actor, **POLICY)
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


# The policy on links.


def states(*made: Link) -> list[str]:
    return [links.state(db.session.get_one(Link, link.id)) for link in made]


def test_a_policy_holds_as_it_was_given(practice: Practice) -> None:
    given = {
        "ceiling": DisplayMode.INITIALS,
        "longest_link_days": 90,
        "wants_agreement": True,
        "schedulers_share_practice": False,
    }

    change_policy(practice, **given)

    found = practices.get()
    assert {field: getattr(found, field) for field in POLICY} == given
    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last is not None
    assert last.action == "practice.policy_changed"
    assert last.detail == given | {"ceiling": "initials", "ended": 0}


@pytest.mark.parametrize("days", [0, -1, 3661, 10**12])
def test_a_longest_life_that_is_none_is_refused(practice: Practice, days: int) -> None:
    change_policy(practice, longest_link_days=3660)

    with pytest.raises(Invalid, match="A link can live 1 to 3660 days"):
        change_policy(practice, longest_link_days=days)

    assert practices.get().longest_link_days == 3660


@pytest.mark.parametrize(
    ("new", "moves"),
    [
        ({}, False),
        ({"ceiling": DisplayMode.INITIALS}, True),
        ({"wants_agreement": True}, True),
        ({"longest_link_days": 90}, False),
        ({"schedulers_share_practice": False}, False),
    ],
)
def test_feeds_move_only_if_they_show_something_else(
    practice: Practice, new: dict[str, object], moves: bool
) -> None:
    before = practices.get().policy_revision

    change_policy(practice, **new)

    assert practices.get().policy_revision == before + moves


@pytest.mark.parametrize(
    "new",
    [{}, {"name": "Lakeside"}, {"zone": "Europe/Berlin"}, {"days_back": 7}, {"months_ahead": 1}],
)
def test_settings_that_are_saved_as_they_were_move_no_feed(
    practice: Practice, new: dict[str, object]
) -> None:
    before = practices.get().policy_revision

    change(practice, **new)

    assert practices.get().policy_revision == before + bool(new)


@pytest.mark.bar("F3")
def test_a_shorter_life_says_how_many_links_it_ends_and_ends_them(
    practice: Practice, now: Clock
) -> None:
    old = links.allow(practice.unlu, practice.unlus_calendar)
    renewed = links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    expired = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Locum",
        DisplayMode.BUSY,
        expires_at=now() + timedelta(days=10),
    )
    dead = links.create(practice.unlu, practice.unlus_calendar, "Lost", DisplayMode.BUSY)
    links.disable(practice.unlu, dead.id)
    secret = token_of(old)
    now.move(days=40)
    links.renew(practice.unlu, renewed.id, 72)
    young = links.allow(practice.anna, practice.annas_calendar)
    policy = {"longest_link_days": 30, "schedulers_share_practice": True}
    assert practices.would_end(longest_link_days=41, schedulers_share_practice=True) == 0
    assert practices.would_end(longest_link_days=30, schedulers_share_practice=True) == 1

    assert change_policy(practice, **policy) == 1

    assert states(old, renewed, young) == ["disabled", "live", "live"]
    assert states(expired, dead) == ["expired", "disabled"]
    # The tablet's replaced address is older than thirty days, too.
    assert replaced.old_address_until(renewed) is None
    assert feeds.read(secret).link_id is None
    assert change_policy(practice, longest_link_days=None) == 0
    assert states(old) == ["disabled"]


def test_a_life_ends_to_the_second(practice: Practice, now: Clock) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    now.move(days=30, seconds=-1)
    assert change_policy(practice, longest_link_days=30) == 0
    assert states(link) == ["live"]

    now.move(seconds=1)

    assert states(link) == ["expired"]
    assert change_policy(practice, longest_link_days=30) == 1
    assert states(link) == ["disabled"]


@pytest.mark.bar("L13")
def test_schedulers_lose_the_practices_calendar_with_all_that_they_made_for_it(
    practice: Practice, book: Book
) -> None:
    book(practice.jane)
    desk = links.create(practice.ada, "practice", "Front desk", DisplayMode.INITIALS)
    sams = links.create(practice.sam, "practice", "Sam's phone", DisplayMode.INITIALS)
    for_anna = links.create(practice.sam, practice.annas_calendar, "Tablet", DisplayMode.BUSY)
    drawn, _ = codes.make(practice.sam, desk.id)
    adas, _ = codes.make(practice.ada, desk.id)
    secret = token_of(sams)
    assert summaries(feeds.read(secret)) == ["Dr. Ünlü: J.S."]
    assert codes.look_at(drawn, None).calendar_name == "Riverside"
    assert practices.would_end(longest_link_days=None, schedulers_share_practice=False) == 1

    assert change_policy(practice, schedulers_share_practice=False) == 1

    assert states(desk, sams, for_anna) == ["live", "disabled", "live"]
    assert summaries(feeds.read(secret)) == ["This calendar link was turned off"]
    with pytest.raises(NotFound):
        codes.look_at(drawn, None)
    assert codes.look_at(adas, None).calendar_name == "Riverside"


def test_a_scheduler_shares_the_practices_calendar_only_by_policy(practice: Practice) -> None:
    desk = links.create(practice.ada, "practice", "Front desk", DisplayMode.BUSY)
    names = [links.name(calendar) for calendar in links.manageable(practice.sam)]
    assert names == ["Riverside", "Anna Bergström", "Dr. Ünlü"]
    assert access.link(practice.sam, desk.id) == desk

    change_policy(practice, schedulers_share_practice=False)

    names = [links.name(calendar) for calendar in links.manageable(practice.sam)]
    assert names == ["Anna Bergström", "Dr. Ünlü"]
    for use in (
        lambda: links.allow(practice.sam, "practice"),
        lambda: links.create(practice.sam, "practice", "Mine", DisplayMode.BUSY),
        lambda: links.reset(practice.sam, desk.id),
        lambda: codes.make(practice.sam, desk.id),
    ):
        with pytest.raises(NotFound):
            use()
    assert links.name(links.manageable(practice.ada)[0]) == "Riverside"
    change_policy(practice)
    assert links.reset(practice.sam, desk.id).id == desk.id


@pytest.mark.bar("L13")
def test_who_becomes_a_scheduler_loses_what_schedulers_may_not_share(practice: Practice) -> None:
    change_policy(practice, schedulers_share_practice=False)
    made = accounts.create_user(
        practice.ada,
        email="eve@example.com",
        name="Eve Park",
        role=Role.ADMINISTRATOR,
        password="four unrelated words",
    )
    desk = links.create(access.actor_for(made), "practice", "Eve's phone", DisplayMode.BUSY)
    assert states(desk) == ["live"]

    accounts.change_user(practice.ada, made.id, name="Eve Park", role=Role.SCHEDULER)

    assert states(desk) == ["disabled"]
