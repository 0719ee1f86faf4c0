"""A new e-mail address of one's own: at once without a mail server, else once it is proved."""

import re
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui.config import Config
from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Invalid, NotFound, Refused, Throttled
from sync_ui.gateways.smtp import Server
from sync_ui.models import AuditEntry, Mail, Ticket, TicketKind, User, db, transaction
from sync_ui.services import accounts, mail, own_email, sessions, signing, tickets
from sync_ui.services.access import COMMAND
from sync_ui.services.audit import Action
from sync_ui.services.own_email import Wanted
from tests.journeys.mailbox import Mailbox
from tests.practice import PASSWORD, Clock, Practice
from tests.second_factors import number_of
from tests.services.test_tickets import is_dead

NEW = "heron copper lattice"
WANTED = "dr.unlu@example.com"

pytestmark = pytest.mark.bar("A8", "A9")


@pytest.fixture
def config(config: Config, post: Mailbox) -> Config:
    return replace(config, smtp_url=post.url, mail_from="calendar@practice.example")


def email_of_unlu(practice: Practice) -> str:
    db.session.rollback()
    return accounts.user(number_of(practice.unlu)).email


def ask(practice: Practice, post: Mailbox, email: str = WANTED) -> str:
    """The ticket in the letter that Dr. Ünlü gets at the address he wants."""
    assert own_email.change(practice.unlu, email) is False
    assert mail.send_due() == 1
    return text_in(post)


def text_in(post: Mailbox) -> str:
    body = post.letters[-1].message.get_content()
    [text] = re.findall(r"https://calendar\.example\.com/enter/(\w+)", body)
    return str(text)


@pytest.mark.bar("M1")
def test_a_new_address_counts_when_its_letter_is_answered(
    practice: Practice, post: Mailbox
) -> None:
    session = signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7")
    text = ask(practice, post, " Dr.Unlu@Example.com ")
    (letter,) = post.letters
    assert letter.recipients == [letter.message["To"]] == [WANTED]
    assert "60 minutes" in letter.message.get_content()
    assert [word for word in ("unlu@e", "nlü") if word in letter.message.get_content()] == []
    assert tickets.look_at(text).email == WANTED
    assert email_of_unlu(practice) == "unlu@example.com"

    own_email.prove(practice.unlu, text)
    mail.send_due()

    assert email_of_unlu(practice) == WANTED
    assert post.letters[-1].recipients == ["unlu@example.com"]
    assert post.letters[-1].message["Subject"] == "Your e-mail address was changed"
    assert WANTED not in post.letters[-1].message.as_string()
    assert sessions.signed_in(session) is not None
    assert signing.sign_in(WANTED, PASSWORD, "203.0.113.7")
    assert own_email.wanted(practice.unlu) is None
    with pytest.raises(NotFound):
        own_email.prove(practice.unlu, text)


@pytest.mark.bar("M1")
def test_an_address_at_a_domain_with_an_umlaut_gets_its_letter(
    practice: Practice, post: Mailbox
) -> None:
    """By a mail server that knows no such letters (RFC 6531), as few do."""
    text = ask(practice, post, "unlu@praxis-ünlü.example")
    (letter,) = post.letters
    assert letter.recipients == [letter.message["To"]] == ["unlu@xn--praxis-nl-w9ac.example"]

    own_email.prove(practice.unlu, text)

    assert email_of_unlu(practice) == "unlu@praxis-ünlü.example"


def test_until_then_the_account_says_what_is_wanted(
    practice: Practice, post: Mailbox, now: Clock
) -> None:
    assert own_email.wanted(practice.unlu) is None
    own_email.change(practice.unlu, WANTED)
    assert own_email.wanted(practice.unlu) == Wanted(WANTED, failed=False)
    assert own_email.wanted(practice.anna) is None
    mail.send_due()
    now.move(minutes=59)
    assert own_email.wanted(practice.unlu) == Wanted(WANTED, failed=False)

    now.move(minutes=1)

    assert own_email.wanted(practice.unlu) is None
    assert is_dead(text_in(post))


def test_only_the_tickets_digest_is_stored(practice: Practice, post: Mailbox) -> None:
    text = ask(practice, post)
    db.session.rollback()

    everything = "".join(
        f"{list(db.session.execute(select(table.__table__)))}" for table in (Ticket, Mail)
    )
    audit = f"{list(db.session.execute(select(AuditEntry.__table__)))}"

    assert (text in everything, text in audit, WANTED in audit) == (False, False, False)


@pytest.mark.bar("A7")
def test_who_reads_at_the_new_address_proves_nothing_without_signing_in(
    practice: Practice, post: Mailbox
) -> None:
    text = ask(practice, post)

    for stranger in (None, practice.anna, practice.ada):
        with pytest.raises(Refused):
            own_email.prove(stranger, text)
    with pytest.raises(NotFound):
        tickets.spend(text, NEW)
    assert email_of_unlu(practice) == "unlu@example.com"

    own_email.prove(practice.unlu, text)

    assert email_of_unlu(practice) == WANTED


