import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import ConfirmationNeeded, Conflict, NotFound, Refused, SyncError
from sync_ui.models import Link, Token, db
from sync_ui.models.installation import current
from sync_ui.services import access, accounts, addresses, codes, feeds, links, people
from sync_ui.services import practice as practices
from sync_ui.services.access import WORKER
from tests.practice import ZONE, Book, Clock, Practice
from tests.practice import token_of as token
from tests.services.test_feeds import summaries

NOTICE = ["This calendar link was turned off"]


def live_tokens() -> int | None:
    return db.session.scalar(select(func.count(Token.id)).where(Token.retired_at.is_(None)))


def test_nothing_exists_before_the_box_is_ticked(practice: Practice) -> None:
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
    practices.change(
        practice.ada, name="Riverside", zone=ZONE, ceiling=ceiling, days_back=30, months_ahead=6
    )


def test_unticking_ends_every_link_and_ticking_again_makes_a_new_one(
    practice: Practice, book: Book
) -> None:
    book(practice.jane)
    old = token(links.allow(practice.unlu, practice.unlus_calendar))
    links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    assert summaries(feeds.read(old)) == ["J.S."]

    assert links.disallow(practice.unlu, practice.unlus_calendar) == 2
    assert summaries(feeds.read(old)) == NOTICE

    new = token(links.allow(practice.unlu, practice.unlus_calendar))
    assert (summaries(feeds.read(new)), summaries(feeds.read(old))) == (["J.S."], NOTICE)


def test_reset_kills_the_old_address_at_once_and_leaves_its_siblings(
    practice: Practice, book: Book
) -> None:
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


def test_the_notice_lasts_thirty_days_and_then_the_link_is_gone(
    practice: Practice, now: Clock
) -> None:
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


def test_a_dead_tokens_copy_is_dropped_and_journalled(practice: Practice) -> None:
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


def test_no_stored_bytes_open_a_feed(practice: Practice, app: Flask) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    secret = token(link)
    db.session.rollback()

    for row in db.session.execute(select(Token.__table__)):
        assert secret not in str(tuple(row))
        assert secret.encode() not in bytes(row.sealed)
    for path in current().config.data_dir.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_a_sealed_copy_does_not_open_in_another_row(practice: Practice) -> None:
    from cryptography.exceptions import InvalidTag  # late: needed here alone

    one = links.allow(practice.unlu, practice.unlus_calendar)
    other = links.allow(practice.anna, practice.annas_calendar)
    one.tokens[0].sealed = other.tokens[0].sealed

    with db.session.no_autoflush, pytest.raises(InvalidTag):
        links.address(one)
    db.session.rollback()


def test_full_names_ask_for_confirmation(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    with pytest.raises(ConfirmationNeeded):
        links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME)

    links.change_mode(practice.unlu, link.id, DisplayMode.FULL_NAME, confirmed=True)

    assert db.session.get_one(Link, link.id).mode is DisplayMode.FULL_NAME


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


def test_clinicians_manage_their_own_calendar_and_no_other(practice: Practice) -> None:
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


def test_a_clinician_who_leaves_leaves_no_link_behind(practice: Practice, book: Book) -> None:
    book(practice.jane)
    secret = token(links.allow(practice.unlu, practice.unlus_calendar))
    assert practice.unlu.clinician_id is not None

    people.archive(practice.ada, practice.unlu.clinician_id)

    assert summaries(feeds.read(secret)) == NOTICE
    with pytest.raises(Conflict):
        links.allow(practice.ada, practice.unlus_calendar)


def test_a_disabled_user_loses_own_and_made_links_and_codes(practice: Practice, book: Book) -> None:
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
