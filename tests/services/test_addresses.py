"""How addresses come and go: fresh ones, old ones, lost ones."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import AuditEntry, Code, Link, Reason, Token, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import access, codes, feeds, links, replaced
from sync_ui.services import practice as practices
from sync_ui.services.access import WORKER
from tests.practice import NOW, Book, Clock, Practice
from tests.practice import token_of as token
from tests.services.test_feeds import summaries

NOTICE = ["This calendar link was turned off"]


def own_link(practice: Practice) -> Link:
    return links.allow(practice.unlu, practice.unlus_calendar)


def shows(*secrets: str) -> list[list[str]]:
    return [summaries(feeds.read(secret)) for secret in secrets]


def limit(practice: Practice, days: int | None) -> int:
    return practices.change_policy(
        practice.ada,
        ceiling=DisplayMode.FULL_NAME,
        longest_link_days=days,
        wants_agreement=False,
        schedulers_share_practice=True,
    )


@pytest.mark.parametrize("hours", links.GRACES)
def test_a_fresh_address_works_at_once_and_the_old_one_until_its_grace_is_over(
    practice: Practice, book: Book, now: Clock, hours: int
) -> None:
    book(practice.jane, at="2026-11-30 10:00")
    link = own_link(practice)
    old = token(link)
    assert replaced.old_address_until(link) is None

    new = token(links.renew(practice.unlu, link.id, hours))

    assert new != old
    assert replaced.old_address_until(link) == NOW + timedelta(hours=hours)
    assert shows(old, new) == [["J.S."], ["J.S."]]
    now.move(hours=hours, seconds=-1)
    assert links.expire(WORKER) == 0
    assert shows(old, new) == [["J.S."], ["J.S."]]

    now.move(seconds=1)

    assert replaced.old_address_until(link) is None
    assert links.expire(WORKER) == 1
    assert shows(old, new) == [NOTICE, ["J.S."]]
    assert links.state(link) == "live"
    assert links.expire(WORKER) == 0


@pytest.mark.bar("L3", "D9")
def test_no_worker_is_needed_to_end_a_grace_or_a_life(
    practice: Practice, book: Book, now: Clock
) -> None:
    """L3."""
    book(practice.jane, at="2026-12-22 10:00")
    limit(practice, 10)
    link = own_link(practice)
    old, new = token(link), token(links.renew(practice.unlu, link.id, 24))
    now.move(hours=23, minutes=59)
    etags = [feeds.read(secret).etag for secret in (old, new)]
    assert shows(old, new) == [["J.S."], ["J.S."]]

    now.move(minutes=1)
    assert shows(old, new) == [NOTICE, ["J.S."]]
    now.move(days=9, seconds=-1)
    assert shows(old, new) == [NOTICE, ["J.S."]]
    now.move(seconds=1)
    assert shows(old, new) == [NOTICE, NOTICE]
    for secret, etag in zip((old, new), etags, strict=True):
        assert feeds.read(secret, if_none_match=etag).status == 200


def test_a_grace_does_not_outlive_its_link(practice: Practice, book: Book, now: Clock) -> None:
    book(practice.jane)
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Locum",
        DisplayMode.INITIALS,
        expires_at=NOW + timedelta(hours=2),
    )
    old, new = token(link), token(links.renew(practice.unlu, link.id, 72))
    assert replaced.old_address_until(link) == NOW + timedelta(hours=2)
    assert shows(old, new) == [["J.S."], ["J.S."]]

    now.move(hours=2)

    assert shows(old, new) == [NOTICE, NOTICE]


def test_what_the_grace_has_ended_stands_in_the_journal(practice: Practice, now: Clock) -> None:
    link = own_link(practice)
    old, new = link.tokens[0].digest, links.renew(practice.unlu, link.id, 24).tokens[1].digest
    now.move(hours=24)

    links.expire(WORKER)

    assert [digest in current().journal for digest in (old, new)] == [True, False]
    assert link.tokens[0].sealed is None


@pytest.mark.parametrize("hours", [0, -24, 1, 48, 10**9])
def test_a_grace_is_one_day_or_three(practice: Practice, hours: int) -> None:
    link = own_link(practice)

    with pytest.raises(Invalid):
        links.renew(practice.unlu, link.id, hours)

    assert len(link.tokens) == 1


ENDS: dict[str, Callable[[Practice, Link], object]] = {
    "reset": lambda p, link: links.reset(p.unlu, link.id, Reason.LOST),
    "reset_all": lambda p, _: links.reset_all(p.unlu, p.unlus_calendar),
    "reset_practice": lambda p, _: links.reset_practice(p.ada, Reason.LEAKED),
    "disable": lambda p, link: links.disable(p.unlu, link.id),
    "disallow": lambda p, _: links.disallow(p.unlu, p.unlus_calendar),
}


@pytest.mark.bar("L3")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_while_a_grace_runs_taking_access_back_kills_every_address_at_once(
    practice: Practice, book: Book, end: Callable[[Practice, Link], object]
) -> None:
    """L3."""
    book(practice.jane)
    link = own_link(practice)
    first = token(link)
    second = token(links.renew(practice.unlu, link.id, 72))
    third = token(links.renew(practice.unlu, link.id, 24))
    assert shows(first, second, third) == [["J.S."]] * 3

    end(practice, link)

    assert shows(first, second, third) == [NOTICE] * 3
    assert replaced.old_address_until(link) is None
    assert all(known.retired_at and known.sealed is None for known in link.tokens[:3])


@pytest.mark.bar("L3")
def test_allowing_again_revives_no_address(practice: Practice, book: Book) -> None:
    """L3."""
    book(practice.jane)
    link = own_link(practice)
    old = [token(link), token(links.renew(practice.unlu, link.id, 72))]
    links.disallow(practice.unlu, practice.unlus_calendar)

    new = token(own_link(practice))

    assert shows(*old, new) == [NOTICE, NOTICE, ["J.S."]]


@pytest.mark.bar("L4")
def test_an_old_copy_of_the_database_revives_no_address(
    practice: Practice, book: Book, now: Clock
) -> None:
    """L4. The rows are put back as they were; the journal outside the database is not."""
    book(practice.jane, at="2026-11-30 10:00")
    link = own_link(practice)
    reset, graced = token(link), token(links.reset(practice.unlu, link.id))
    links.renew(practice.unlu, link.id, 24)
    now.move(hours=24)
    links.expire(WORKER)
    now.move(hours=1)
    assert shows(reset, graced) == [NOTICE, NOTICE]

    with transaction() as session:
        session.execute(update(Token).values(retired_at=None, ends_at=None))

    assert shows(reset, graced) == [NOTICE, NOTICE]


def test_a_fresh_link_drops_the_codes_that_would_hand_it_over(practice: Practice) -> None:
    link = own_link(practice)
    text, _ = codes.make(practice.unlu, link.id)
    _, browser = codes.spend(text, None)
    assert codes.look_at(text, browser).address == links.address(link)

    links.renew(practice.unlu, link.id, 24)

    with pytest.raises(NotFound):
        codes.look_at(text, browser)
    assert db.session.scalars(select(Code)).all() == []


def test_a_fresh_link_leaves_what_the_feed_shows_as_it_was(practice: Practice, book: Book) -> None:
    book(practice.jane)
    link = own_link(practice)
    before = (link.revision, link.changed_at)

    links.renew(practice.unlu, link.id, 24)

    assert (link.revision, link.changed_at) == before


def test_a_dead_link_is_not_renewed(practice: Practice) -> None:
    link = own_link(practice)
    links.disable(practice.unlu, link.id)

    with pytest.raises(Conflict):
        links.renew(practice.unlu, link.id, 24)


def test_a_reset_says_why_on_every_address_that_it_ends(practice: Practice) -> None:
    link = own_link(practice)
    links.renew(practice.unlu, link.id, 24)

    links.reset(practice.unlu, link.id, Reason.LOST)

    assert [known.reason for known in link.tokens] == [Reason.LOST, Reason.LOST, None]
    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last is not None
    assert (last.action, last.detail) == ("link.reset", {"reason": "lost"})


def test_every_link_of_the_practice_is_reset_in_one_step(practice: Practice, book: Book) -> None:
    book(practice.jane)
    made = [
        own_link(practice),
        links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.INITIALS),
        links.allow(practice.anna, practice.annas_calendar),
        links.create(practice.ada, "practice", "Front desk", DisplayMode.INITIALS),
    ]
    dead = links.create(practice.unlu, practice.unlus_calendar, "Old", DisplayMode.BUSY)
    links.disable(practice.unlu, dead.id)
    old = [token(link) for link in made]
    assert shows(*old) == [["J.S."], ["J.S."], [], ["Dr. Ünlü: J.S."]]

    assert links.reset_practice(practice.ada, Reason.LEAKED) == 4

    assert shows(*old) == [NOTICE] * 4
    new = [token(link) for link in made]
    assert shows(*new) == [["J.S."], ["J.S."], [], ["Dr. Ünlü: J.S."]]
    assert {link.tokens[0].reason for link in made} == {Reason.LEAKED}
    assert links.state(dead) == "disabled"


def test_only_an_administrator_resets_the_practice(practice: Practice) -> None:
    link = own_link(practice)
    old = links.address(link)

    for actor in (practice.sam, practice.unlu):
        with pytest.raises(Refused):
            links.reset_practice(actor, Reason.ROUTINE)

    assert links.address(link) == old


def test_no_address_outlives_the_longest_life(practice: Practice, book: Book, now: Clock) -> None:
    book(practice.jane, at="2026-12-23 10:00")
    limit(practice, 30)
    link = own_link(practice)
    first = token(link)
    assert links.ends_at(link) == NOW + timedelta(days=30)
    now.move(days=20)
    second = token(links.renew(practice.unlu, link.id, 72))
    assert links.ends_at(link) == NOW + timedelta(days=50)
    assert replaced.old_address_until(link) == NOW + timedelta(days=23)

    now.move(days=29)
    links.expire(WORKER)
    assert shows(first, second) == [NOTICE, ["J.S."]]
    now.move(days=1)

    assert links.state(link) == "expired"
    assert links.expire(WORKER) == 1
    assert links.state(link) == "disabled"
    assert shows(first, second) == [NOTICE, NOTICE]


def test_a_grace_ends_with_the_longest_life(practice: Practice, now: Clock) -> None:
    limit(practice, 2)
    link = own_link(practice)
    now.move(days=1, hours=12)

    links.renew(practice.unlu, link.id, 72)

    assert replaced.old_address_until(link) == NOW + timedelta(days=2)
    now.move(hours=12)
    assert replaced.old_address_until(link) is None
    assert links.expire(WORKER) == 1
    assert [known.retired_at is None for known in link.tokens] == [False, True]
    assert links.state(link) == "live"


def test_the_earlier_end_counts(practice: Practice) -> None:
    link = own_link(practice)
    soon, late = NOW + timedelta(days=3), NOW + timedelta(days=300)
    assert links.ends_at(link) is None

    link = links.create(
        practice.unlu, practice.unlus_calendar, "Locum", DisplayMode.BUSY, expires_at=late
    )
    assert links.ends_at(link) == late
    limit(practice, 30)
    assert links.ends_at(link) == NOW + timedelta(days=30)
    limit(practice, None)
    link = links.create(
        practice.unlu, practice.unlus_calendar, "Student", DisplayMode.BUSY, expires_at=soon
    )
    limit(practice, 30)
    assert links.ends_at(link) == soon


@pytest.mark.bar("Z1")
def test_a_clinician_renews_no_link_of_a_colleague(practice: Practice) -> None:
    annas = links.allow(practice.anna, practice.annas_calendar)

    with pytest.raises(NotFound):
        links.renew(practice.unlu, annas.id, 24)

    assert len(annas.tokens) == 1
    assert access.link(practice.anna, annas.id) == annas