def test_a_ticket_for_a_password_proves_no_address(practice: Practice, post: Mailbox) -> None:
    ask(practice, post)
    reset, _ = tickets.make(COMMAND, number_of(practice.unlu), replaces=False)

    with pytest.raises(NotFound):
        own_email.prove(practice.unlu, reset)

    tickets.spend(reset, NEW)
    assert email_of_unlu(practice) == "unlu@example.com"


@pytest.mark.parametrize(
    "ends", ["taken back", "another wanted", "a password", "a sheet", "disabled", "an hour"]
)
def test_a_letter_is_dead_when(practice: Practice, post: Mailbox, now: Clock, ends: str) -> None:
    unlu = number_of(practice.unlu)
    text = ask(practice, post)
    assert not is_dead(text)

    if ends == "taken back":
        own_email.keep(practice.unlu)
    elif ends == "another wanted":
        own_email.change(practice.unlu, "u@example.com")
    elif ends == "a password":
        accounts.change_own_password(practice.unlu, PASSWORD, NEW)
    elif ends == "a sheet":
        tickets.make(practice.ada, unlu)
    elif ends == "disabled":
        accounts.disable_user(practice.ada, unlu)
    else:
        now.move(hours=1)

    assert is_dead(text)
    with pytest.raises(NotFound):
        own_email.prove(practice.unlu, text)
    assert email_of_unlu(practice) == "unlu@example.com"


@pytest.mark.parametrize("ends", ["taken back", "a password", "disabled"])
def test_a_letter_that_has_not_left_never_does_when(
    practice: Practice, post: Mailbox, ends: str
) -> None:
    own_email.change(practice.unlu, WANTED)
    assert [each.address for each in db.session.scalars(select(Mail))] == [WANTED]

    if ends == "taken back":
        own_email.keep(practice.unlu)
    elif ends == "a password":
        accounts.change_own_password(practice.unlu, PASSWORD, NEW)
    else:
        accounts.disable_user(practice.ada, number_of(practice.unlu))
    mail.send_due()

    assert [letter.recipients for letter in post.letters if letter.recipients == [WANTED]] == []
    assert own_email.wanted(practice.unlu) is None


