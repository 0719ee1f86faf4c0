"""What a link serves, and that its validators never lie."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from flask import Flask
from icalendar import Calendar as Parsed
from sqlalchemy import select, text, update
from sqlalchemy.exc import SQLAlchemyError

from sync_ui.domain.event import DisplayMode, Kind, Status
from sync_ui.domain.ics_write import NOTICE
from sync_ui.errors import NotFound, Unavailable
from sync_ui.models import Appointment, Client, Link, Token, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import (
    access,
    accounts,
    appointments,
    clients,
    feeds,
    links,
    people,
    upkeep,
)
from sync_ui.services import practice as practices
from sync_ui.services.access import WORKER
from sync_ui.services.bodies import Memory
from sync_ui.services.feeds import Answer
from sync_ui.services.plans import Plan
from tests.practice import NOW, ZONE, Book, Clock, Practice, token_of

Change = Callable[[Practice, Appointment], object]


def parsed(answer: Answer) -> list[Any]:
    return list(Parsed.from_ical(answer.body).events)


def summaries(answer: Answer) -> list[str]:
    return [str(event["SUMMARY"]) for event in parsed(answer)]


def conditional(token: str, held: Answer) -> list[int]:
    """How a reader who holds `held` is answered: by tag, by date, by both."""
    assert held.last_modified is not None
    tag, day = held.etag, format_datetime(held.last_modified, usegmt=True)
    return [
        feeds.read(token, if_none_match=tag).status,
        feeds.read(token, if_modified_since=day).status,
        feeds.read(token, if_none_match=tag, if_modified_since=day).status,
    ]


def settle(now: Clock) -> None:
    """Past the moments that changes within one second are given."""
    now.move(minutes=1)


def plan_of(appointment: Appointment, **other: object) -> Plan:
    starts = appointment.starts_local
    plan = Plan(
        starts=starts,
        ends=starts + (appointment.ends_at - appointment.starts_at),
        zone=appointment.zone,
        clients=tuple(appointment.clients),
        location=appointment.location,
    )
    return replace(plan, **other)  # type: ignore[arg-type]


def rename_client(practice: Practice, **other: object) -> Client:
    jane = db.session.get_one(Client, practice.jane)
    now = {
        "first_name": jane.first_name,
        "last_name": jane.last_name,
        "preferred_name": jane.preferred_name,
        "internal_id": jane.internal_id,
        "ceiling": jane.ceiling,
    }
    return clients.change(practice.sam, practice.jane, **(now | other))  # type: ignore[arg-type]


def change_practice(practice: Practice, **other: object) -> None:
    found = practices.get()
    now = {
        "name": found.name,
        "zone": found.zone,
        "days_back": found.days_back,
        "months_ahead": found.months_ahead,
    }
    practices.change(practice.ada, **(now | other))  # type: ignore[arg-type]


def change_policy(practice: Practice, **other: object) -> None:
    now = {
        "ceiling": DisplayMode.FULL_NAME,
        "longest_link_days": None,
        "wants_agreement": False,
        "schedulers_share_practice": True,
    }
    practices.change_policy(practice.ada, **(now | other))  # type: ignore[arg-type]


def book_another_j_s(practice: Practice, _: Appointment) -> None:
    """Joan Swift comes to Dr. Ünlü too: Jane becomes J.S.1."""
    joan = clients.create(practice.sam, first_name="Joan", last_name="Swift")
    starts = datetime(2028, 1, 3, 10)  # far outside the window
    plan = Plan(starts=starts, ends=starts + timedelta(hours=1), zone=ZONE, clients=(joan,))
    assert practice.unlu.clinician_id is not None
    appointments.create(practice.sam, practice.unlu.clinician_id, plan)


def change_mode(practice: Practice, _: Appointment) -> None:
    link = db.session.scalars(select(Link)).one()
    links.change_mode(practice.unlu, link.id, DisplayMode.BUSY)


def clinician_of(practice: Practice) -> int:
    assert practice.unlu.clinician_id is not None
    return practice.unlu.clinician_id


def book_one_more(practice: Practice, appointment: Appointment) -> None:
    later = appointment.starts_local + timedelta(days=1)
    plan = plan_of(appointment, starts=later, ends=later + timedelta(minutes=50))
    appointments.create(practice.unlu, clinician_of(practice), plan)


def move(practice: Practice, appointment: Appointment) -> None:
    later = appointment.starts_local + timedelta(hours=1)
    plan = plan_of(appointment, starts=later, ends=later + timedelta(minutes=50))
    appointments.change(practice.unlu, appointment.id, plan)


def revive(practice: Practice, appointment: Appointment) -> None:
    appointments.cancel(practice.unlu, appointment.id)
    appointments.change(practice.unlu, appointment.id, plan_of(appointment, location="Room 2"))


# Everything that a feed shows, and a change of it.
CHANGES: dict[str, tuple[DisplayMode, Change]] = {
    "an appointment is added": (DisplayMode.INITIALS, book_one_more),
    "an appointment is moved": (DisplayMode.INITIALS, move),
    "an appointment is cancelled": (
        DisplayMode.INITIALS,
        lambda p, a: appointments.cancel(p.unlu, a.id),
    ),
    "an appointment is cancelled and comes back": (DisplayMode.INITIALS, revive),
    "its place changes": (
        DisplayMode.INITIALS,
        lambda p, a: appointments.change(p.unlu, a.id, plan_of(a, location="Telehealth")),
    ),
    "a client is renamed": (
        DisplayMode.FULL_NAME,
        lambda p, _: rename_client(p, last_name="Doe"),
    ),
    "initials change": (DisplayMode.INITIALS, lambda p, _: rename_client(p, last_name="Doe")),
    "a preferred name is given": (
        DisplayMode.FIRST_NAME,
        lambda p, _: rename_client(p, preferred_name="Janey"),
    ),
    "an internal ID changes": (
        DisplayMode.INTERNAL_ID,
        lambda p, _: rename_client(p, internal_id="9999"),
    ),
    "a client may be shown less": (
        DisplayMode.FIRST_NAME,
        lambda p, _: rename_client(p, ceiling=DisplayMode.BUSY),
    ),
    "equal initials arrive": (DisplayMode.INITIALS, book_another_j_s),
    "the practice allows less": (
        DisplayMode.FULL_NAME,
        lambda p, _: change_policy(p, ceiling=DisplayMode.INITIALS),
    ),
    "the link's mode changes": (DisplayMode.INITIALS, change_mode),
    "the clinician is renamed": (
        DisplayMode.INITIALS,
        lambda p, _: people.change(p.ada, clinician_of(p), "Dr. Ünlü-Kaya"),
    ),
    "the zone changes": (
        DisplayMode.INITIALS,
        lambda p, _: change_practice(p, zone="Europe/Berlin"),
    ),
    "the window reaches less far back": (
        DisplayMode.INITIALS,
        lambda p, _: change_practice(p, days_back=3),
    ),
    "the window reaches less far ahead": (
        DisplayMode.INITIALS,
        lambda p, _: change_practice(p, months_ahead=1),
    ),
}


@pytest.fixture
def shared(practice: Practice, book: Book) -> Appointment:
    """One appointment near, one at either end of the window."""
    book(practice.mark, at="2026-10-26 09:00")
    book(practice.mark, at="2027-05-20 09:00")
    return book(practice.jane)


@pytest.mark.bar("F6")
@pytest.mark.parametrize("change", CHANGES)
def test_after_every_change_a_reader_gets_the_new_feed(
    practice: Practice, shared: Appointment, now: Clock, change: str
) -> None:
    mode, happens = CHANGES[change]
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", mode, confirmed=True)
    token = token_of(link)
    settle(now)
    before = feeds.read(token)
    assert conditional(token, before) == [304, 304, 304]

    happens(practice, shared)

    assert conditional(token, before) == [200, 200, 200]
    after = feeds.read(token)
    assert after.body != before.body
    assert after.etag != before.etag
    assert before.last_modified is not None
    assert after.last_modified is not None
    assert after.last_modified >= before.last_modified + timedelta(seconds=1)
    settle(now)
    assert conditional(token, after) == [304, 304, 304]
    assert feeds.read(token) == after


@pytest.mark.bar("F5")
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_keeps_its_uid_and_raises_sequence_and_stamp(
    practice: Practice, shared: Appointment, now: Clock, change: str
) -> None:
    """SECURITY F5."""
    mode, happens = CHANGES[change]
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", mode, confirmed=True)
    settle(now)
    before = {str(event["UID"]): event for event in parsed(feeds.read(token_of(link)))}

    happens(practice, shared)

    for event in parsed(feeds.read(token_of(link))):
        old = before.get(str(event["UID"]))
        if old is None or old.to_ical() == event.to_ical():
            continue
        assert int(event["SEQUENCE"]) > int(old["SEQUENCE"])
        assert event["LAST-MODIFIED"].dt > old["LAST-MODIFIED"].dt
        assert event["DTSTAMP"].dt == event["LAST-MODIFIED"].dt


def test_the_practices_name_changes_the_practices_feed(practice: Practice, now: Clock) -> None:
    link = links.create(practice.sam, "practice", "Front desk", DisplayMode.INITIALS)
    token = token_of(link)
    settle(now)
    before = feeds.read(token)

    change_practice(practice, name="Lakeside")

    assert conditional(token, before) == [200, 200, 200]
    assert Parsed.from_ical(feeds.read(token).body)["X-WR-CALNAME"] == "Lakeside"


def test_the_practices_feed_puts_the_clinician_first_and_follows_a_new_name(
    practice: Practice, book: Book, now: Clock
) -> None:
    book(practice.jane)
    book(practice.zoe, actor=practice.anna, at="2026-11-25 10:00")
    token = token_of(links.create(practice.sam, "practice", "Front desk", DisplayMode.INITIALS))
    settle(now)
    before = feeds.read(token)
    assert summaries(before) == ["Dr. Ünlü: J.S.", "Anna Bergström: Z.O."]

    people.change(practice.ada, clinician_of(practice), "Dr. Kaya")

    assert conditional(token, before) == [200, 200, 200]
    assert summaries(feeds.read(token)) == ["Dr. Kaya: J.S.", "Anna Bergström: Z.O."]


def test_a_colleagues_change_leaves_a_feed_as_it_is(
    practice: Practice, shared: Appointment, book: Book, now: Clock
) -> None:
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    settle(now)
    before = feeds.read(token)

    book(practice.zoe, actor=practice.anna)

    assert conditional(token, before) == [304, 304, 304]
    assert feeds.read(token) == before


@pytest.mark.bar("F6")
def test_local_midnight_moves_the_window_and_both_validators(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    """SECURITY F6."""
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    now.set(datetime(2026, 11, 26, 4, 59, 59, tzinfo=UTC))  # a second before midnight there
    before = feeds.read(token)
    assert summaries(before) == ["M.S.", "J.S.", "M.S."]
    assert conditional(token, before) == [304, 304, 304]

    now.move(seconds=1)

    assert conditional(token, before) == [200, 200, 200]
    after = feeds.read(token)
    assert summaries(after) == ["J.S.", "M.S."]  # 26 October is 31 days ago
    assert after.last_modified == datetime(2026, 11, 26, 5, tzinfo=UTC)


def test_the_window_ends_at_the_midnight_after_its_last_day(
    practice: Practice, book: Book, now: Clock
) -> None:
    """On 23 November it reaches from 24 October 00:00 to the end of 23 May, in New York."""
    book(practice.jane, at="2026-10-23 23:00", minutes=60)
    book(practice.mark, at="2026-10-23 23:30", minutes=31)
    book(practice.mark, at="2027-05-23 23:59", minutes=60)
    book(practice.jane, at="2027-05-24 00:00", minutes=60)
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))

    assert summaries(feeds.read(token)) == ["M.S.", "M.S."]


@pytest.mark.bar("F6")
def test_two_changes_within_one_second_are_two_changes(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    """SECURITY F6."""
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    settle(now)
    move(practice, shared)
    first = feeds.read(token)

    rename_client(practice, last_name="Doe")

    assert conditional(token, first) == [200, 200, 200]
    second = feeds.read(token)
    assert first.last_modified is not None
    assert second.last_modified == first.last_modified + timedelta(seconds=1)


@pytest.mark.bar("F6", "D7")
def test_a_clock_that_steps_back_hides_no_change(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    """SECURITY F6."""
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    settle(now)
    before = feeds.read(token)

    now.move(hours=-20)  # within the same day in New York it would be -12
    move(practice, shared)

    assert conditional(token, before) == [200, 200, 200]
    after = feeds.read(token)
    assert before.last_modified is not None
    assert after.last_modified is not None
    assert after.last_modified > before.last_modified


@pytest.mark.bar("F6", "L4")
def test_after_a_restored_copy_another_content_never_has_the_same_tag(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    """The versions count from the copy on again; the moments of changes do not."""
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    copied = versions()
    settle(now)
    appointments.change(practice.unlu, shared.id, plan_of(shared, location="Room 2"))
    lost = feeds.read(token)

    restore(copied)
    settle(now)
    appointments.change(practice.unlu, shared.id, plan_of(shared, location="Telehealth"))

    assert conditional(token, lost) == [200, 200, 200]


def versions() -> list[tuple[object, ...]]:
    found = db.session.execute(text("SELECT version, changed_at, id FROM calendar")).all()
    return [tuple(row) for row in found]


def restore(copied: list[tuple[object, ...]]) -> None:
    with transaction() as session:
        for version, changed_at, calendar_id in copied:
            session.execute(
                text("UPDATE calendar SET version = :v, changed_at = :c WHERE id = :i"),
                {"v": version, "c": changed_at, "i": calendar_id},
            )


def test_two_fetches_a_minute_apart_give_the_same_bytes(
    practice: Practice, shared: Appointment, now: Clock, app: Flask
) -> None:
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    first = feeds.read(token)

    settle(now)
    feeds.init_app(app, current().config)  # nothing in memory: it is written anew

    assert feeds.read(token) == first


@pytest.mark.bar("F8")
def test_cancelled_and_late_cancelled_leave_and_a_no_show_stays(
    practice: Practice, book: Book
) -> None:
    """SECURITY F8."""
    book(practice.jane, at="2026-11-24 09:00", status=Status.NO_SHOW)
    cancelled = book(practice.mark, at="2026-11-24 10:00")
    late = book(practice.mark, at="2026-11-24 11:00")
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    assert summaries(feeds.read(token)) == ["J.S.", "M.S.", "M.S."]

    appointments.cancel(practice.unlu, cancelled.id)
    appointments.cancel(practice.unlu, late.id, late=True)

    assert summaries(feeds.read(token)) == ["J.S."]


@pytest.mark.bar("F8")
def test_ten_o_clock_stays_ten_o_clock_across_daylight_saving(
    practice: Practice, book: Book
) -> None:
    """SECURITY F8."""
    for day in ("2026-10-27", "2026-11-03", "2027-03-09", "2027-03-16"):
        book(practice.jane, at=f"{day} 10:00")
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))

    starts = [event["DTSTART"].dt for event in parsed(feeds.read(token))]

    assert starts == [
        datetime(2026, 10, 27, 14, tzinfo=UTC),
        datetime(2026, 11, 3, 15, tzinfo=UTC),
        datetime(2027, 3, 9, 15, tzinfo=UTC),
        datetime(2027, 3, 16, 14, tzinfo=UTC),
    ]


@pytest.mark.bar("F8")
def test_a_day_off_is_a_day_also_where_it_has_25_hours(practice: Practice, book: Book) -> None:
    book(at="2026-11-01 00:00", minutes=24 * 60, kind=Kind.TIME_OFF, all_day=True)
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))

    event = parsed(feeds.read(token))[0]

    assert (event["DTSTART"].dt, event["DTEND"].dt) == (date(2026, 11, 1), date(2026, 11, 2))


@pytest.mark.bar("F3")
def test_the_ceiling_holds_for_links_that_exist(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    """SECURITY F3."""
    link = links.create(
        practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.FULL_NAME, confirmed=True
    )
    assert summaries(feeds.read(token_of(link)))[1] == "Jane Smith"

    change_policy(practice, ceiling=DisplayMode.INTERNAL_ID)
    assert summaries(feeds.read(token_of(link)))[1] == "1042"

    change_policy(practice, ceiling=DisplayMode.FULL_NAME)
    assert summaries(feeds.read(token_of(link)))[1] == "Jane Smith"


@pytest.mark.bar("F3")
def test_a_clients_ceiling_holds_for_both_of_a_couple(practice: Practice, book: Book) -> None:
    book(practice.jane, practice.mark)
    book(practice.mark, at="2026-11-25 10:00")
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.FIRST_NAME)
    assert summaries(feeds.read(token_of(link))) == ["Jane & Mark", "Mark"]

    rename_client(practice, ceiling=DisplayMode.INITIALS)

    assert summaries(feeds.read(token_of(link))) == ["J.S. & M.S.", "Mark"]


def test_equal_initials_are_numbered_for_good(practice: Practice, book: Book) -> None:
    book(practice.jane)
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    assert summaries(feeds.read(token)) == ["J.S."]

    joan = clients.create(practice.sam, first_name="Joan", last_name="Swift")
    later = book(joan.id, at="2026-11-25 10:00")
    assert summaries(feeds.read(token)) == ["J.S.1", "J.S.2"]

    appointments.cancel(practice.unlu, later.id)
    assert summaries(feeds.read(token)) == ["J.S.1"]

    rename_client(practice, last_name="Doe")
    assert summaries(feeds.read(token)) == ["J.D."]
    book(joan.id, at="2026-11-26 10:00")
    rename_client(practice, last_name="Smith")
    assert summaries(feeds.read(token)) == ["J.S.1", "J.S.2"]


def test_another_clinicians_equal_initials_do_not_count(practice: Practice, book: Book) -> None:
    joan = clients.create(practice.sam, first_name="Joan", last_name="Swift")
    book(joan.id, actor=practice.anna)
    book(practice.jane)
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))

    assert summaries(feeds.read(token)) == ["J.S."]


@pytest.mark.parametrize("mode", DisplayMode)
@pytest.mark.parametrize("key", ["own", "practice"])
def test_the_preview_is_the_feeds_next_five(
    practice: Practice, book: Book, mode: DisplayMode, key: str
) -> None:
    book(practice.jane, at="2026-11-23 08:00")  # over
    book(practice.jane, at="2026-11-23 11:30")  # under way
    book(practice.mark, at="2026-11-23 13:00", status=Status.LATE_CANCELLED)
    book(practice.jane, practice.mark, at="2026-11-24 09:00", location="Room 2")
    book(kind=Kind.MEETING, title="About Jane", at="2026-11-24 12:00")
    book(at="2026-11-25 00:00", minutes=24 * 60, kind=Kind.TIME_OFF, all_day=True)
    book(practice.jane, practice.mark, practice.zoe, at="2026-11-26 09:00")
    book(practice.zoe, at="2026-11-27 09:00")
    key = practice.unlus_calendar if key == "own" else key
    link = links.create(practice.sam, key, "Phone", mode, confirmed=True)
    now_on = [
        (str(e["SUMMARY"]), str(e.get("LOCATION", "")), e["DTSTART"].dt, e["DTEND"].dt)
        for e in parsed(feeds.read(token_of(link)))
        if not isinstance(e["DTEND"].dt, datetime) or e["DTEND"].dt > NOW
    ]

    previewed = feeds.preview(access.calendar(practice.sam, key), mode)

    assert [(e.summary, e.location, e.starts, e.ends) for e in previewed] == now_on[:5]
    assert len(previewed) == 5


@pytest.mark.bar("L3")
def test_a_reset_wipes_the_old_link_and_the_new_one_goes_on(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    old = token_of(link)
    settle(now)
    before = feeds.read(old)
    assert conditional(old, before) == [304, 304, 304]

    links.reset(practice.unlu, link.id)

    assert conditional(old, before) == [200, 200, 200]
    assert summaries(feeds.read(old)) == [NOTICE]
    assert conditional(token_of(link), before) == [200, 200, 200]
    assert summaries(feeds.read(token_of(link))) == summaries(before)


ENDINGS: dict[str, Callable[[Practice, Link, Clock], object]] = {
    "disabled": lambda p, link, _: links.disable(p.unlu, link.id),
    "disallowed": lambda p, *_: links.disallow(p.unlu, p.unlus_calendar),
    "reset": lambda p, link, _: links.reset(p.unlu, link.id),
    "expired": lambda _, __, now: now.move(minutes=30),
    "archived": lambda p, *_: people.archive(p.ada, clinician_of(p)),
    "out": lambda p, *_: accounts.disable_user(p.ada, p.unlu.user_id or 0),
}


@pytest.mark.bar("L15")
@pytest.mark.parametrize("how", ENDINGS)
def test_a_dead_link_serves_the_notice_for_thirty_days_and_then_410(
    practice: Practice, shared: Appointment, now: Clock, how: str
) -> None:
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.INITIALS,
        expires_at=NOW + timedelta(hours=1),
    )
    token = token_of(link)
    now.move(minutes=30)
    before = feeds.read(token)
    assert summaries(before) == ["M.S.", "J.S.", "M.S."]
    ENDINGS[how](practice, link, now)
    ended = now()

    assert conditional(token, before) == [200, 200, 200]
    notice = feeds.read(token)
    assert summaries(notice) == [NOTICE]
    assert notice.link_id is None
    settle(now)
    assert conditional(token, notice) == [304, 200, 304]
    upkeep.sweep()
    now.set(ended + timedelta(days=30))
    assert summaries(feeds.read(token)) == [NOTICE]
    now.move(seconds=1)
    gone = feeds.read(token)
    assert (gone.status, gone.body) == (410, b"This calendar link was turned off.\n")


def test_a_new_day_moves_the_notice(practice: Practice, now: Clock) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    token = token_of(link)
    links.disable(practice.unlu, link.id)
    first = feeds.read(token)

    now.move(days=1)

    assert conditional(token, first) == [200, 200, 200]
    [before], [after] = parsed(first), parsed(feeds.read(token))
    assert after["UID"] == before["UID"]
    assert after["DTSTART"].dt == before["DTSTART"].dt + timedelta(days=1)
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])


def test_a_new_zone_changes_the_notice(practice: Practice, now: Clock) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    token = token_of(link)
    links.disable(practice.unlu, link.id)
    settle(now)
    before = feeds.read(token)
    assert conditional(token, before) == [304, 200, 304]

    change_practice(practice, zone="Asia/Kathmandu")

    assert conditional(token, before) == [200, 200, 200]
    assert feeds.read(token).body != before.body


@pytest.mark.bar("D7", "L3")
def test_a_clock_that_steps_back_revives_no_link(practice: Practice, now: Clock) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    token = token_of(link)
    links.reset(practice.unlu, link.id)
    forget_journal()

    now.move(days=-1)

    assert summaries(feeds.read(token)) == [NOTICE]


@pytest.mark.bar("L4")
def test_the_journal_kills_a_token_that_an_old_copy_of_the_database_revives(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    """SECURITY L4."""
    link = links.allow(practice.unlu, practice.unlus_calendar)
    token = token_of(link)
    now.move(days=40)
    before = feeds.read(token)
    links.reset(practice.unlu, link.id)

    revive_tokens(link.changed_at - timedelta(days=40))

    assert conditional(token, before) == [200, 200, 200]
    assert summaries(feeds.read(token)) == [NOTICE]  # for 30 days from the reset on
    now.move(days=31)
    assert feeds.read(token).status == 410


@pytest.mark.bar("L4")
def test_without_the_journal_the_old_copy_would_revive_it(
    practice: Practice, shared: Appointment, now: Clock
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    token = token_of(link)
    links.reset(practice.unlu, link.id)

    revive_tokens(link.changed_at)
    forget_journal()

    assert summaries(feeds.read(token)) == ["M.S.", "J.S.", "M.S."]


def revive_tokens(link_changed_at: datetime) -> None:
    """As a restored backup from before the reset does."""
    with transaction() as session:
        session.execute(update(Token).values(retired_at=None))
        session.execute(update(Link).values(changed_at=link_changed_at))


def forget_journal() -> None:
    (current().config.data_dir / "revoked.log").write_text("")


def test_a_token_that_was_never_issued_is_not_found(practice: Practice) -> None:
    with pytest.raises(NotFound):
        feeds.read("2" * 33)


def out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database answers nothing any more."""
    db.session.rollback()

    def fail(*_: object, **__: object) -> None:
        raise SQLAlchemyError("disk I/O error")

    monkeypatch.setattr(db.session, "execute", fail)


