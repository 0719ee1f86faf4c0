"""Tickets: invitations and forgotten passwords, once and for a short while."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import event, func, select

from sync_ui.config import Config
from sync_ui.domain.roles import Role
from sync_ui.errors import Invalid, NotFound, Refused, Throttled
from sync_ui.models import AuditEntry, Mail, MailKind, Ticket, TicketKind, User, db
from sync_ui.services import accounts, mail, own_email, sessions, signing, tickets, upkeep
from sync_ui.services.access import COMMAND
from tests.journeys.mailbox import Mailbox
from tests.practice import PASSWORD, Clock, Practice

NETWORK = "203.0.113.7"
NEW = "heron copper lattice"

pytestmark = pytest.mark.bar("A8")


@pytest.fixture
def mailing(app: Flask, post: Mailbox) -> Mailbox:
    """The installation has a mail server from now on."""
    found = app.extensions["installation"]
    config: Config = replace(found.config, smtp_url=post.url, mail_from="calendar@practice.example")
    app.extensions["installation"] = replace(found, config=config)
    return post


def unlu(practice: Practice) -> int:
    assert practice.unlu.user_id is not None
    return practice.unlu.user_id


def sign_in(password: str, email: str = "unlu@example.com") -> str:
    return signing.sign_in(email, password, NETWORK)


def test_a_ticket_lets_its_user_choose_a_password_once(practice: Practice) -> None:
    session = sign_in(PASSWORD)
    text, _ = tickets.make(practice.ada, unlu(practice))

    tickets.spend(text, NEW)

    assert sessions.signed_in(session) is None
    assert sessions.signed_in(sign_in(NEW)) is not None
    with pytest.raises(Invalid):
        sign_in(PASSWORD)
    with pytest.raises(NotFound):
        tickets.spend(text, "another copper lattice")


def test_only_its_digest_is_stored(practice: Practice) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice))
    db.session.rollback()

    everything = f"{list(db.session.execute(select(Ticket.__table__)))}"
    everything += f"{list(db.session.execute(select(AuditEntry.__table__)))}"

    assert text not in everything
    assert len(text) == 26


def test_looking_spends_nothing(practice: Practice) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice))

    seen = {tickets.look_at(text).email for _ in range(3)}

    assert seen == {"unlu@example.com"}
    tickets.spend(text, NEW)


def test_a_weak_password_spends_nothing(practice: Practice) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice))

    with pytest.raises(Invalid):
        tickets.spend(text, "password1234567")

    tickets.spend(text, NEW)


@pytest.mark.parametrize(
    ("lifetime", "minutes"),
    [
        (tickets.ON_PAPER, 24 * 60),
        (tickets.LIFETIMES[MailKind.INVITATION], 60),
        (tickets.LIFETIMES[MailKind.RESET], 30),
    ],
)
def test_a_ticketis_dead_in_time(
    practice: Practice, now: Clock, lifetime: timedelta, minutes: int
) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice), lifetime)
    now.move(minutes=minutes, seconds=-1)
    assert tickets.look_at(text).email == "unlu@example.com"

    now.move(seconds=1)

    with pytest.raises(NotFound):
        tickets.look_at(text)
    with pytest.raises(NotFound):
        tickets.spend(text, NEW)


def test_a_newer_ticket_kills_the_older(practice: Practice) -> None:
    older, _ = tickets.make(practice.ada, unlu(practice))
    annas, _ = tickets.make(practice.ada, practice.anna.user_id or 0)
    assert tickets.look_at(older).email == "unlu@example.com"

    newer, _ = tickets.make(practice.ada, unlu(practice))

    with pytest.raises(NotFound):
        tickets.look_at(older)
    assert tickets.look_at(newer).email == "unlu@example.com"
    assert tickets.look_at(annas).email == "anna@example.com"


def test_a_disabled_users_ticketis_dead_and_stays_so(practice: Practice) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice))
    accounts.disable_user(practice.ada, unlu(practice))
    with pytest.raises(NotFound):
        tickets.look_at(text)
    with pytest.raises(Refused):
        tickets.make(practice.ada, unlu(practice))

    accounts.enable_user(practice.ada, unlu(practice))

    with pytest.raises(NotFound):
        tickets.spend(text, NEW)
    assert sign_in(PASSWORD)


def test_of_several_at_once_one_wins(app: Flask, practice: Practice) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice))
    db.session.rollback()
    passwords = [f"{NEW} number {number}" for number in range(4)]
    won: list[str] = []

    def spend(password: str) -> None:
        with app.app_context():
            try:
                tickets.spend(text, password)
                won.append(password)
            except NotFound:
                pass

    threads = [threading.Thread(target=spend, args=[password]) for password in passwords]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert sign_in(won[0])


def test_a_changed_password_or_address_kills_what_is_on_its_way(practice: Practice) -> None:
    changes: list[Callable[[], object]] = [
        lambda: accounts.change_own_password(practice.unlu, PASSWORD, NEW),
        lambda: accounts.set_password(practice.ada, unlu(practice), PASSWORD),
        lambda: own_email.change(practice.unlu, "dr.unlu@example.com"),
    ]
    for change in changes:
        text, _ = tickets.make(practice.ada, unlu(practice))
        assert tickets.look_at(text).kind is TicketKind.RESET
        change()
        with pytest.raises(NotFound):
            tickets.look_at(text)


@pytest.mark.parametrize("who", ["unlu", "sam"])
def test_only_administrators_make_tickets_of_others(practice: Practice, who: str) -> None:
    actor = getattr(practice, who)

    with pytest.raises(Refused):
        tickets.make(actor, practice.ada.user_id or 0)
    with pytest.raises(Refused):
        tickets.invite(actor, practice.ada.user_id or 0)


def test_its_address_comes_from_the_settings(practice: Practice) -> None:
    text, _ = tickets.make(practice.ada, unlu(practice))

    assert tickets.address(text) == f"https://calendar.example.com/enter/{text}"


def test_a_new_user_is_invited_by_mail(practice: Practice, mailing: Mailbox, now: Clock) -> None:
    added = accounts.create_user(
        practice.ada, email="nora@example.com", name="Nora Quist", role=Role.SCHEDULER
    )
    with pytest.raises(Invalid):
        sign_in("", "nora@example.com")
    now.move(hours=5)  # the worker stood still: the ticket is made when the mail is sent

    assert mail.send_due() == 1

    (letter,) = mailing.letters
    body = letter.message.get_content()
    assert letter.recipients == [letter.message["To"]] == ["nora@example.com"]
    assert "60 minutes" in body
    assert "Nora" not in letter.message.as_string()
    [text] = re.findall(r"https://calendar\.example\.com/enter/(\w+)", body)
    now.move(minutes=59)
    assert tickets.look_at(text).kind is TicketKind.INVITATION
    tickets.spend(text, NEW)
    found = sessions.signed_in(sign_in(NEW, "nora@example.com"))
    assert found is not None
    assert found.id == added.id


def test_without_a_mail_server_nothing_is_owed(practice: Practice) -> None:
    accounts.create_user(
        practice.ada, email="nora@example.com", name="Nora Quist", role=Role.SCHEDULER
    )

    assert list(db.session.scalars(select(Mail.id))) == []


def test_a_forgotten_password_has_a_way_back_by_mail(practice: Practice, mailing: Mailbox) -> None:
    tickets.forgotten(" UNLU@example.com", NETWORK)

    assert mail.send_due() == 1

    (letter,) = mailing.letters
    assert letter.recipients == ["unlu@example.com"]
    [text] = re.findall(r"/enter/(\w+)", letter.message.get_content())
    tickets.spend(text, NEW)
    assert sign_in(NEW)


def test_at_most_one_mail_in_five_minutes(practice: Practice, mailing: Mailbox, now: Clock) -> None:
    for _ in range(3):
        tickets.forgotten("unlu@example.com", NETWORK)
    tickets.forgotten("anna@example.com", NETWORK)
    assert _owed() == {"unlu@example.com": 1, "anna@example.com": 1}

    now.move(minutes=5)
    tickets.forgotten("unlu@example.com", NETWORK)

    assert _owed() == {"unlu@example.com": 2, "anna@example.com": 1}


def _owed() -> dict[str, int]:
    db.session.rollback()
    counted = select(User.email, func.count()).join(Mail.user).group_by(User.email)
    return {str(email): int(count) for email, count in db.session.execute(counted)}


@pytest.mark.bar("A6")
def test_what_a_stranger_asks_for_kills_nothing_that_is_on_its_way(
    practice: Practice, mailing: Mailbox, now: Clock
) -> None:
    paper, _ = tickets.make(practice.ada, unlu(practice))
    mailed = []
    for _ in range(2):
        tickets.forgotten("unlu@example.com", NETWORK)
        assert mail.send_due() == 1
        mailed += re.findall(r"/enter/(\w+)", mailing.letters[-1].message.get_content())
        now.move(minutes=5)
    every = [paper, *mailed]
    assert [tickets.look_at(text).email for text in every] == ["unlu@example.com"] * 3

    tickets.spend(mailed[0], NEW)

    assert [is_dead(text) for text in every] == [True] * 3


@pytest.mark.parametrize("by", ["ada", "command", "mail"])
def test_what_an_administrator_makes_replaces_what_was_mailed(
    practice: Practice, mailing: Mailbox, by: str
) -> None:
    tickets.forgotten("unlu@example.com", NETWORK)
    mail.send_due()
    [mailed] = re.findall(r"/enter/(\w+)", mailing.letters[-1].message.get_content())
    assert not is_dead(mailed)

    if by == "mail":
        tickets.invite(practice.ada, unlu(practice))
    else:
        tickets.make(practice.ada if by == "ada" else COMMAND, unlu(practice))

    assert is_dead(mailed)


def is_dead(text: str) -> bool:
    db.session.rollback()
    try:
        tickets.look_at(text)
    except NotFound:
        return True
    return False


@pytest.mark.bar("A6")
def test_an_unknown_address_gets_the_same_work_and_no_mail(
    practice: Practice, mailing: Mailbox, now: Clock
) -> None:
    accounts.disable_user(practice.ada, practice.anna.user_id or 0)
    said: dict[str, list[str]] = {}
    for email in ("unlu@example.com", "nobody@example.com", "anna@example.com"):
        said[email] = _statements(partial(tickets.forgotten, email, NETWORK))
    tickets.forgotten("unlu@example.com\r\nBcc: x@y.example", NETWORK)

    assert said["unlu@example.com"][1:] == said["nobody@example.com"][1:]
    assert said["unlu@example.com"][1:] == said["anna@example.com"][1:]
    assert _owed() == {"unlu@example.com": 1}


def _statements(use: Callable[[], None]) -> list[str]:
    db.session.rollback()
    db.session.expunge_all()
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        use()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return [statement for statement in seen if "sign_in_failure" not in statement]


@pytest.mark.bar("A6")
def test_asking_for_mails_is_slowed_by_network(practice: Practice, mailing: Mailbox) -> None:
    for number in range(10):
        tickets.forgotten(f"nobody{number}@example.com", NETWORK)

    with pytest.raises(Throttled):
        tickets.forgotten("unlu@example.com", NETWORK)

    tickets.forgotten("unlu@example.com", "198.51.100.9")
    assert _owed() == {"unlu@example.com": 1}


def test_old_tickets_are_swept_away(practice: Practice, now: Clock) -> None:
    tickets.make(COMMAND, unlu(practice))
    now.move(hours=49)

    upkeep.clean_up()

    assert list(db.session.scalars(select(Ticket.id))) == []
