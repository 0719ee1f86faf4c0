import threading

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Invalid, NotFound, Refused, SyncError, Throttled
from sync_ui.models import Session, User, db
from sync_ui.services import accounts, passwords, sessions, signing
from sync_ui.services import practice as practices
from sync_ui.services.access import actor_for
from tests.practice import PASSWORD, Clock, Practice

NETWORK = "203.0.113.7"


def sign_in(email: str = "unlu@example.com", password: str = PASSWORD) -> str:
    return signing.sign_in(email, password, NETWORK)


@pytest.mark.bar("A4")
def test_a_session_opens_with_its_secret_and_is_stored_by_digest_only(practice: Practice) -> None:
    secret = sign_in("  UNLU@example.com ")

    user = sessions.signed_in(secret)
    assert user is not None
    assert user.id == practice.unlu.user_id
    assert secret not in str(list(db.session.execute(select(Session.__table__))))


@pytest.mark.bar("A6")
def test_unknown_wrong_and_disabled_get_the_same_sentence(practice: Practice) -> None:
    assert practice.anna.user_id is not None
    accounts.disable_user(practice.ada, practice.anna.user_id)
    said = set()
    for email, password in (
        ("nobody@example.com", PASSWORD),
        ("unlu@example.com", "wrong password, alas"),
        ("anna@example.com", PASSWORD),
    ):
        with pytest.raises(Invalid) as refused:
            sign_in(email, password)
        said.add(refused.value.sentence)

    assert len(said) == 1


@pytest.mark.bar("A6")
def test_guessing_is_slowed_and_others_are_not_locked_out(practice: Practice, now: Clock) -> None:
    for _ in range(5):
        with pytest.raises(Invalid):
            sign_in(password="wrong password, alas")

    with pytest.raises(Throttled):
        sign_in()
    assert signing.sign_in("unlu@example.com", PASSWORD, "198.51.100.9")
    assert sign_in("anna@example.com")

    now.move(minutes=15)
    assert sign_in()


@pytest.mark.bar("A2")
def test_a_copied_cookie_dies_at_sign_out(practice: Practice) -> None:
    secret = sign_in()

    sessions.sign_out(secret)

    assert sessions.signed_in(secret) is None


@pytest.mark.bar("A3", "D7")
def test_idle_and_old_sessions_are_over(practice: Practice, now: Clock) -> None:
    secret = sign_in()
    now.move(minutes=15)
    assert sessions.signed_in(secret) is not None
    now.move(seconds=1)
    assert sessions.signed_in(secret) is None

    busy = sign_in()
    for _ in range(72):
        now.move(minutes=10)
        sessions.seen(busy)
    assert sessions.signed_in(busy) is not None
    now.move(seconds=1)
    assert sessions.signed_in(busy) is None


@pytest.mark.bar("A2")
def test_a_new_password_ends_every_session(practice: Practice) -> None:
    before = [sign_in(), sign_in()]

    accounts.change_own_password(practice.unlu, PASSWORD, "another long password")

    assert [sessions.signed_in(secret) for secret in before] == [None, None]
    with pytest.raises(Invalid):
        sign_in()
    assert sign_in(password="another long password")


@pytest.mark.bar("A9")
def test_the_current_password_is_asked_for(practice: Practice) -> None:
    with pytest.raises(Invalid):
        accounts.change_own_password(practice.unlu, "wrong password, alas", "another long password")

    assert sign_in()


@pytest.mark.bar("A2", "Z3")
def test_a_disabled_user_is_out_at_once_and_can_come_back(practice: Practice) -> None:
    secret = sign_in()
    assert practice.unlu.user_id is not None

    accounts.disable_user(practice.ada, practice.unlu.user_id)
    assert sessions.signed_in(secret) is None

    accounts.enable_user(practice.ada, practice.unlu.user_id)
    assert sessions.signed_in(secret) is None
    assert sign_in()


@pytest.mark.bar("Z4")
def test_the_last_administrator_stays(practice: Practice) -> None:
    assert practice.ada.user_id is not None
    with pytest.raises(Refused):
        accounts.disable_user(practice.ada, practice.ada.user_id)
    with pytest.raises(Refused):
        accounts.change_user(practice.ada, practice.ada.user_id, name="Ada", role=Role.CLINICIAN)