@pytest.mark.bar("F7")
def test_when_the_database_fails_the_last_good_body_is_served(
    practice: Practice, shared: Appointment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F7."""
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    before = feeds.read(token)

    out_of_order(monkeypatch)

    assert feeds.read(token) == before


@pytest.mark.bar("F7")
def test_without_a_last_good_body_a_reader_is_told_to_come_again(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))

    out_of_order(monkeypatch)

    with pytest.raises(Unavailable):
        feeds.read(token)


@pytest.mark.bar("F7", "L3")
def test_a_dead_links_last_good_body_is_never_served(
    practice: Practice, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    reset = token_of(link)
    feeds.read(reset)
    links.reset(practice.unlu, link.id)
    late = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.BUSY,
        expires_at=NOW + timedelta(hours=1),
    )
    expired = token_of(late)
    feeds.read(expired)
    out_of_order(monkeypatch)
    assert feeds.read(expired).status == 200

    now.move(hours=1)

    for token in (reset, expired):
        with pytest.raises(Unavailable):
            feeds.read(token)


@pytest.mark.bar("O9", "F9")
def test_what_is_in_memory_is_bounded_and_the_least_used_goes_first() -> None:
    memory = Memory[str](most_bytes=10)
    for name in ("a", "b", "c"):
        memory.put(name, name, 4)
        memory.get("a")

    assert [memory.get(name) for name in ("a", "b", "c")] == ["a", None, "c"]
    memory.put("a", "shorter", 2)
    memory.put("d", "d", 4)
    assert [memory.get(name) for name in ("a", "c", "d")] == ["shorter", "c", "d"]
    memory.put("large", "large", 11)
    assert [memory.get(name) for name in ("a", "c", "d", "large")] == [None] * 4


@pytest.mark.bar("F7")
def test_a_large_feed_is_whole(practice: Practice, app: Flask) -> None:
    """Nothing is left out to make a feed smaller."""
    with transaction() as session:
        jane = session.get_one(Client, practice.jane)
        for number in range(1_200):
            starts = datetime(2026, 12, 1) + timedelta(hours=2 * number)
            plan = Plan(
                starts=starts, ends=starts + timedelta(minutes=50), zone=ZONE, clients=(jane,)
            )
            appointments.add(session, clinician_of(practice), plan, NOW)
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))

    assert len(parsed(feeds.read(token))) == 1_200


def test_expired_links_are_ended_by_the_worker(practice: Practice, now: Clock) -> None:
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.BUSY,
        expires_at=NOW + timedelta(hours=1),
    )
    assert links.expire(WORKER) == 0

    now.move(hours=1)

    assert links.state(link) == "expired"
    assert links.expire(WORKER) == 1
    assert links.expire(WORKER) == 0
    assert links.address(link) is None
