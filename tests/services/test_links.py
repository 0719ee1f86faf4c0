import threading
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from sync_ui.domain import tokens
from sync_ui.domain.colours import Colour
from sync_ui.domain.event import Choices, DisplayMode, Kind, Telehealth
from sync_ui.domain.roles import Role
from sync_ui.errors import ConfirmationNeeded, Conflict, Invalid, NotFound, Refused, SyncError
from sync_ui.models import AuditEntry, Link, Row, Token, db
from sync_ui.models.installation import current
from sync_ui.services import (
    access,
    accounts,
    addresses,
    appointments,
    codes,
    feeds,
    links,
    people,
    sessions,
    types,
)
from sync_ui.services import practice as practices
from sync_ui.services.access import WORKER
from tests.practice import NOW, Book, Clock, Practice
from tests.practice import token_of as token
from tests.services.test_feeds import parsed, summaries

NOTICE = ["This calendar link was turned off"]


def live_tokens() -> int | None:
    return db.session.scalar(select(func.count(Token.id)).where(Token.retired_at.is_(None)))


@pytest.mark.bar("L2")
def test_nothing_exists_before_the_box_is_ticked(practice: Practice) -> None:
    """L2."""
    assert db.session.scalar(select(func.count(Link.id))) == 0

    link = links.allow(practice.unlu, practice.unlus_calendar)

    assert (link.mode, link.created_by_id) == (DisplayMode.INITIALS, practice.unlu.user_id)
    assert live_tokens() == 1


def test_ticking_twice_makes_one_link(practice: Practice) -> None:
    first = links.allow(practice.unlu, practice.unlus_calendar).id

    assert links.allow(practice.unlu, practice.unlus_calendar).id == first


def test_the_first_link_stays_within_the_ceiling(practice: Practice) -> None:
    lower_ceiling(practice, DisplayMode.BUSY)

    assert links.allow(practice.unlu, practice.unlus_calendar).mode is DisplayMode.BUSY


def lower_ceiling(practice: Practice, ceiling: DisplayMode) -> None:
    set_policy(practice, ceiling=ceiling)


@pytest.mark.bar("L3")
def test_unticking_ends_every_link_and_ticking_again_makes_a_new_one(
    practice: Practice, book: Book
) -> None:
    """L3."""
    book(practice.jane)
    old = token(links.allow(practice.unlu, practice.unlus_calendar))
    links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    assert summaries(feeds.read(old)) == ["J.S."]

    assert links.disallow(practice.unlu, practice.unlus_calendar) == 2
    assert summaries(feeds.read(old)) == NOTICE

    new = token(links.allow(practice.unlu, practice.unlus_calendar))
    assert (summaries(feeds.read(new)), summaries(feeds.read(old))) == (["J.S."], NOTICE)


@pytest.mark.bar("L3")
def test_reset_kills_the_old_address_at_once_and_leaves_its_siblings(
    practice: Practice, book: Book
) -> None:
    """L3."""
    book(practice.jane)
    link = links.allow(practice.unlu, practice.unlus_calendar)
    sibling = token(
        links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.INITIALS)
    )
    old = token(link)
    good = feeds.read(old)
    assert good.last_modified is not None
    date = good.last_modified.strftime("%a, %d %b %Y %H:%M:%S GMT")

    new = token(links.reset(practice.unlu, link.id))

    assert new != old
    for asked in ({}, {"if_none_match": good.etag}, {"if_modified_since": date}):
        answer = feeds.read(old, **asked)
        assert (answer.status, summaries(answer)) == (200, NOTICE)
    assert summaries(feeds.read(new)) == summaries(feeds.read(sibling)) == ["J.S."]


