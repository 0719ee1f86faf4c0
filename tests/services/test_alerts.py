"""Whoever's way of signing in changes is told of it by mail."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from sync_ui.config import Config
from sync_ui.errors import Invalid, Refused
from sync_ui.models import Mail, db, transaction
from sync_ui.services import accounts, alerts, enrolment, factors, mail, notices, tickets
from sync_ui.services.access import COMMAND
from tests.journeys.mailbox import Mailbox
from tests.practice import PASSWORD, Clock, Practice
from tests.second_factors import number_of, with_app, with_passkey

NEW = "heron copper lattice"


@pytest.fixture
def config(config: Config, post: Mailbox) -> Config:
    return replace(config, smtp_url=post.url, mail_from="calendar@practice.example")


@dataclass
class Case:
    """Dr. Ünlü has an app and a passkey named "Blue key"."""

    practice: Practice

    @property
    def user_id(self) -> int:
        return number_of(self.practice.unlu)

    @property
    def passkey(self) -> int:
        return factors.held(self.user_id).passkeys[0].id

    def ticket(self) -> str:
        return tickets.make(self.practice.ada, self.user_id)[0]


@pytest.fixture
def case(practice: Practice, now: Clock) -> Case:
    with_app(practice.unlu, now)
    with_passkey(practice.unlu)
    for letter in db.session.scalars(select(Mail)):
        with transaction() as session:
            session.delete(letter)
    return Case(practice)


def take_all_away_twice(case: Case) -> None:
    enrolment.forget(COMMAND, case.user_id)
    enrolment.forget(COMMAND, case.user_id)


def begin_another_app(case: Case) -> None:
    enrolment.remove_app(case.practice.unlu)
    enrolment.begin_app(case.practice.unlu)
    enrolment.remove_app(case.practice.unlu)


CHANGES: dict[str, tuple[Callable[[Case], object], list[str]]] = {
    "an own new password": (
        lambda case: accounts.change_own_password(case.practice.unlu, PASSWORD, NEW),
        ["Your password was changed"],
    ),
    "an administrator's": (
        lambda case: accounts.set_password(case.practice.ada, case.user_id, NEW),
        ["Your password was changed"],
    ),
    "one by a sheet": (
        lambda case: tickets.spend(case.ticket(), NEW),
        ["Your password was changed"],
    ),
    "another passkey": (
        lambda case: with_passkey(case.practice.unlu),
        ["A passkey was added"],
    ),
    "a passkey less": (
        lambda case: enrolment.remove_passkey(case.practice.unlu, case.passkey),
        ["A passkey was removed"],
    ),
    "the app removed": (
        lambda case: enrolment.remove_app(case.practice.unlu),
        ["An authenticator app was removed"],
    ),
    "new recovery codes": (
        lambda case: enrolment.draw_codes(case.practice.unlu),
        ["You have new recovery codes"],
    ),
    "all taken away by an administrator": (
        lambda case: enrolment.forget(case.practice.ada, case.user_id),
        ["Your second steps were removed"],
    ),
    "all taken away on the server": (
        lambda case: enrolment.forget(COMMAND, case.user_id),
        ["Your second steps were removed"],
    ),
    "a second taking away": (
        take_all_away_twice,
        ["Your second steps were removed"],
    ),
    "an app that has not shown a code yet": (
        begin_another_app,
        ["An authenticator app was removed"],
    ),
}


@pytest.mark.bar("A9")
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_told_once_and_names_nothing(case: Case, post: Mailbox, what: str) -> None:
    change, subjects = CHANGES[what]
    notices.want_mails(case.practice.unlu, wanted=False)

    change(case)
    mail.send_due()

    assert [letter.message["Subject"] for letter in post.letters] == subjects
    (letter,) = post.letters
    text = letter.message.get_content()
    assert letter.recipients == ["unlu@example.com"]
    assert "tell an administrator of your practice" in text
    assert [word for word in ("http", "Blue", "nlü", "Ada", "@", "/enter") if word in text] == []


def test_the_first_app_is_told(practice: Practice, now: Clock, post: Mailbox) -> None:
    with_app(practice.unlu, now)

    mail.send_due()

    assert [letter.message["Subject"] for letter in post.letters] == [
        "An authenticator app was added"
    ]


def test_every_change_has_its_own_letter() -> None:
    letters = [alerts.letter(kind) for kind in alerts.CHANGES]

    assert len(set(letters)) == len(letters) == 8
    assert [text for _, text in letters if text.count(".") < 2] == []


def test_it_goes_to_the_address_that_counted_then(case: Case, post: Mailbox) -> None:
    accounts.change_own_password(case.practice.unlu, PASSWORD, NEW)
    with transaction():
        accounts.user(case.user_id).email = "thief@example.com"

    mail.send_due()

    assert [letter.recipients for letter in post.letters] == [["unlu@example.com"]]


def test_a_change_that_is_refused_is_not_told(case: Case, practice: Practice) -> None:
    with pytest.raises(Refused):
        enrolment.forget(practice.sam, case.user_id)
    with pytest.raises(Invalid):
        accounts.change_own_password(practice.unlu, PASSWORD, "password1234567")
    assert owed() == 0

    accounts.change_own_password(practice.unlu, PASSWORD, NEW)

    assert owed() == 1


@pytest.mark.bar("Z3")
def test_who_has_no_access_is_not_told(case: Case, practice: Practice) -> None:
    accounts.set_password(practice.ada, case.user_id, NEW)
    assert owed() == 1

    accounts.disable_user(practice.ada, case.user_id)
    accounts.set_password(practice.ada, case.user_id, PASSWORD)
    enrolment.forget(practice.ada, case.user_id)

    assert owed() == 0


def owed() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Mail.id).where(Mail.sent_at.is_(None))).all())


class TestWithoutMail:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, smtp_url=None, mail_from=None)

    def test_nothing_is_owed(self, practice: Practice) -> None:
        accounts.change_own_password(practice.unlu, PASSWORD, NEW)

        assert owed() == 0
