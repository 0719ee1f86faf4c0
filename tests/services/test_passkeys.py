"""Passkeys: registered and used at our own address, once for each question."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from sync_ui.config import Config
from sync_ui.errors import Conflict, Invalid, Throttled
from sync_ui.models import (
    AuditEntry,
    Challenge,
    Session,
    db,
)
from sync_ui.services import (
    accounts,
    enrolment,
    factors,
    passkeys,
    second_step,
)
from sync_ui.services.audit import Action
from tests.practice import Clock, Practice
from tests.second_factors import (
    NETWORK,
    add_passkey,
    alone,
    by_passkey,
    half_session,
    latest_entry,
    number_of,
    opens,
    with_passkey,
)
from tests.security_key import SecurityKey


@pytest.mark.bar("A7")
def test_a_passkey_is_a_second_factor_and_a_whole_sign_in(practice: Practice, now: Clock) -> None:
    key = with_passkey(practice.unlu)
    half = half_session()
    assert not opens(half)

    now.move(minutes=1)

    assert opens(by_passkey(half, key))
    assert opens(alone(key))
    held = factors.held(number_of(practice.unlu))
    assert [(p.name, p.used_at, p.sign_count) for p in held.passkeys] == [("Blue key", now(), 2)]
    assert latest_entry().detail == {"second_factor": "passkey"}


@pytest.mark.bar("A7")
def test_a_passkey_is_asked_for_with_the_configured_name_and_a_person(practice: Practice) -> None:
    user = accounts.user(number_of(practice.unlu))
    made, used = (
        json.loads(options)
        for options, _ in (passkeys.offer_registration(user), passkeys.offer_use())
    )

    assert made["rp"]["id"] == used["rpId"] == "calendar.example.com"
    assert made["authenticatorSelection"]["residentKey"] == "preferred"
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert used["userVerification"] == "required"
    assert "allowCredentials" not in used or used["allowCredentials"] == []
    assert made["excludeCredentials"] == []


def _of_another_site(key: SecurityKey, options: str) -> str:
    return replace(key, origin="https://calendar.example.com.evil.example").use(options)


def _for_another_site(key: SecurityKey, options: str) -> str:
    return key.use(json.dumps(json.loads(options) | {"rpId": "evil.example"}))


def _without_asking_who_holds_it(key: SecurityKey, options: str) -> str:
    return replace(key, verifies=False).use(options)


def _by_another_key(key: SecurityKey, options: str) -> str:
    return replace(SecurityKey(), id=key.id, handle=key.handle).use(options)


def _as_somebody_else(key: SecurityKey, options: str) -> str:
    return replace(key, handle=b"user-1").use(options)


def _as_nobody(key: SecurityKey, options: str) -> str:
    return replace(key, handle=None).use(options)


def _of_another_challenge(key: SecurityKey, options: str) -> str:
    other, _ = passkeys.offer_use()
    return key.use(other)


def _by_a_copy_that_lags_behind(key: SecurityKey, options: str) -> str:
    return replace(key, count=key.count - 1).use(options)


def _by_an_unknown_key(key: SecurityKey, options: str) -> str:
    return SecurityKey(handle=key.handle).use(options)


def _with_a_new_passkey(key: SecurityKey, options: str) -> str:
    asked = json.loads(options)
    return key.make(json.dumps(asked | {"rp": {"id": asked["rpId"]}, "user": {"id": "dXNlci0z"}}))


ATTEMPTS = [
    _of_another_site,
    _for_another_site,
    _without_asking_who_holds_it,
    _by_another_key,
    _as_somebody_else,
    _as_nobody,
    _of_another_challenge,
    _by_a_copy_that_lags_behind,
    _by_an_unknown_key,
    _with_a_new_passkey,
    *(lambda _, __, sent=sent: sent for sent in ("", "{}", "[]", "null", "no JSON", "x" * 20_000)),
    lambda _, __: '{"id": "\\u0000", "rawId": "a", "type": "public-key", "response": {}}',
    lambda key, options: key.use(options).replace('"signature": "', '"signature": "AAAA'),
    lambda key, options: key.use(options).replace('"userHandle": "', '"userHandle": "é'),
]


@pytest.mark.bar("A7")
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.__name__.strip("_<>"))
def test_no_other_answer_than_the_passkeys_own_signs_in(
    practice: Practice, attempt: Callable[[SecurityKey, str], str]
) -> None:
    key = with_passkey(practice.unlu)
    assert opens(alone(key))
    count = _sessions()
    options, challenge = passkeys.offer_use()

    with pytest.raises(Invalid) as caught:
        second_step.sign_in(challenge, attempt(key, options), NETWORK)

    assert caught.value.sentence == passkeys.NOT_TAKEN
    assert _sessions() == count
    assert latest_entry().action == Action.SECOND_STEP_FAILED


def _sessions() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Session.id))) or 0


@pytest.mark.bar("A7")
def test_a_challenge_is_answered_once_and_within_five_minutes(
    practice: Practice, now: Clock
) -> None:
    key = with_passkey(practice.unlu)
    options, challenge = passkeys.offer_use()
    late_options, late = passkeys.offer_use()
    now.move(minutes=5)
    answer = key.use(options)

    assert opens(second_step.sign_in(challenge, answer, NETWORK))
    with pytest.raises(Invalid):
        second_step.sign_in(challenge, answer, NETWORK)
    now.move(seconds=1)
    with pytest.raises(Invalid):
        second_step.sign_in(late, key.use(late_options), NETWORK)
    with pytest.raises(Invalid):
        second_step.sign_in("", key.use(late_options), NETWORK)


@pytest.mark.bar("A7")
def test_a_challenge_is_spent_by_a_wrong_answer_too(practice: Practice) -> None:
    key = with_passkey(practice.unlu)
    options, challenge = passkeys.offer_use()
    with pytest.raises(Invalid):
        second_step.sign_in(challenge, "{}", NETWORK)

    with pytest.raises(Invalid, match="no longer open"):
        second_step.sign_in(challenge, key.use(options), NETWORK)


@pytest.mark.bar("A6", "A7")
def test_strangers_leave_no_more_rows_than_their_network_is_allowed(
    practice: Practice, now: Clock
) -> None:
    key = with_passkey(practice.unlu)
    options, challenge = second_step.offer_sign_in(NETWORK)
    for _ in range(14):
        _, other = second_step.offer_sign_in(NETWORK)
        with pytest.raises(Invalid):
            second_step.sign_in(other, "{}", NETWORK)
    second_step.offer_sign_in(NETWORK)
    before = _rows()

    for _ in range(5):
        with pytest.raises(Throttled):
            second_step.offer_sign_in(NETWORK)
        with pytest.raises(Throttled):
            second_step.sign_in(challenge, key.use(options), NETWORK)

    assert _rows() == before
    assert second_step.offer_sign_in("203.0.113.7")
    now.move(minutes=3)
    assert opens(alone(key))


def _rows() -> list[int]:
    db.session.rollback()
    return [
        db.session.scalar(select(func.count()).select_from(table)) or 0
        for table in (AuditEntry, Challenge)
    ]


@pytest.mark.bar("A6")
def test_who_signs_in_with_a_passkey_slows_nobody_down(practice: Practice) -> None:
    key = with_passkey(practice.unlu)

    assert [opens(alone(key)) for _ in range(40)] == [True] * 40


@pytest.mark.bar("A6", "A7")
def test_a_half_session_asks_for_passkeys_ten_times_and_a_new_one_anew(practice: Practice) -> None:
    key, half = with_passkey(practice.unlu), half_session()
    for _ in range(10):
        second_step.offer_passkey(half)
    before = _rows()

    with pytest.raises(Throttled):
        second_step.offer_passkey(half)

    assert _rows() == before
    assert opens(by_passkey(half_session(), key))


@pytest.mark.bar("A7")
def test_a_challenge_answers_nothing_but_what_it_was_issued_for(practice: Practice) -> None:
    key, half = with_passkey(practice.unlu), half_session()
    for_sign_in, for_step = passkeys.offer_use(), second_step.offer_passkey(half)

    with pytest.raises(Invalid):
        second_step.by_passkey(half, for_sign_in[1], key.use(for_sign_in[0]))
    with pytest.raises(Invalid):
        second_step.sign_in(for_step[1], key.use(for_step[0]), NETWORK)

    assert opens(second_step.by_passkey(half, for_step[1], key.use(for_step[0])))


@pytest.mark.bar("A7")
def test_somebody_elses_passkey_completes_no_half_session(practice: Practice) -> None:
    unlus, annas = with_passkey(practice.unlu), with_passkey(practice.anna)
    half = half_session("unlu@example.com")

    with pytest.raises(Invalid):
        by_passkey(half, annas)

    assert opens(by_passkey(half, unlus))


@pytest.mark.bar("A7", "Z3")
def test_a_disabled_users_passkey_opens_nothing(practice: Practice) -> None:
    key = with_passkey(practice.unlu)
    assert opens(alone(key))

    accounts.disable_user(practice.ada, number_of(practice.unlu))

    with pytest.raises(Invalid):
        alone(key)


@pytest.mark.bar("A7")
def test_a_passkey_is_registered_for_the_one_who_asked(practice: Practice) -> None:
    key = SecurityKey()
    options, challenge = passkeys.offer_registration(accounts.user(number_of(practice.unlu)))
    answer = key.make(options)

    with pytest.raises(Invalid):
        enrolment.add_passkey(practice.anna, "", challenge=challenge, answer=answer, name="Key")
    codes = enrolment.add_passkey(practice.unlu, "", challenge=challenge, answer=answer, name="")

    assert len(codes) == 10
    assert [p.name for p in factors.held(number_of(practice.unlu)).passkeys] == ["Passkey"]


@pytest.mark.bar("A7")
@pytest.mark.parametrize(
    "key", [SecurityKey(origin="https://evil.example"), SecurityKey(verifies=False)]
)
def test_a_passkey_of_another_site_or_of_nobody_sure_is_not_registered(
    practice: Practice, key: SecurityKey
) -> None:
    with pytest.raises(Invalid):
        add_passkey(practice.unlu, key)

    assert not factors.has_any(number_of(practice.unlu))


def test_one_key_is_one_passkey(practice: Practice) -> None:
    key = with_passkey(practice.unlu)

    with pytest.raises(Conflict):
        add_passkey(practice.anna, key)


@pytest.mark.parametrize(
    ("base_url", "possible"),
    [
        ("https://calendar.example.com", True),
        ("https://calendar.example.com:8443", True),
        ("http://localhost:8000", True),
        ("http://calendar.example.com", False),
        ("http://127.0.0.1:8000", False),
        ("https://192.0.2.7", False),
        ("https://[2001:db8::1]", False),
    ],
)
def test_passkeys_are_offered_where_browsers_know_them(
    config: Config, base_url: str, possible: bool
) -> None:
    assert passkeys.possible(replace(config, base_url=base_url)) is possible
