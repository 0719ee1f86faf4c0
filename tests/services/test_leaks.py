"""Leak help. SECURITY L12: who else reads a link, what it told them, and how to stop it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from sync_ui import clock
from sync_ui.domain.apps import Reader
from sync_ui.domain.event import Choices, DisplayMode, Kind, Status
from sync_ui.errors import NotFound
from sync_ui.models import Link, Reason, Visit, db, transaction
from sync_ui.services import appointments, clients, feeds, leaks, links, practice
from tests.practice import Book, Clock, Practice, token_of

NOTICE = b"This calendar link was turned off"


@pytest.fixture
def link(practice: Practice) -> Link:
    return links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)


def read_by(link: Link, name: str, network: str, *, count: int = 1) -> None:
    """As noted when an app has read the link's present address."""
    token = next(token for token in link.tokens if token.retired_at is None)
    now = clock.now()
    with transaction() as session:
        session.add(
            Visit(
                link_id=link.id,
                token_id=token.id,
                reader=Reader.APP,
                name=name,
                network=network,
                first_at=now,
                last_at=now + timedelta(days=count - 1),
                count=count,
                days=count,
                seen_until=now,
            )
        )


def figures(found: leaks.Report) -> tuple[int, int]:
    return found.appointments, found.clients


def test_what_the_address_showed_is_counted(practice: Practice, link: Link, book: Book) -> None:
    assert figures(leaks.report(practice.unlu, link.id)) == (0, 0)
    book(practice.jane)
    book(practice.jane, practice.mark, at="2026-11-25 10:00")
    book(practice.jane, at="2026-10-01 10:00")  # before the window
    book(practice.jane, at="2027-06-01 10:00")  # after it
    book(practice.zoe, actor=practice.anna)

    found = leaks.report(practice.unlu, link.id)

    assert figures(found) == (2, 2)
    assert (found.since, found.until) == (clock.now(), None)
    assert found.disclosure == (
        "Initials, times and location of Dr. Ünlü's appointments and time off "
        "from Oct 24 to May 23, to whoever holds the link."
    )


def test_what_was_cancelled_later_was_shown(practice: Practice, book: Book, now: Clock) -> None:
    early, late = book(practice.jane), book(practice.mark, at="2026-11-25 10:00")
    appointments.cancel(practice.unlu, early.id)
    now.move(hours=1)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY)
    now.move(hours=1)

    appointments.cancel(practice.unlu, late.id)

    assert figures(leaks.report(practice.unlu, link.id)) == (1, 1)


def test_what_was_cancelled_in_the_second_of_the_address_was_shown(
    practice: Practice, book: Book, now: Clock
) -> None:
    found = book(practice.jane)
    now.move(days=1, milliseconds=100)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY)
    now.move(milliseconds=500)

    appointments.cancel(practice.unlu, found.id)

    assert figures(leaks.report(practice.unlu, link.id)) == (1, 1)


def test_what_was_booked_as_cancelled_was_never_shown(
    practice: Practice, link: Link, book: Book, now: Clock
) -> None:
    now.move(minutes=1)
    book(practice.jane, status=Status.CANCELLED)
    book(practice.mark, at="2026-11-25 10:00")

    assert figures(leaks.report(practice.unlu, link.id)) == (1, 1)


def test_a_client_who_is_called_otherwise_brings_no_cancelled_appointment_back(
    practice: Practice, book: Book, now: Clock
) -> None:
    early, late = book(practice.jane), book(practice.jane, at="2026-11-25 10:00")
    appointments.cancel(practice.unlu, early.id)
    now.move(hours=1)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY)
    now.move(hours=1)

    clients.change(
        practice.ada,
        practice.jane,
        first_name="Jane",
        last_name="Miller",
        preferred_name="",
        internal_id="1042",
        ceiling=None,
    )
    db.session.expire_all()
    assert early.changed_at > link.created_at

    assert figures(leaks.report(practice.unlu, link.id)) == (1, 1)
    appointments.cancel(practice.unlu, late.id)
    assert figures(leaks.report(practice.unlu, link.id)) == (1, 1)


def test_what_the_link_shows_since_was_not_shown_at_the_old_address(
    practice: Practice, link: Link, book: Book, now: Clock
) -> None:
    appointments.cancel(practice.unlu, book(practice.jane).id)
    book(practice.mark, at="2026-11-25 10:00")
    now.move(hours=1)
    links.reset(practice.unlu, link.id)
    now.move(hours=1)
    second = leaks.report(practice.unlu, link.id).address_id
    links.reset(practice.unlu, link.id, Reason.LEAKED)
    now.move(hours=1)

    links.change(
        practice.unlu,
        link.id,
        label="Phone",
        mode=DisplayMode.FULL_NAME,
        choices=Choices(cancelled=True),
        days_back=None,
        months_ahead=None,
        expires_at=None,
        confirmed=True,
    )

    old, new = (leaks.report(practice.unlu, link.id, at) for at in (second, None))
    assert (figures(old), figures(new)) == ((1, 1), (2, 2))
    assert old.disclosure.startswith("Initials")
    assert new.disclosure.startswith("Full names")