@pytest.mark.bar("Z4")
def test_two_administrators_cannot_remove_each_other_at_once(
    app: Flask, practice: Practice
) -> None:
    bea = accounts.create_user(
        practice.ada,
        email="bea@example.com",
        name="Bea",
        role=Role.ADMINISTRATOR,
        password=PASSWORD,
    )
    pairs = [(practice.ada, bea.id), (actor_for(bea), practice.ada.user_id)]
    db.session.rollback()
    refused = []

    def remove(actor: object, user_id: int) -> None:
        with app.app_context():
            try:
                accounts.disable_user(actor, user_id)  # type: ignore[arg-type]
            except SyncError as error:
                refused.append(error)

    threads = [threading.Thread(target=remove, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    active = select(User).where(User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None))
    assert len(db.session.scalars(active).all()) == 1


def test_only_administrators_manage_people(practice: Practice) -> None:
    for actor in (practice.sam, practice.unlu):
        with pytest.raises(Refused):
            accounts.create_user(
                actor, email="x@example.com", name="X", role=Role.CLINICIAN, password=PASSWORD
            )
        with pytest.raises(Refused):
            accounts.disable_user(actor, 1)


def test_a_clinician_comes_with_a_calendar(practice: Practice) -> None:
    user = accounts.create_user(
        practice.ada, email="li@example.com", name="Li Wei", role=Role.CLINICIAN, password=PASSWORD
    )

    assert accounts.clinician_by_email("LI@example.com").id == actor_for(user).clinician_id
    with pytest.raises(Conflict):
        accounts.create_user(
            practice.ada,
            email="Li@Example.com",
            name="Li",
            role=Role.SCHEDULER,
            password=PASSWORD,
        )


def test_a_scheduler_is_no_clinician(practice: Practice) -> None:
    with pytest.raises(NotFound):
        accounts.clinician_by_email("sam@example.com")


@pytest.mark.bar("M1")
@pytest.mark.parametrize(
    "email",
    ["", "anna", "anna@", "a@b@c", "anna@example.com\r\nBcc: x@y.example", "a@x.com, b@x.com"],
)
def test_what_is_no_single_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid):
        accounts.checked_email(email)


@pytest.mark.bar("M1")
@pytest.mark.parametrize("email", ["аnna@example.com", "ａnna@example.com", "ännä@example.com"])
def test_an_address_with_look_alikes_is_refused(email: str) -> None:
    assert accounts.checked_email("anna@example.com") == "anna@example.com"

    with pytest.raises(Invalid) as refused:
        accounts.checked_email(email)

    assert refused.value.sentence == "Enter one e-mail address, such as anna@example.com."


@pytest.mark.parametrize("name", ["\u200b", "\u200b \u2060\ufeff", "\u00ad", "\u3164", "\u2800"])
def test_a_name_that_shows_nothing_is_refused(name: str) -> None:
    assert practices.checked_name(f" Zo\u00eb{name}Li") == f"Zo\u00eb{name}Li"

    with pytest.raises(Invalid) as refused:
        practices.checked_name(name)

    assert refused.value.sentence == "A name must have 1 to 100 characters."


@pytest.mark.bar("A2", "Z3")
def test_whoever_lost_the_role_while_asking_makes_nobody_an_administrator(
    practice: Practice,
) -> None:
    ida = accounts.create_user(
        practice.ada,
        email="ida@example.com",
        name="Ida",
        role=Role.ADMINISTRATOR,
        password=PASSWORD,
    )
    as_she_asked = actor_for(ida)
    accounts.change_user(practice.ada, ida.id, name="Ida", role=Role.SCHEDULER)

    with pytest.raises(Refused):
        accounts.change_user(as_she_asked, ida.id, name="Ida", role=Role.ADMINISTRATOR)
    with pytest.raises(Refused):
        accounts.create_user(
            as_she_asked, email="eve@example.com", name="Eve", role=Role.ADMINISTRATOR
        )

    roles = {user.email: user.role for user in accounts.users()}
    assert (roles["ida@example.com"], "eve@example.com" in roles) == (Role.SCHEDULER, False)


@pytest.mark.bar("A2", "A8")
def test_a_new_password_from_an_administrator_is_not_overwritten_by_who_knew_the_old_one(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the old password's proof and the new one's writing, Ada sets another."""
    really = passwords.hashed

    def while_ada_is_quicker(password: str) -> str:
        monkeypatch.setattr(passwords, "hashed", really)
        accounts.set_password(practice.ada, practice.unlu.user_id or 0, "rescued by Ada herself")
        return really(password)

    monkeypatch.setattr(passwords, "hashed", while_ada_is_quicker)
    with pytest.raises(Conflict):
        accounts.change_own_password(practice.unlu, PASSWORD, "taken by a stranger")

    assert sign_in(password="rescued by Ada herself")
    with pytest.raises(Invalid):
        sign_in(password="taken by a stranger")


@pytest.mark.bar("Z1")
def test_who_saw_another_role_changes_nothing(practice: Practice) -> None:
    sam = practice.sam.user_id or 0
    seen = accounts.shown(accounts.user(sam))
    accounts.change_user(practice.ada, sam, name="Sam Rivera", role=Role.ADMINISTRATOR, before=seen)

    with pytest.raises(Conflict) as refused:
        accounts.change_user(practice.ada, sam, name="Sam", role=Role.SCHEDULER, before=seen)

    assert refused.value.sentence == accounts.STALE
    assert accounts.shown(accounts.user(sam)).role == "administrator"
