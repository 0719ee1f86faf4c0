"""What somebody could see who has left. SECURITY Z3: what the off-boarding lists."""

from dataclasses import replace
from datetime import date

import pytest

from sync_ui.domain.apps import Reader
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Refused
from sync_ui.models import Link, Reason, User, Visit, db, transaction
from sync_ui.services import accounts, exports, feeds, links, sights
from sync_ui.services.access import COMMAND, Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.exports import Span
from sync_ui.services.sights import Sight
from tests.practice import NOW, Book, Clock, Practice, token_of


def make(actor: Actor, key: str, label: str) -> Link:
    return links.create(actor, key, label, DisplayMode.BUSY)


def sight(actor: Actor) -> Sight:
    db.session.rollback()
    return sights.could_see(db.session.get_one(User, actor.user_id))


def put_out(practice: Practice, actor: Actor) -> None:
    accounts.disable_user(practice.ada, actor.user_id or 0)


def labels(found: Sight) -> tuple[list[str], list[str], list[str]]:
    own, made, known = (
        [link.label for link in part] for part in (found.own, found.made, found.known)
    )
    return own, made, known


def test_a_clinician_sees_the_own_calendar_and_clients(practice: Practice, book: Book) -> None:
    book(practice.jane)
    book(practice.jane, practice.mark, at="2026-11-25 10:00")
    book(practice.zoe, actor=practice.anna)
    make(practice.unlu, practice.unlus_calendar, "Phone")
    make(practice.sam, practice.unlus_calendar, "Front desk")
    make(practice.anna, practice.annas_calendar, "Anna's phone")

    found = sight(practice.unlu)

    assert labels(found) == (["Phone", "Front desk"], [], [])
    assert (found.roles, found.clients, found.sees_everyone) == ([Role.CLINICIAN], 2, False)


def test_a_scheduler_knows_everyones_addresses(practice: Practice) -> None:
    make(practice.anna, practice.annas_calendar, "Anna's phone")
    make(practice.ada, "practice", "Wall")
    make(practice.sam, "practice", "Sam's phone")

    found = sight(practice.sam)

    assert labels(found) == ([], ["Sam's phone"], ["Anna's phone", "Wall"])
    assert (found.roles, found.clients, found.sees_everyone) == ([Role.SCHEDULER], 3, True)


def test_what_was_seen_shows_after_the_end_as_before_it(practice: Practice, now: Clock) -> None:
    gone = make(practice.sam, "practice", "Lost phone")
    links.disable(practice.sam, gone.id)
    now.move(days=1)
    make(practice.sam, "practice", "Sam's phone")
    anna = make(practice.anna, practice.annas_calendar, "Anna's phone")
    before = labels(sight(practice.sam))
    assert before == ([], ["Sam's phone"], ["Anna's phone"])

    put_out(practice, practice.sam)
    now.move(hours=1)
    make(practice.anna, practice.annas_calendar, "Made later")

    assert labels(sight(practice.sam)) == before
    links.reset(practice.anna, anna.id)
    assert labels(sight(practice.sam)) == ([], ["Sam's phone"], [])


def test_roles_of_earlier_count(practice: Practice, now: Clock) -> None:
    make(practice.anna, practice.annas_calendar, "Anna's phone")
    sam = practice.sam.user_id or 0
    with transaction() as session:
        record(session, COMMAND, Action.USER_CREATED, f"user:{sam}", role="scheduler")
    accounts.change_user(practice.ada, sam, name="Sam Rivera", role=Role.CLINICIAN)

    put_out(practice, practice.sam)

    found = sight(practice.sam)
    assert found.roles == [Role.SCHEDULER, Role.CLINICIAN]
    assert (found.sees_everyone, labels(found)[2]) == (True, ["Anna's phone"])


def test_files_taken_along_are_counted(practice: Practice, book: Book, now: Clock) -> None:
    book(practice.jane)
    span = Span(practice.unlu.clinician_id, date(2026, 11, 1), date(2026, 12, 31))
    assert (sight(practice.unlu).exports, sight(practice.unlu).exported_at) == (0, None)

    exports.schedule_table(practice.unlu, span)
    now.move(days=1)
    exports.schedule_table(practice.unlu, span)

    found = sight(practice.unlu)
    assert (found.exports, found.exported_at) == (2, now.moment)


def test_who_read_their_links_is_told(practice: Practice) -> None:
    link = make(practice.unlu, practice.unlus_calendar, "Phone")
    with transaction() as session:
        visit = Visit(
            link_id=link.id,
            token_id=link.tokens[0].id,
            reader=Reader.APP,
            name="Google Calendar",
            network="the internet, 203.0.113.0/24",
            first_at=NOW,
            last_at=NOW,
            count=1,
            days=1,
            seen_until=NOW,
        )
        session.add(visit)

    put_out(practice, practice.unlu)

    assert [found.name for found in sight(practice.unlu).readers] == ["Google Calendar"]


def test_addresses_that_a_leaver_knew_are_reset_in_one_step(
    practice: Practice, book: Book, now: Clock
) -> None:
    book(practice.zoe, actor=practice.anna)
    anna = make(practice.anna, practice.annas_calendar, "Anna's phone")
    unlu = make(practice.unlu, practice.unlus_calendar, "Dr. Ünlü's phone")
    put_out(practice, practice.sam)
    now.move(hours=1)
    later = make(practice.anna, practice.annas_calendar, "Made later")
    old, kept = token_of(anna), token_of(later)
    assert b"Busy" in feeds.read(old).body

    assert sights.reset_known(practice.ada, practice.sam.user_id or 0) == 2

    assert b"Busy" not in feeds.read(old).body
    assert b"Busy" in feeds.read(kept).body
    assert b"Busy" in feeds.read(token_of(db.session.get_one(Link, anna.id))).body
    reasons = [db.session.get_one(Link, link.id).tokens[0].reason for link in (anna, unlu, later)]
    assert reasons == [Reason.LEFT, Reason.LEFT, None]
    assert sight(practice.sam).known == []
    assert sights.reset_known(practice.ada, practice.sam.user_id or 0) == 0


def test_of_whoever_still_signs_in_nothing_is_reset(practice: Practice) -> None:
    anna = make(practice.anna, practice.annas_calendar, "Anna's phone")
    with pytest.raises(Conflict):
        sights.reset_known(practice.ada, practice.sam.user_id or 0)
    put_out(practice, practice.sam)
    for actor in (practice.unlu, practice.anna):
        with pytest.raises(Refused):
            sights.reset_known(actor, practice.sam.user_id or 0)

    assert links.address(anna) is not None
    assert [token.reason for token in db.session.get_one(Link, anna.id).tokens] == [None]


def test_clients_that_came_later_were_not_seen(practice: Practice, book: Book, now: Clock) -> None:
    book(practice.jane)
    put_out(practice, practice.unlu)
    now.move(days=1)
    unlus = replace(practice.sam, clinician_id=practice.unlu.clinician_id)
    book(practice.zoe, actor=unlus, at="2026-12-01 10:00")

    assert sight(practice.unlu).clients == 1