@pytest.mark.bar("L15")
def test_the_notice_lasts_thirty_days_and_then_the_link_is_gone(
    practice: Practice, now: Clock
) -> None:
    """L15."""
    link = links.allow(practice.unlu, practice.unlus_calendar)
    old = token(link)
    links.disable(practice.unlu, link.id)

    now.move(days=30)
    notice = feeds.read(old)
    assert (notice.status, summaries(notice)) == (200, NOTICE)
    assert feeds.read(old, if_none_match=notice.etag).status == 304

    now.move(minutes=1)
    assert feeds.read(old).status == 410


def test_a_link_expires_by_the_clock_even_if_no_worker_runs(
    practice: Practice, book: Book, now: Clock
) -> None:
    book(practice.jane)
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Locum",
        DisplayMode.INITIALS,
        expires_at=now() + timedelta(hours=1),
    )
    secret = token(link)
    now.move(minutes=59)
    assert summaries(feeds.read(secret)) == ["J.S."]

    now.move(minutes=1)
    assert summaries(feeds.read(secret)) == NOTICE
    assert links.state(link) == "expired"
    assert links.expire(WORKER) == 1
    assert (links.state(link), links.address(link)) == ("disabled", None)


@pytest.mark.bar("L5")
def test_a_dead_tokens_copy_is_dropped_and_journalled(practice: Practice) -> None:
    """L4."""
    link = links.allow(practice.unlu, practice.unlus_calendar)
    digest = link.tokens[0].digest
    assert digest not in current().journal

    links.disable(practice.unlu, link.id)

    assert link.tokens[0].sealed is None
    assert digest in current().journal


def test_a_journal_that_missed_a_death_is_mended_by_the_worker(
    practice: Practice, app: Flask
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    links.disable(practice.unlu, link.id)
    (current().config.data_dir / "revoked.log").unlink()
    assert link.tokens[0].digest not in current().journal

    addresses.write_journal()

    assert link.tokens[0].digest in current().journal


@pytest.mark.bar("L5")
def test_no_stored_bytes_open_a_feed(practice: Practice, app: Flask) -> None:
    """L5."""
    link = links.allow(practice.unlu, practice.unlus_calendar)
    links.renew(practice.unlu, link.id, 24)
    secret = token(link)
    opened = [secret.encode(), secret.encode().hex().encode(), b64encode(secret.encode())]
    db.session.rollback()

    stored = [
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
        for table in Row.metadata.sorted_tables
        for row in db.session.execute(select(table))
        for value in row
    ]
    stored += [path.read_bytes() for path in current().config.data_dir.iterdir()]

    assert tokens.digest(secret).encode() in stored
    assert [value for value in stored if any(form in value for form in opened)] == []


@pytest.mark.bar("L5")
def test_a_sealed_copy_does_not_open_in_another_row(practice: Practice) -> None:
    from cryptography.exceptions import InvalidTag  # late: needed here alone

    one = links.allow(practice.unlu, practice.unlus_calendar)
    other = links.allow(practice.anna, practice.annas_calendar)
    one.tokens[0].sealed = other.tokens[0].sealed

    with db.session.no_autoflush, pytest.raises(InvalidTag):
        links.address(one)
    db.session.rollback()


@pytest.mark.bar("F3")
def test_full_names_ask_for_confirmation(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    with pytest.raises(ConfirmationNeeded):
        links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME)

    links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME, confirmed=True)

    assert db.session.get_one(Link, link.id).mode is DisplayMode.FULL_NAME


@pytest.mark.bar("F3")
def test_nobody_goes_above_the_ceiling(practice: Practice) -> None:
    lower_ceiling(practice, DisplayMode.INITIALS)
    link = links.allow(practice.unlu, practice.unlus_calendar)

    for actor in (practice.unlu, practice.ada):
        with pytest.raises(Refused):
            links.change_mode(actor, link.id, DisplayMode.FIRST_NAME)
    with pytest.raises(Refused):
        links.create(practice.ada, "practice", "All", DisplayMode.FULL_NAME, confirmed=True)