def test_time_off_counts_where_it_shows(practice: Practice, link: Link, book: Book) -> None:
    book(kind=Kind.TIME_OFF, at="2026-11-26 10:00")
    without = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Partner",
        DisplayMode.BUSY,
        choices=Choices(time_off=False),
    )

    assert figures(leaks.report(practice.unlu, link.id)) == (1, 0)
    assert figures(leaks.report(practice.unlu, without.id)) == (0, 0)


def test_the_practice_wide_calendar_tells_of_everyone(practice: Practice, book: Book) -> None:
    book(practice.jane)
    book(practice.zoe, actor=practice.anna)
    link = links.create(practice.ada, "practice", "Front desk", DisplayMode.INITIALS)

    assert figures(leaks.report(practice.ada, link.id)) == (2, 2)


def test_the_window_has_moved_since_the_address_was_made(
    practice: Practice, link: Link, book: Book, now: Clock
) -> None:
    book(practice.jane, at="2026-11-03 10:00")
    now.move(days=40)  # the appointment has left the feed
    assert b"VEVENT" not in feeds.read(token_of(link)).body

    found = leaks.report(practice.unlu, link.id)

    assert figures(found) == (1, 1)
    assert "from Oct 24 to Jul 2" in found.disclosure


def test_what_showed_more_for_a_while_counts_as_shown(
    practice: Practice, link: Link, now: Clock
) -> None:
    now.move(minutes=1)
    links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME, confirmed=True)
    now.move(minutes=1)
    links.change_mode(practice.unlu, link.id, DisplayMode.BUSY)

    found = leaks.report(practice.unlu, link.id)

    assert found.disclosure.startswith("Full names")


def test_what_showed_less_before_the_address_was_made_does_not(
    practice: Practice, link: Link, now: Clock
) -> None:
    now.move(minutes=1)
    links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME, confirmed=True)
    now.move(minutes=1)
    links.change_mode(practice.unlu, link.id, DisplayMode.BUSY)
    now.move(minutes=1)
    links.reset(practice.unlu, link.id)

    assert leaks.report(practice.unlu, link.id).disclosure.startswith("Times of Dr. Ünlü")


def test_a_ceiling_that_came_later_hides_nothing_of_what_was_shown(
    practice: Practice, now: Clock
) -> None:
    link = links.create(
        practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.FULL_NAME, confirmed=True
    )
    now.move(minutes=1)
    change_ceiling(practice, DisplayMode.BUSY)
    assert links.shown_mode(link) is DisplayMode.BUSY

    assert leaks.report(practice.unlu, link.id).disclosure.startswith("Full names")


def change_ceiling(people: Practice, ceiling: DisplayMode) -> None:
    practice.change_policy(
        people.ada,
        ceiling=ceiling,
        longest_link_days=None,
        wants_agreement=False,
        schedulers_share_practice=True,
    )


def test_readers_are_those_of_the_address_alone(practice: Practice, link: Link, now: Clock) -> None:
    read_by(link, "Apple Calendar on iPhone or iPad", "the practice's own network", count=3)
    links.reset(practice.unlu, link.id)
    now.move(days=1)
    read_by(link, "Google Calendar", "the internet, 203.0.113.0/24")

    found = leaks.report(practice.unlu, link.id)

    assert [visit.name for visit in found.readers] == ["Google Calendar"]
    assert not found.forgotten
    now.move(days=91)
    assert leaks.report(practice.unlu, link.id).forgotten


def test_an_old_address_that_still_works_belongs_to_it(
    practice: Practice, link: Link, now: Clock
) -> None:
    made = clock.now()
    read_by(link, "Google Calendar", "the internet, 203.0.113.0/24")
    now.move(days=1)
    links.renew(practice.unlu, link.id, 24)

    found = leaks.report(practice.unlu, link.id)

    assert (found.since, [visit.name for visit in found.readers]) == (made, ["Google Calendar"])


def reset_link(people: Practice, link: Link) -> None:
    links.reset(people.unlu, link.id, Reason.LEAKED)


def reset_calendar(people: Practice, link: Link) -> None:
    links.reset_all(people.unlu, people.unlus_calendar, Reason.LEAKED)


def reset_practice(people: Practice, link: Link) -> None:
    links.reset_practice(people.ada, Reason.LEAKED)


