"""Losing second factors, and who must have one."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from sync_ui.domain.roles import Role
from sync_ui.errors import Invalid, NotFound, Refused
from sync_ui.models import (
    Challenge,
    db,
)
from sync_ui.services import (
    enrolment,
    factors,
    passkeys,
    second_step,
    upkeep,
)
from sync_ui.services.access import COMMAND
from sync_ui.services.audit import Action
from tests.practice import Clock, Practice
from tests.second_factors import (
    alone,
    half_session,
    latest_entry,
    number_of,
    opens,
    with_app,
    with_passkey,
)
from tests.security_key import app_code


def test_the_last_factor_of_who_must_have_one_stays(practice: Practice, now: Clock) -> None:
    with_app(practice.unlu, now)
    key = with_passkey(practice.unlu)
    factors.change_policy(practice.ada, roles=frozenset({Role.CLINICIAN}), idle_minutes=15)

    enrolment.remove_app(practice.unlu)
    (passkey,) = factors.held(number_of(practice.unlu)).passkeys
    with pytest.raises(Refused):
        enrolment.remove_passkey(practice.unlu, passkey.id)
    assert opens(alone(key))
    factors.change_policy(practice.ada, roles=frozenset(), idle_minutes=15)
    enrolment.remove_passkey(practice.unlu, passkey.id)

    held = factors.held(number_of(practice.unlu))
    assert (held.any, held.codes_left) == (False, 0)
    assert opens(half_session())


def test_another_ones_passkey_is_not_found(practice: Practice) -> None:
    with_passkey(practice.anna)
    (passkey,) = factors.held(number_of(practice.anna)).passkeys

    with pytest.raises(NotFound):
        enrolment.remove_passkey(practice.unlu, passkey.id)
    enrolment.remove_passkey(practice.anna, passkey.id)


@pytest.mark.bar("A7")
def test_lost_factors_are_taken_away_and_the_password_stays(practice: Practice, now: Clock) -> None:
    secret, _ = with_app(practice.unlu, now)
    with_passkey(practice.unlu)
    whole = second_step.by_code(half_session(), app_code(secret, now()))
    half = half_session()
    with pytest.raises(Refused):
        enrolment.forget(practice.sam, number_of(practice.unlu))
    assert opens(whole)

    enrolment.forget(practice.ada, number_of(practice.unlu))

    assert (opens(whole), opens(half)) == (False, False)
    held = factors.held(number_of(practice.unlu))
    assert (held.any, held.codes_left) == (False, 0)
    assert opens(half_session())


def test_the_command_takes_them_away_and_the_audit_says_who(
    practice: Practice, now: Clock, command: Callable[..., str]
) -> None:
    with_app(practice.ada, now)
    assert "no user" in command("user", "forget-factors", "nobody@example.com", fails=True)
    assert factors.has_any(number_of(practice.ada))

    assert command("user", "forget-factors", "Ada@example.com") == "ada@example.com"

    db.session.rollback()
    assert not factors.has_any(number_of(practice.ada))
    last = latest_entry()
    assert (last.actor, last.action, last.subject) == (
        COMMAND.word,
        Action.FACTORS_FORGOTTEN,
        f"user:{practice.ada.user_id}",
    )


def test_the_check_counts_who_has_one(
    practice: Practice, now: Clock, command: Callable[..., str]
) -> None:
    with_app(practice.unlu, now)
    with_passkey(practice.unlu)
    with_passkey(practice.anna)

    assert factors.counted() == {
        Role.ADMINISTRATOR: (1, 0),
        Role.SCHEDULER: (1, 0),
        Role.CLINICIAN: (2, 2),
    }


@pytest.mark.parametrize("minutes", [4, 61])
def test_the_idle_limit_has_limits(practice: Practice, minutes: int) -> None:
    with pytest.raises(Invalid):
        factors.change_policy(practice.ada, roles=frozenset(), idle_minutes=minutes)


def test_old_challenges_are_cleaned_up(practice: Practice, now: Clock) -> None:
    passkeys.offer_use()
    now.move(minutes=6)

    upkeep.clean_up()

    assert db.session.scalar(select(func.count()).select_from(Challenge)) == 0