def test_a_letter_that_another_replaces_while_it_is_sent_proves_neither(
    practice: Practice, post: Mailbox, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row's number is the next one's, too, where the database counts so."""
    send = Server.send
    own_email.change(practice.unlu, WANTED)

    def replace_meanwhile(server: Server, to: str, subject: str, text: str) -> None:
        monkeypatch.setattr(Server, "send", send)
        send(server, to, subject, text)
        now.move(seconds=1)
        own_email.change(practice.unlu, "u@example.com")

    monkeypatch.setattr(Server, "send", replace_meanwhile)
    mail.send_due()
    first = text_in(post)

    assert is_dead(first)
    assert own_email.wanted(practice.unlu) == Wanted("u@example.com", failed=False)
    assert mail.send_due() == 1
    own_email.prove(practice.unlu, text_in(post))
    assert email_of_unlu(practice) == "u@example.com"


def test_a_letter_that_was_claimed_for_another_address_gets_no_ticket(practice: Practice) -> None:
    own_email.change(practice.unlu, WANTED)

    with pytest.raises(NotFound):
        tickets.make_proof(number_of(practice.unlu), "u@example.com")

    assert tickets.make_proof(number_of(practice.unlu), WANTED)


def test_an_address_that_is_taken_is_refused_when_asked_and_when_proved(
    practice: Practice, post: Mailbox
) -> None:
    with pytest.raises(Conflict) as asked:
        own_email.change(practice.unlu, "anna@example.com")
    text = ask(practice, post)
    accounts.create_user(
        COMMAND, email=WANTED, name="Nora Quist", role=Role.SCHEDULER, password=NEW
    )

    with pytest.raises(Conflict) as proved:
        own_email.prove(practice.unlu, text)

    assert asked.value.sentence == proved.value.sentence == accounts.TAKEN
    assert email_of_unlu(practice) == "unlu@example.com"


def test_of_two_who_want_one_address_the_first_to_prove_it_has_it(
    practice: Practice, post: Mailbox
) -> None:
    his = ask(practice, post)
    own_email.change(practice.anna, WANTED)
    mail.send_due()
    hers = text_in(post)

    own_email.prove(practice.anna, hers)

    with pytest.raises(Conflict):
        own_email.prove(practice.unlu, his)
    assert email_of_unlu(practice) == "unlu@example.com"


def test_pressed_several_times_at_once_it_counts_once(
    app: Flask, practice: Practice, post: Mailbox
) -> None:
    text = ask(practice, post)
    db.session.rollback()
    said: list[str] = []

    def press() -> None:
        with app.app_context():
            try:
                own_email.prove(practice.unlu, text)
                said.append("counts")
            except NotFound:
                said.append("dead")

    threads = [threading.Thread(target=press) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(said) == ["counts", "dead", "dead"]
    changed = select(AuditEntry.id).where(AuditEntry.action == Action.EMAIL_CHANGED.value)
    assert len(db.session.scalars(changed).all()) == 1


def test_what_was_on_its_way_to_the_old_address_is_dead(practice: Practice, post: Mailbox) -> None:
    text = ask(practice, post)
    reset, _ = tickets.make(COMMAND, number_of(practice.unlu), replaces=False)
    assert tickets.look_at(reset).kind is TicketKind.RESET

    own_email.prove(practice.unlu, text)

    assert is_dead(reset)


def test_no_letter_that_opens_the_account_leaves_for_an_address_that_was_given_up_meanwhile(
    practice: Practice, post: Mailbox, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the worker's claim, with the address of then, and the ticket that it makes."""
    text, letter = ask(practice, post), mail._letter
    post.letters.clear()
    tickets.forgotten("unlu@example.com", "203.0.113.7")

    def prove_meanwhile(claim: mail._Claim) -> tuple[str, str]:
        monkeypatch.setattr(mail, "_letter", letter)
        assert claim.to == "unlu@example.com"
        own_email.prove(practice.unlu, text)
        return letter(claim)

    monkeypatch.setattr(mail, "_letter", prove_meanwhile)
    assert mail.send_due() == 0
    now.move(minutes=5)
    assert mail.send_due() == 2

    sent = {each.message["Subject"]: each.recipients for each in post.letters}
    assert sent == {
        "A new password for the practice's calendar": [WANTED],
        "Your e-mail address was changed": ["unlu@example.com"],
    }


def test_a_letter_that_is_taken_back_while_it_is_written_does_not_leave(
    practice: Practice, post: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_email.change(practice.unlu, WANTED)
    letter = mail._letter

    def keep_meanwhile(claim: mail._Claim) -> tuple[str, str]:
        words = letter(claim)
        assert own_email.keep(practice.unlu)
        return words

    monkeypatch.setattr(mail, "_letter", keep_meanwhile)

    assert (mail.send_due(), post.letters) == (0, [])


@pytest.mark.bar("A6")
def test_a_stranger_gets_few_letters_a_day_from_whoever_asks_all_day(
    practice: Practice, now: Clock
) -> None:
    letters = 0
    for number in range(24 * 6):
        with suppress(Throttled):
            own_email.change(practice.unlu, f"stranger{number}@example.com")
            letters += 1
        now.move(minutes=10)

    assert 5 < letters < 40


@pytest.mark.bar("A6")
def test_letters_to_strangers_are_slowed_down(practice: Practice) -> None:
    for number in range(5):
        own_email.change(practice.unlu, f"stranger{number}@example.com")

    with pytest.raises(Throttled):
        own_email.change(practice.unlu, WANTED)

    assert own_email.change(practice.anna, "dr.anna@example.com") is False


def test_a_letter_that_never_leaves_is_said_to(practice: Practice) -> None:
    own_email.change(practice.unlu, WANTED)
    assert own_email.wanted(practice.unlu) == Wanted(WANTED, failed=False)

    with transaction() as session:
        session.scalars(select(Mail)).one().attempts = mail.MOST_ATTEMPTS

    assert own_email.wanted(practice.unlu) == Wanted(WANTED, failed=True)


def test_the_own_address_is_no_change(practice: Practice, post: Mailbox) -> None:
    assert own_email.change(practice.unlu, "Unlu@example.com") is True

    own_email.keep(practice.unlu)

    assert (list(db.session.scalars(select(Mail.id))), mail.send_due()) == ([], 0)


def test_who_types_the_own_address_wants_no_other_any_more(
    practice: Practice, post: Mailbox
) -> None:
    text = ask(practice, post)

    assert own_email.change(practice.unlu, "unlu@example.com") is True

    assert (own_email.wanted(practice.unlu), is_dead(text)) == (None, True)
    assert own_email.keep(practice.unlu) is False


@pytest.mark.bar("M1")
@pytest.mark.parametrize(
    "email", ["a@x.example\r\nBcc: b@x.example", "a@x.example, b@x.example", "a@x.example\u2028b"]
)
def test_one_address_is_one_address(practice: Practice, email: str) -> None:
    with pytest.raises(Invalid):
        own_email.change(practice.unlu, email)


class TestWithoutMail:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, smtp_url=None, mail_from=None)

    def test_it_counts_at_once(self, practice: Practice) -> None:
        assert own_email.change(practice.unlu, WANTED) is True

        assert db.session.scalar(select(User.id).where(User.email == WANTED)) == number_of(
            practice.unlu
        )
        with pytest.raises(Conflict):
            own_email.change(practice.unlu, "anna@example.com")