@pytest.mark.parametrize(
    ("reset", "how"),
    [
        (reset_link, "by Dr. Ünlü (the link has a new address)"),
        (reset_calendar, "by Dr. Ünlü (all links have new addresses)"),
        (reset_practice, "by Ada Lin (all links have new addresses)"),
    ],
)
def test_an_address_that_was_reset_as_leaked_anywhere_is_what_it_is_about(
    practice: Practice,
    link: Link,
    now: Clock,
    reset: Callable[[Practice, Link], None],
    how: str,
) -> None:
    read_by(link, "Google Calendar", "the internet, 203.0.113.0/24")
    now.move(days=1)
    reset(practice, link)
    ended = clock.now()
    now.move(days=1)
    links.reset(practice.unlu, link.id, Reason.ROUTINE)

    found = leaks.report(practice.unlu, link.id)

    assert (found.until, [visit.name for visit in found.readers]) == (ended, ["Google Calendar"])
    assert f"It was taken back on Nov 24, 2026, 12:00 PM {how}." in found.draft
    assert [(each.until, each.reason) for each in found.addresses] == [
        (None, None),
        (clock.now(), Reason.ROUTINE),
        (ended, Reason.LEAKED),
    ]


def test_each_address_of_a_link_can_be_asked_for(
    practice: Practice, link: Link, now: Clock
) -> None:
    now.move(days=1)
    links.reset(practice.unlu, link.id, Reason.LEAKED)  # nobody has read it
    current, old = leaks.report(practice.unlu, link.id).addresses

    assert leaks.report(practice.unlu, link.id).address_id == current.id
    assert leaks.report(practice.unlu, link.id, current.id).until is None
    assert leaks.report(practice.unlu, link.id, old.id).until == clock.now()
    other = links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    with pytest.raises(NotFound):
        leaks.report(practice.unlu, other.id, old.id)


def test_what_was_given_up_at_once_is_one_address(
    practice: Practice, link: Link, now: Clock
) -> None:
    made = clock.now()
    now.move(hours=1)
    links.renew(practice.unlu, link.id, 24)
    now.move(hours=1)
    links.reset(practice.unlu, link.id)
    now.move(seconds=1)
    links.reset(practice.unlu, link.id)

    found = leaks.addresses(link)

    assert [len(each.tokens) for each in found] == [1, 1, 2]
    assert found[2].since == made


def test_an_old_address_is_offered_as_long_as_its_readings_are_kept(
    practice: Practice, link: Link, now: Clock
) -> None:
    links.reset(practice.unlu, link.id)
    assert len(leaks.addresses(link)) == 2

    now.move(days=90)

    assert [each.until for each in leaks.addresses(link)] == [None]
    links.disallow(practice.unlu, practice.unlus_calendar)
    now.move(days=91)
    draft = leaks.report(practice.unlu, link.id).draft
    assert "by Dr. Ünlü (all links are disabled)." in draft


@pytest.mark.parametrize(
    ("stop", "how"),
    [(links.reset, "the link has a new address"), (links.disable, "the link is disabled")],
)
def test_once_it_is_stopped_the_note_tells_of_the_old_address(
    practice: Practice, link: Link, book: Book, now: Clock, stop: object, how: str
) -> None:
    book(practice.jane)
    read_by(link, "Google Calendar", "the internet, 203.0.113.0/24", count=2)
    old, made = token_of(link), clock.now()
    assert b"J.S." in feeds.read(old).body
    now.move(days=3)

    stop(practice.unlu, link.id, Reason.LEAKED)  # type: ignore[operator]
    stopped = clock.now()
    now.move(minutes=5)
    book(practice.mark, at="2026-12-01 10:00")

    found = leaks.report(practice.unlu, link.id)
    assert NOTICE in feeds.read(old).body
    assert (found.since, found.until, *figures(found)) == (made, stopped, 1, 1)
    assert [visit.name for visit in found.readers] == ["Google Calendar"]
    told = (
        f"The address was made on Nov 23, 2026, 12:00 PM. "
        f"It was taken back on Nov 26, 2026, 12:00 PM by Dr. Ünlü ({how})."
    )
    assert told in found.draft
    assert "At most 1 appointment of 1 client could be read at that address." in found.draft
    assert (
        "- Google Calendar, the internet, 203.0.113.0/24: 2 times, "
        "from Nov 23, 2026, 12:00 PM to Nov 24, 2026, 12:00 PM" in found.draft
    )


def test_the_note_asks_the_four_factors_and_names_no_client(
    practice: Practice, link: Link, book: Book
) -> None:
    """45 CFR 164.402. SECURITY O3."""
    book(practice.jane, at="2026-11-24 10:00")
    book(practice.mark, at="2026-11-25 10:00")
    link = links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME, confirmed=True)
    body = feeds.read(token_of(link)).body.decode()
    assert all(name in body for name in ("Jane", "Mark", "Smith"))

    draft = leaks.report(practice.unlu, link.id).draft

    assert [line[:2] for line in draft.splitlines() if line[:1].isdigit()] == [
        "1.",
        "2.",
        "3.",
        "4.",
    ]
    assert [
        name for name in ("Jane", "Mark", "Smith", "1042", token_of(link)) if name in draft
    ] == []
    assert max(map(len, draft.splitlines())) < 200


def test_the_leak_of_a_foreign_link_is_not_ones_own(practice: Practice, link: Link) -> None:
    with pytest.raises(NotFound):
        leaks.report(practice.anna, link.id)
    assert db.session.get_one(Link, link.id).disabled_at is None
