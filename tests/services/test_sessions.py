"""Sessions: how long they live, and everything that ends them."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import NotFound, Refused, SyncError
from sync_ui.models import Mail, Session, User, db, transaction
from sync_ui.models import Practice as PracticeRow
from sync_ui.services import (
    accounts,
    codes,
    links,
    mail,
    own_email,
    sessions,
    signing,
    tickets,
    upkeep,
)
from sync_ui.services.access import actor_for
from sync_ui.services.sessions import NOWHERE, Seat
from tests.practice import PASSWORD, Clock, Practice

NETWORK = "203.0.113.7"


def sign_in(email: str = "unlu@example.com", *, seat: Seat = NOWHERE) -> str:
    return signing.sign_in(email, PASSWORD, NETWORK, seat=seat)


def alive(*secrets: str) -> list[bool]:
    return [sessions.signed_in(secret) is not None for secret in secrets]


@pytest.mark.bar("A3")
@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_a_session_is_idle_for_as_long_as_the_practice_says(
    practice: Practice, now: Clock, minutes: int
) -> None:
    with transaction() as session:
        session.get_one(PracticeRow, 1).idle_minutes = minutes
    secret = sign_in()
    assert sessions.seconds_left(secret) == minutes * 60
    now.move(minutes=minutes)
    assert alive(secret) == [True]

    now.move(seconds=1)

    assert (alive(secret), sessions.seconds_left(secret)) == ([False], 0)


@pytest.mark.bar("A3")
def test_a_shorter_limit_holds_for_those_who_are_signed_in(practice: Practice, now: Clock) -> None:
    secret = sign_in()
    now.move(minutes=6)
    assert alive(secret) == [True]

    with transaction() as session:
        session.get_one(PracticeRow, 1).idle_minutes = 5

    assert alive(secret) == [False]


@pytest.mark.bar("A3", "D7")
@pytest.mark.parametrize("swept", [True, False], ids=["swept", "used"])
def test_a_clock_that_is_set_back_keeps_no_session_alive_and_ends_none(
    practice: Practice, now: Clock, swept: bool
) -> None:
    secret = sign_in()
    now.move(minutes=10)

    now.move(days=-1)
    if swept:
        upkeep.sweep()
    else:
        sessions.seen(secret)

    assert alive(secret) == [True]
    assert sessions.seconds_left(secret) in {15 * 60, 15 * 60 - 1}
    now.move(minutes=15, seconds=2)
    assert alive(secret) == [False]


@pytest.mark.bar("A3", "D7")
def test_twelve_hours_are_twelve_hours_whatever_the_clock_does(
    practice: Practice, now: Clock
) -> None:
    secret = sign_in()
    for _ in range(35):
        now.move(minutes=10)
        sessions.seen(secret)
    now.move(hours=-3)
    sessions.seen(secret)

    lived = timedelta(minutes=350)
    while alive(secret) == [True]:
        now.move(minutes=5)
        sessions.seen(secret)
        lived += timedelta(minutes=5)

    assert lived == timedelta(hours=12, minutes=5)


@pytest.mark.bar("A2")
def test_ones_sessions_are_listed_in_words(practice: Practice, now: Clock) -> None:
    phone = sign_in(seat=Seat("Safari on iPhone", "the internet, 203.0.113.0/24"))
    now.move(minutes=3)
    desk = sign_in(seat=Seat("Firefox on Windows", "the practice's own network"))
    sign_in("anna@example.com")

    found = sessions.of_actor(practice.unlu)

    assert [(each.browser, sessions.is_of(each, phone)) for each in found] == [
        ("Firefox on Windows", False),
        ("Safari on iPhone", True),
    ]
    now.move(minutes=13)
    assert [sessions.is_of(each, desk) for each in sessions.of_actor(practice.unlu)] == [True]


@pytest.mark.bar("A2")
def test_one_of_ones_sessions_is_ended_and_nobody_elses(practice: Practice) -> None:
    here, there, annas = sign_in(), sign_in(), sign_in("anna@example.com")
    id_of = {
        secret: each.id
        for each in db.session.scalars(select(Session))
        for secret in (here, there, annas)
        if sessions.is_of(each, secret)
    }

    sessions.end(practice.unlu, id_of[there])
    for gone in (id_of[there], id_of[annas]):
        with pytest.raises(NotFound):
            sessions.end(practice.unlu, gone)

    assert alive(here, there, annas) == [True, False, True]


@pytest.mark.bar("A2")
def test_all_others_are_ended(practice: Practice) -> None:
    here, there, annas = sign_in(), sign_in(), sign_in("anna@example.com")

    assert sessions.end_others(practice.unlu, here) == 1

    assert alive(here, there, annas) == [True, False, True]


@pytest.mark.bar("A2")
def test_an_administrator_ends_a_users_sessions_or_everyones(practice: Practice) -> None:
    unlu, annas, adas = (sign_in(f"{name}@example.com") for name in ("unlu", "anna", "ada"))
    with pytest.raises(Refused):
        sessions.end_of_user(practice.sam, practice.unlu.user_id or 0)
    with pytest.raises(Refused):
        sessions.end_of_everyone(practice.sam)

    sessions.end_of_user(practice.ada, practice.unlu.user_id or 0)
    assert alive(unlu, annas, adas) == [False, True, True]
    sessions.end_of_everyone(practice.ada)
    assert alive(unlu, annas, adas) == [False, False, False]


def _disabled(p: Practice) -> None:
    accounts.disable_user(p.ada, p.unlu.user_id or 0)


def _given_a_password(p: Practice) -> None:
    accounts.set_password(p.ada, p.unlu.user_id or 0, "heron copper lattice")


def _given_a_role(p: Practice) -> None:
    accounts.change_user(p.ada, p.unlu.user_id or 0, name="Dr. Ünlü", role=Role.SCHEDULER)


def _let_in_by_a_ticket(p: Practice) -> None:
    text, _ = tickets.make(p.ada, p.unlu.user_id or 0)
    tickets.spend(text, "heron copper lattice")


def _changing_the_password(p: Practice) -> None:
    accounts.change_own_password(p.unlu, PASSWORD, "heron copper lattice")


@pytest.mark.bar("A2")
@pytest.mark.parametrize(
    "happens",
    [_disabled, _given_a_password, _given_a_role, _let_in_by_a_ticket, _changing_the_password],
    ids=lambda happens: happens.__name__.strip("_"),
)
def test_sessions_end_when_their_user_is(
    practice: Practice, happens: Callable[[Practice], None]
) -> None:
    before = [sign_in(), sign_in()]
    annas = sign_in("anna@example.com")
    assert alive(*before, annas) == [True, True, True]

    happens(practice)

    assert alive(*before, annas) == [False, False, True]


@pytest.mark.bar("A2")
def test_another_name_or_address_ends_nothing(practice: Practice) -> None:
    secret = sign_in()

    accounts.change_user(
        practice.ada, practice.unlu.user_id or 0, name="Dr. U. Ünlü", role=Role.CLINICIAN
    )
    own_email.change(practice.unlu, "dr.unlu@example.com")

    assert alive(secret) == [True]


@pytest.mark.bar("Z3")
def test_whoever_is_put_out_has_no_door_left(practice: Practice) -> None:
    anna = practice.anna.user_id or 0
    secret = sign_in("anna@example.com")
    link = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.INITIALS)
    code, _ = codes.make(practice.anna, link.id)
    ticket, _ = tickets.make(practice.ada, anna)
    mail.owe_link(practice.anna, link.id)
    tickets.invite(practice.ada, anna)
    assert codes.look_at(code, None).calendar_name
    assert _owed_to(anna) == 2

    accounts.disable_user(practice.ada, anna)

    assert alive(secret) == [False]
    assert links.address(link) is None or not links.is_live(link)
    assert _owed_to(anna) == 0
    for look in (lambda: codes.look_at(code, None), lambda: tickets.look_at(ticket)):
        with pytest.raises(NotFound):
            look()
    with pytest.raises(SyncError):
        sign_in("anna@example.com")


def _owed_to(user_id: int) -> int:
    db.session.rollback()
    owed = select(Mail.id).where(Mail.user_id == user_id, Mail.sent_at.is_(None))
    return len(db.session.scalars(owed).all())


@pytest.mark.bar("Z4")
@pytest.mark.parametrize("how", ["disable", "lower"])
def test_of_two_administrators_who_remove_each_other_at_once_one_stays(
    app: Flask, practice: Practice, how: str
) -> None:
    bea = accounts.create_user(
        practice.ada, email="bea@example.com", name="Bea", role=Role.ADMINISTRATOR
    )
    pairs = [(practice.ada, bea.id), (actor_for(bea), practice.ada.user_id or 0)]
    db.session.rollback()
    refused = []

    def remove(actor: object, user_id: int) -> None:
        with app.app_context():
            try:
                if how == "disable":
                    accounts.disable_user(actor, user_id)  # type: ignore[arg-type]
                else:
                    accounts.change_user(actor, user_id, name="Out", role=Role.SCHEDULER)  # type: ignore[arg-type]
            except SyncError as error:
                refused.append(error)

    threads = [threading.Thread(target=remove, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    active = select(User.id).where(User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None))
    assert (len(refused), len(db.session.scalars(active).all())) == (1, 1)