def test_a_dead_link_cannot_be_changed(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    links.disable(practice.unlu, link.id)

    uses: list[Callable[[], object]] = [
        lambda: links.reset(practice.unlu, link.id),
        lambda: links.disable(practice.unlu, link.id),
        lambda: links.change_mode(practice.unlu, link.id, DisplayMode.BUSY),
        lambda: codes.make(practice.unlu, link.id),
    ]
    for use in uses:
        with pytest.raises(Conflict):
            use()


@pytest.mark.bar("Z1")
def test_clinicians_manage_their_own_calendar_and_no_other(practice: Practice) -> None:
    """Z1."""
    annas = links.allow(practice.anna, practice.annas_calendar)

    uses: list[Callable[[], object]] = [
        lambda: links.allow(practice.unlu, practice.annas_calendar),
        lambda: links.allow(practice.unlu, "practice"),
        lambda: links.disallow(practice.unlu, practice.annas_calendar),
        lambda: links.create(practice.unlu, practice.annas_calendar, "Mine", DisplayMode.BUSY),
        lambda: links.reset(practice.unlu, annas.id),
        lambda: links.disable(practice.unlu, annas.id),
        lambda: links.reset_all(practice.unlu, practice.annas_calendar),
        lambda: codes.make(practice.unlu, annas.id),
    ]
    for use in uses:
        with pytest.raises(NotFound):
            use()
    assert links.reset(practice.sam, annas.id).id == annas.id


def test_reset_all_gives_every_link_a_new_address(practice: Practice) -> None:
    links.allow(practice.unlu, practice.unlus_calendar)
    links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    calendar = access.calendar(practice.unlu, practice.unlus_calendar)
    old = [token(link) for link in calendar.links]

    assert links.reset_all(practice.unlu, practice.unlus_calendar) == 2

    assert [summaries(feeds.read(secret)) for secret in old] == [NOTICE, NOTICE]


@pytest.mark.bar("L13", "Z3")
def test_a_clinician_who_leaves_leaves_no_link_behind(practice: Practice, book: Book) -> None:
    """L13."""
    book(practice.jane)
    secret = token(links.allow(practice.unlu, practice.unlus_calendar))
    assert practice.unlu.clinician_id is not None

    people.archive(practice.ada, practice.unlu.clinician_id)

    assert summaries(feeds.read(secret)) == NOTICE
    with pytest.raises(Conflict):
        links.allow(practice.ada, practice.unlus_calendar)


@pytest.mark.bar("Z3", "L13")
def test_a_disabled_user_loses_own_and_made_links_and_codes(practice: Practice, book: Book) -> None:
    """L13, Z3."""
    book(practice.jane)
    own = token(links.allow(practice.unlu, practice.unlus_calendar))
    made = links.create(practice.sam, "practice", "Sam's phone", DisplayMode.INITIALS)
    kept = token(links.allow(practice.anna, practice.annas_calendar))
    code, _ = codes.make(practice.sam, made.id)
    secret = token(made)
    assert practice.unlu.user_id is not None
    assert practice.sam.user_id is not None

    accounts.disable_user(practice.ada, practice.unlu.user_id)
    accounts.disable_user(practice.ada, practice.sam.user_id)

    assert summaries(feeds.read(own)) == summaries(feeds.read(secret)) == NOTICE
    assert summaries(feeds.read(kept)) == []
    with pytest.raises(NotFound):
        codes.look_at(code, None)


@pytest.mark.bar("M3")
def test_a_code_is_spent_by_a_press_and_not_by_a_look(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    code, _ = codes.make(practice.unlu, link.id)

    for _ in range(3):
        assert codes.look_at(code, None).address is None
    opened, browser = codes.spend(code, None)

    assert opened.address == links.address(link)
    assert codes.look_at(code, browser).address == links.address(link)
    for stranger in (None, "another browser"):
        with pytest.raises(NotFound):
            codes.look_at(code, stranger)
        with pytest.raises(NotFound):
            codes.spend(code, stranger)


@pytest.mark.bar("M3")
@pytest.mark.parametrize(
    ("lifetime", "minutes"), [(codes.QR_LIFETIME, 10), (codes.MAIL_LIFETIME, 24 * 60)]
)
def test_a_code_dies_of_age_also_in_the_browser_that_spent_it(
    practice: Practice, now: Clock, lifetime: timedelta, minutes: int
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    code, _ = codes.make(practice.unlu, link.id, lifetime)
    _, browser = codes.spend(code, None)
    now.move(minutes=minutes, seconds=-1)
    assert codes.look_at(code, browser).address is not None

    now.move(seconds=1)

    with pytest.raises(NotFound):
        codes.look_at(code, browser)


@pytest.mark.bar("M3")
def test_of_twenty_presses_at_once_one_wins(app: Flask, practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    code, _ = codes.make(practice.unlu, link.id)
    db.session.rollback()
    won, lost = [], []

    def press() -> None:
        with app.app_context():
            try:
                won.append(codes.spend(code, None))
            except SyncError as error:
                lost.append(error)

    threads = [threading.Thread(target=press) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(won), len(lost)) == (1, 19)


@pytest.mark.bar("F1", "F4")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Dr. Ünlü", "dr-unlu.ics"),
        ("Anna & Co. / Bergström", "anna-co-bergstrom.ics"),
        ("王芳", "calendar.ics"),
        ("x" * 100, f"{'x' * 40}.ics"),
        ("../../etc/passwd", "etc-passwd.ics"),
    ],
)
def test_a_feeds_file_name_is_harmless_and_readable(name: str, file: str) -> None:
    assert links.file_name(name) == file


def test_an_address_stays_shorter_than_200_characters(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    people.change(practice.ada, practice.unlu.clinician_id, "N" * 100)

    address = links.address(links.allow(practice.unlu, practice.unlus_calendar))

    assert address is not None
    assert len(address) < 200


# What can be chosen of a link.

PARTNER = Choices(
    location=False, type=True, telehealth=Telehealth.BUTTON, time_off=False, cancelled=True
)


def change(practice: Practice, link: Link, **other: Any) -> Link:
    """As the link's page does: everything that can be said of it, with some of it new."""
    as_it_is: dict[str, Any] = {
        "label": link.label,
        "mode": link.mode,
        "choices": link.choices,
        "days_back": link.days_back,
        "months_ahead": link.months_ahead,
        "expires_at": link.expires_at,
        "agreement": link.agreement,
    }
    return links.change(practice.unlu, link.id, **(as_it_is | other))


def set_policy(practice: Practice, **other: Any) -> int:
    usual: dict[str, Any] = {
        "ceiling": DisplayMode.FULL_NAME,
        "longest_link_days": None,
        "wants_agreement": False,
        "schedulers_share_practice": True,
    }
    return practices.change_policy(practice.ada, **(usual | other))


def test_each_link_of_a_calendar_shows_what_was_chosen_for_it(practice: Practice) -> None:
    phone = links.allow(practice.unlu, practice.unlus_calendar)
    partner = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Partner: busy only",
        DisplayMode.BUSY,
        choices=PARTNER,
        days_back=0,
        months_ahead=2,
        expires_at=NOW + timedelta(days=90),
        agreement=" BAA of\n1 May ",
    )

    assert (phone.choices, phone.days_back, phone.months_ahead) == (Choices(), None, None)
    assert (partner.choices, partner.days_back, partner.months_ahead) == (PARTNER, 0, 2)
    assert (partner.agreement, links.ends_at(partner)) == ("BAA of 1 May", NOW + timedelta(days=90))


SHOWN: dict[str, dict[str, Any]] = {
    "mode": {"mode": DisplayMode.BUSY},
    "location": {"choices": Choices(location=False)},
    "type": {"choices": Choices(type=True)},
    "telehealth": {"choices": Choices(telehealth=Telehealth.ADDRESS)},
    "time off": {"choices": Choices(time_off=False)},
    "cancelled": {"choices": Choices(cancelled=True)},
    "days back": {"days_back": 0},
    "months ahead": {"months_ahead": 1},
}


@pytest.mark.parametrize("new", SHOWN.values(), ids=SHOWN)
def test_whatever_a_link_shows_anew_moves_its_feed_once(
    practice: Practice, new: dict[str, Any], now: Clock
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    revision, changed_at = link.revision, link.changed_at
    now.move(minutes=1)

    change(practice, link, **new)

    assert link.revision == revision + 1
    assert link.changed_at > changed_at
    changed_at = link.changed_at
    change(practice, link)
    assert (link.revision, link.changed_at) == (revision + 1, changed_at)


NOT_SHOWN: dict[str, dict[str, Any]] = {
    "label": {"label": "Anna's iPhone"},
    "expiry": {"expires_at": NOW + timedelta(days=9)},
    "agreement": {"agreement": "BAA of 1 May"},
}


@pytest.mark.parametrize("new", NOT_SHOWN.values(), ids=NOT_SHOWN)
def test_a_name_an_expiry_and_a_note_leave_the_feed_as_it_is(
    practice: Practice, new: dict[str, Any], now: Clock
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    before = (link.revision, link.changed_at, link.calendar.version)
    now.move(minutes=1)

    change(practice, link, **new)

    assert {field: getattr(link, field) for field in new} == new
    assert (link.revision, link.changed_at, link.calendar.version) == before


def test_a_note_on_which_full_names_rest_moves_the_feed(practice: Practice) -> None:
    set_policy(practice, wants_agreement=True)
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.FULL_NAME,
        agreement="BAA of 1 May",
        confirmed=True,
    )
    assert links.shown_mode(link) is DisplayMode.FULL_NAME

    with pytest.raises(Invalid, match="only with a note of the agreement"):
        change(practice, link, agreement="")
    change(practice, link, agreement="", mode=DisplayMode.INITIALS)

    assert (links.shown_mode(link), link.revision) == (DisplayMode.INITIALS, 1)


def test_full_names_ask_once_and_not_when_something_else_changes(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    with pytest.raises(ConfirmationNeeded):
        change(practice, link, mode=DisplayMode.FULL_NAME)
    change(practice, link, mode=DisplayMode.FULL_NAME, confirmed=True)

    change(practice, link, label="Work phone", months_ahead=2, agreement="BAA of 1 May")

    assert (link.label, link.mode) == ("Work phone", DisplayMode.FULL_NAME)


def test_full_names_need_a_note_if_the_practice_wants_one(practice: Practice) -> None:
    before = links.create(
        practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.FULL_NAME, confirmed=True
    )
    assert links.shown_mode(before) is DisplayMode.FULL_NAME
    set_policy(practice, wants_agreement=True)

    assert links.shown_mode(before) is DisplayMode.FIRST_NAME
    assert links.disclosure(before).startswith("First names, times")
    link = links.allow(practice.anna, practice.annas_calendar)
    uses: list[Callable[[], object]] = [
        lambda: links.change_mode(practice.anna, link.id, DisplayMode.FULL_NAME, confirmed=True),
        lambda: links.create(
            practice.anna,
            practice.annas_calendar,
            "Tablet",
            DisplayMode.FULL_NAME,
            agreement=" \n",
            confirmed=True,
        ),
    ]
    for use in uses:
        with pytest.raises(Invalid, match="only with a note of the agreement"):
            use()

    change(practice, before, agreement="BAA of 1 May")

    assert links.shown_mode(before) is DisplayMode.FULL_NAME
    assert before.revision == 1


@pytest.mark.bar("F3")
def test_an_older_link_shows_no_more_than_a_lowered_ceiling(practice: Practice, book: Book) -> None:
    """F3."""
    book(practice.jane)
    link = links.create(
        practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.FULL_NAME, confirmed=True
    )
    secret, before = token(link), (link.revision, link.changed_at)
    assert summaries(feeds.read(secret)) == ["Jane Smith"]

    set_policy(practice, ceiling=DisplayMode.INITIALS)

    assert summaries(feeds.read(secret)) == ["J.S."]
    assert links.shown_mode(link) is DisplayMode.INITIALS
    assert (link.revision, link.changed_at) == before
    with pytest.raises(Refused, match="Your practice allows at most: initials"):
        change(practice, link, mode=DisplayMode.FIRST_NAME)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"label": " \t"}, "A name must have 1 to 100 characters."),
    "a long name": ({"label": "x" * 101}, "A name must have 1 to 100 characters."),
    "yesterday": ({"expires_at": NOW - timedelta(days=1)}, "A link can only end in the future."),
    "this moment": ({"expires_at": NOW}, "A link can only end in the future."),
    "a century": ({"expires_at": NOW + timedelta(days=36500)}, "Choose a day within ten years"),
    "too far back": ({"days_back": 367}, "Feeds can reach 0 to 366 days back"),
    "ahead in the past": ({"days_back": -1}, "Feeds can reach 0 to 366 days back"),
    "too far ahead": ({"months_ahead": 25}, "Feeds can reach 0 to 366 days back"),
    "nothing ahead": ({"months_ahead": 0}, "Feeds can reach 0 to 366 days back"),
    "a long note": ({"agreement": "x" * 201}, "A note on an agreement has at most 200"),
}


@pytest.mark.parametrize(("wrong", "sentence"), WRONG.values(), ids=WRONG)
def test_nonsense_is_refused_in_a_sentence_and_changes_nothing(
    practice: Practice, wrong: dict[str, Any], sentence: str
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    new = {"label": "Phone", "mode": DisplayMode.BUSY} | wrong
    before = (link.label, link.mode, link.revision)

    with pytest.raises(Invalid, match=f"^{sentence}"):
        change(practice, link, **new)
    with pytest.raises(Invalid, match=f"^{sentence}"):
        links.create(practice.unlu, practice.unlus_calendar, **new)

    db.session.rollback()
    assert (link.label, link.mode, link.revision) == before
    assert db.session.scalar(select(func.count(Link.id))) == 1


def test_no_link_is_made_to_outlive_the_longest_life(practice: Practice, now: Clock) -> None:
    set_policy(practice, longest_link_days=90)
    last = NOW + timedelta(days=90)
    link = links.create(
        practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY, expires_at=last
    )
    now.move(days=10)

    for beyond in (last + timedelta(seconds=1), last + timedelta(days=10)):
        with pytest.raises(Invalid, match="Your practice lets no link live longer than 90 days"):
            change(practice, link, expires_at=beyond)
    # A fresh address begins anew.
    links.renew(practice.unlu, link.id, 24)
    change(practice, link, expires_at=last + timedelta(days=10))

    assert links.ends_at(link) == last + timedelta(days=10)


def test_an_expiry_beyond_a_shortened_life_does_not_hinder_other_changes(
    practice: Practice,
) -> None:
    late = NOW + timedelta(days=300)
    link = links.create(
        practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY, expires_at=late
    )
    set_policy(practice, longest_link_days=90)

    change(practice, link, label="Work phone")

    assert (link.label, link.expires_at) == ("Work phone", late)
    assert links.ends_at(link) == NOW + timedelta(days=90)


def test_a_day_is_over_at_midnight_where_the_practice_is(practice: Practice) -> None:
    assert links.end_of(date(2026, 12, 31)) == datetime(2027, 1, 1, 5, tzinfo=UTC)
    # The night in which clocks go forward, and the last day there is.
    assert links.end_of(date(2027, 3, 14)) == datetime(2027, 3, 15, 4, tzinfo=UTC)
    with pytest.raises(Invalid):
        links.end_of(date.max)


@pytest.mark.bar("O3")
def test_the_audit_says_what_of_a_link_was_changed_and_no_name(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)

    change(practice, link, label="Jane Smith's phone", months_ahead=2, agreement="Canary")

    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last is not None
    assert (last.action, last.subject, last.detail) == (
        "link.changed",
        f"link:{link.id}",
        {"mode": "initials", "changed": "label, agreement, months_ahead"},
    )


def test_a_dead_or_foreign_link_is_not_changed(practice: Practice) -> None:
    annas = links.allow(practice.anna, practice.annas_calendar)
    link = links.allow(practice.unlu, practice.unlus_calendar)
    change(practice, link, label="Work phone")

    with pytest.raises(NotFound):
        change(practice, annas, label="Mine")
    links.disable(practice.unlu, link.id)
    with pytest.raises(Conflict):
        change(practice, link, label="Alive")

    db.session.rollback()
    assert (annas.label, link.label) == (links.FIRST_LABEL, "Work phone")


@pytest.mark.parametrize("new", SHOWN.values(), ids=SHOWN)
def test_a_304_is_heard_again_only_when_nothing_new_is_shown(
    practice: Practice, book: Book, new: dict[str, Any]
) -> None:
    book(practice.jane)
    link = links.allow(practice.unlu, practice.unlus_calendar)
    good = feeds.read(token(link))
    change(practice, link, label="Anna's iPhone", agreement="BAA of 1 May")
    assert feeds.read(token(link), if_none_match=good.etag).status == 304

    change(practice, link, **new)

    answer = feeds.read(token(link), if_none_match=good.etag)
    assert (answer.status, answer.etag != good.etag) == (200, True)


# What a link says of itself.


def test_a_link_says_in_words_what_it_shows(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)

    assert links.disclosure(link) == (
        "Initials, times and location of Dr. Ünlü's appointments and time off "
        "from Oct 24 to May 23, to whoever holds the link."
    )


def test_the_sentence_follows_choices_zone_and_ceiling(practice: Practice, now: Clock) -> None:
    desk = links.create(
        practice.ada,
        "practice",
        "Front desk",
        DisplayMode.FULL_NAME,
        choices=PARTNER,
        days_back=0,
        months_ahead=1,
        confirmed=True,
    )
    now.set(datetime(2026, 11, 24, 3, tzinfo=UTC))  # still the 23rd in New York
    assert links.disclosure(desk) == (
        "Full names, titles of meetings, clinicians' names, times, type and a button into the "
        "video room of all appointments of Riverside, cancelled ones too, "
        "from Nov 23 to Dec 23, to whoever holds the link."
    )

    set_policy(practice, ceiling=DisplayMode.BUSY)
    practices.change(
        practice.ada, name="Riverside", zone="Europe/Berlin", days_back=30, months_ahead=6
    )

    assert links.disclosure(desk) == (
        "Clinicians' names and times of all appointments of Riverside, cancelled ones too, "
        "each as no more than “Busy” or “Cancelled”, from 24 Nov to 24 Dec, "
        "to whoever holds the link."
    )


def test_a_dead_link_says_that_it_shows_nothing(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    links.disable(practice.unlu, link.id)

    assert links.disclosure(link) == "Nothing any more: this link has ended."


def test_the_days_that_are_told_are_those_that_the_feed_holds(
    practice: Practice, book: Book
) -> None:
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.INITIALS,
    )
    for day in ("2026-10-23", "2026-10-24", "2027-05-23", "2027-05-24"):
        book(practice.jane, at=f"{day} 10:00")

    shown = [event.start.date().isoformat() for event in parsed(feeds.read(token(link)))]

    assert shown == ["2026-10-24", "2027-05-23"]
    assert " from Oct 24 to May 23, " in links.disclosure(link)


# The bar, row by row.


@pytest.mark.bar("L1")
def test_a_links_token_opens_its_own_calendar_and_nothing_else(
    practice: Practice, book: Book
) -> None:
    """L1."""
    book(practice.jane)
    book(practice.zoe, actor=practice.anna)
    unlus = token(links.allow(practice.unlu, practice.unlus_calendar))
    annas = token(links.allow(practice.anna, practice.annas_calendar))

    assert [summaries(feeds.read(secret)) for secret in (unlus, annas)] == [["J.S."], ["Z.O."]]
    with pytest.raises(NotFound):
        codes.look_at(unlus, None)
    assert sessions.signed_in(unlus) is None
    assert not practices.is_setup_code(unlus)


@pytest.mark.bar("L2")
def test_no_token_exists_before_somebody_asks_for_one(practice: Practice) -> None:
    """L2."""
    assert live_tokens() == 0
    accounts.create_user(
        practice.ada,
        email="new@example.com",
        name="Dr. New",
        role=Role.CLINICIAN,
        password="four unrelated words",
    )
    assert live_tokens() == 0

    links.allow(practice.unlu, practice.unlus_calendar)

    assert live_tokens() == 1


@pytest.mark.bar("L13")
def test_what_is_no_longer_the_makers_to_share_is_dead_at_once(
    practice: Practice, book: Book
) -> None:
    """L13."""
    book(practice.jane)
    sams = links.create(practice.sam, "practice", "Sam's phone", DisplayMode.INITIALS)
    graced = token(sams)
    secret = token(links.renew(practice.sam, sams.id, 72))
    assert [summaries(feeds.read(old)) for old in (graced, secret)] == [["Dr. Ünlü: J.S."]] * 2

    set_policy(practice, schedulers_share_practice=False)

    assert [summaries(feeds.read(old)) for old in (graced, secret)] == [NOTICE] * 2


EVERY_CHOICE = [
    Choices(location=location, type=kind, telehealth=way, time_off=off, cancelled=cancelled)
    for location, kind, way, off, cancelled in product(
        (True, False), (True, False), Telehealth, (True, False), (True, False)
    )
]


@pytest.mark.parametrize(
    ("calendar", "mode"),
    [
        *product(["own"], DisplayMode),
        *product(["practice"], [DisplayMode.BUSY, DisplayMode.INITIALS]),
    ],
)
def test_the_sentence_names_all_that_the_feed_tells_and_nothing_else(
    practice: Practice, book: Book, calendar: str, mode: DisplayMode
) -> None:
    kind = types.create(practice.ada, name="Intake", minutes=50, colour=Colour.TEAL)
    room = "https://video.example.com/jane"
    book(practice.jane, type_id=kind.id, location="Telehealth", telehealth_address=room)
    cancelled = book(practice.mark, at="2026-11-25 10:00")
    appointments.cancel(practice.unlu, cancelled.id)
    book(at="2026-11-26 10:00", kind=Kind.TIME_OFF)
    book(at="2026-11-27 10:00", kind=Kind.MEETING, title="Budget", location="Room 2")
    key = practice.unlus_calendar if calendar == "own" else "practice"
    link = links.create(practice.ada, key, "Phone", mode, confirmed=True)
    found = {}
    for choices in EVERY_CHOICE:
        links.change(
            practice.ada,
            link.id,
            label="Phone",
            mode=mode,
            choices=choices,
            days_back=None,
            months_ahead=None,
            expires_at=None,
        )
        text = feeds.read(token(link)).body.decode()
        events = text.replace("\r\n ", "").partition("BEGIN:VEVENT")[2]
        sentence = links.disclosure(link)
        found[choices] = {
            said: (said in sentence, told in events)
            for said, told in {
                "location": "Room 2",
                "type": "Intake",
                "video room": room,
                "cancelled ones": "Cancelled",
                "linicians' names": "Dr. Ünlü",
                "titles": "Budget",
                "Full names": "Jane Smith",
                "First names": "Jane\r\n",
                "Internal IDs": "1042",
                "Initials": "J.S.",
            }.items()
        } | {"time off": ("time off" in sentence, "20261126" in events)}

    wrong = {
        (choices, said)
        for choices, pairs in found.items()
        for said, (named, told) in pairs.items()
        if named != told
    }
    assert wrong == set()
