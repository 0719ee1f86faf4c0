"""The second step: an app's codes and recovery codes, each accepted once."""

import re
from base64 import b32encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from cryptography.exceptions import InvalidTag
from flask import Flask
from sqlalchemy import func, select

from sync_ui.errors import Conflict, Invalid, Refused, SyncError, Throttled
from sync_ui.models import (
    AuditEntry,
    Authenticator,
    RecoveryCode,
    db,
)
from sync_ui.services import (
    accounts,
    enrolment,
    factors,
    sealing,
    second_step,
    sessions,
    signing,
)
from tests.practice import PASSWORD, Clock, Practice
from tests.second_factors import (
    NETWORK,
    alone,
    by_passkey,
    half_session,
    number_of,
    opens,
    with_app,
    with_passkey,
)
from tests.security_key import app_code

# RFC 6238, appendix B: the last six of the eight digits for SHA-1.
RFC = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.bar("A7")
@pytest.mark.parametrize(("moment", "code"), RFC.items())
def test_the_codes_are_those_of_the_standard(
    practice: Practice, now: Clock, moment: int, code: str
) -> None:
    secret = b32encode(b"12345678901234567890").decode()
    now.set(datetime.fromtimestamp(moment, UTC))
    sealed = sealing.seal(secret, factors.bound_to(1))
    app = Authenticator(user_id=1, secret=sealed, last_step=0)

    assert factors.step_of(app, code) == moment // 30
    assert app_code(secret, now()) == code


@pytest.mark.bar("A7")
def test_an_app_counts_only_once_its_first_code_has_come_back(
    practice: Practice, now: Clock
) -> None:
    enrolment.begin_app(practice.unlu)
    secret = enrolment.waiting_app(practice.unlu)
    assert secret is not None
    assert (len(secret), factors.has_any(number_of(practice.unlu))) == (32, False)
    assert opens(half_session())

    with pytest.raises(Invalid):
        enrolment.confirm_app(practice.unlu, "", app_code(secret, now() + timedelta(hours=1)))
    assert not factors.has_any(number_of(practice.unlu))
    codes = enrolment.confirm_app(practice.unlu, "", app_code(secret, now()))

    assert factors.has_any(number_of(practice.unlu))
    assert not opens(half_session())
    assert len(set(codes)) == 10
    assert enrolment.waiting_app(practice.unlu) is None  # never shown again
    with pytest.raises(Conflict):
        enrolment.begin_app(practice.unlu)


@pytest.mark.bar("A7")
def test_the_code_that_added_the_app_does_not_sign_in(practice: Practice, now: Clock) -> None:
    enrolment.begin_app(practice.unlu)
    secret = enrolment.waiting_app(practice.unlu) or ""
    enrolment.confirm_app(practice.unlu, "", app_code(secret, now()))
    half = half_session()

    with pytest.raises(Invalid):
        second_step.by_code(half, app_code(secret, now()))
    now.move(seconds=30)

    assert opens(second_step.by_code(half, app_code(secret, now())))


@pytest.mark.bar("A7")
@pytest.mark.parametrize(("steps", "taken"), [(-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_a_code_counts_one_step_before_and_after_its_own(
    practice: Practice, now: Clock, steps: int, taken: int
) -> None:
    secret, _ = with_app(practice.unlu, now)
    now.move(minutes=5)
    code = app_code(secret, now() + timedelta(seconds=30 * steps))

    assert [_is_taken(half_session(), code)] == [bool(taken)]


def _is_taken(half: str, code: str) -> bool:
    try:
        return opens(second_step.by_code(half, code))
    except Invalid:
        return False


@pytest.mark.bar("A7")
def test_a_code_works_once_and_no_earlier_one_after_it(practice: Practice, now: Clock) -> None:
    secret, _ = with_app(practice.unlu, now)
    earlier, code = app_code(secret, now() - timedelta(seconds=30)), app_code(secret, now())

    taken = [_is_taken(half_session(), each) for each in (code, code, earlier)]

    assert taken == [True, False, False]


@pytest.mark.bar("A7")
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_two_uses_of_a_code_at_once_exactly_one_wins(
    app: Flask, practice: Practice, now: Clock, kind: str
) -> None:
    secret, codes = with_app(practice.unlu, now)
    code = app_code(secret, now()) if kind == "app" else codes[0]
    halves = [half_session() for _ in range(4)]
    won: list[str] = []
    lost: list[SyncError] = []
    together = Barrier(len(halves))

    def use(half: str) -> None:
        with app.app_context():
            together.wait()
            try:
                won.append(second_step.by_code(half, code))
            except SyncError as error:
                lost.append(error)
            finally:
                db.session.remove()

    threads = [Thread(target=use, args=[half]) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(won), [type(error) for error in lost]) == (1, [Invalid] * 3)
    assert opens(won[0])


@pytest.mark.bar("A6", "A7")
def test_wrong_codes_are_slowed_down_for_the_account_and_nothing_else_is(
    practice: Practice, now: Clock
) -> None:
    secret, codes = with_app(practice.unlu, now)
    key = with_passkey(practice.unlu)
    for _ in range(5):
        with pytest.raises(Invalid):
            second_step.by_code(half_session(), wrong_code(secret, now))

    with pytest.raises(Throttled):
        second_step.by_code(half_session(), app_code(secret, now()))
    assert opens(by_passkey(half_session(), key))
    assert opens(alone(key))
    assert opens(second_step.by_code(half_session(), codes[0]))


def wrong_code(secret: str, now: Clock) -> str:
    around = {app_code(secret, now() + timedelta(seconds=30 * step)) for step in (-1, 0, 1)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in around)


@pytest.mark.bar("A6", "A7")
def test_a_million_codes_cannot_be_tried(practice: Practice, now: Clock) -> None:
    """Whoever tries as often as allowed for a day, from wherever they like."""
    secret, _ = with_app(practice.unlu, now)
    begin, tries = now(), 0
    while now() < begin + timedelta(days=1):
        half = half_session()
        try:
            second_step.by_code(half, wrong_code(secret, now))
        except Invalid:
            tries += 1
        except Throttled:
            now.move(hours=1)

    assert tries < 40  # of three codes in a million that are right


@pytest.mark.bar("A7")
def test_a_recovery_code_works_once_however_it_is_typed(practice: Practice, now: Clock) -> None:
    _, codes = with_app(practice.unlu, now)
    assert all(re.fullmatch(r"[2-9a-z]{5}(-[2-9a-z]{5}){3}-[2-9a-z]{6}", code) for code in codes)

    typed = f" {codes[0].upper().replace('-', ' ')} "
    taken = [_is_taken(half_session(), code) for code in (typed, codes[0], codes[1])]

    assert taken == [True, False, True]
    assert factors.held(number_of(practice.unlu)).codes_left == 8


@pytest.mark.bar("A6", "A7")
def test_wrong_recovery_codes_are_slowed_down_and_record_nothing_more(
    practice: Practice, now: Clock
) -> None:
    _, codes = with_app(practice.unlu, now)
    half = half_session()
    for _ in range(10):
        assert not _is_taken(half, "no such code")
    before = _entries()

    for code in ("no such code", codes[0]):
        with pytest.raises(Throttled):
            second_step.by_code(half, code)

    assert _entries() == before
    assert opens(second_step.by_code(half_session(), codes[0]))
    now.move(seconds=1)
    assert opens(second_step.by_code(half, codes[1]))


def _entries() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(AuditEntry.id))) or 0


@pytest.mark.bar("A7")
def test_new_recovery_codes_void_the_former_ones(practice: Practice, now: Clock) -> None:
    _, former = with_app(practice.unlu, now)
    assert _is_taken(half_session(), former[0])

    fresh = enrolment.draw_codes(practice.unlu)

    assert [_is_taken(half_session(), code) for code in (former[1], fresh[0])] == [False, True]


@pytest.mark.bar("A7")
def test_a_recovery_code_of_somebody_else_does_not_count(practice: Practice, now: Clock) -> None:
    with_app(practice.unlu, now)
    _, annas = with_app(practice.anna, now)

    assert not _is_taken(half_session("unlu@example.com"), annas[0])
    assert _is_taken(half_session("anna@example.com"), annas[0])


@pytest.mark.bar("A7")
def test_secrets_and_codes_are_not_in_the_database_as_they_are(
    practice: Practice, now: Clock
) -> None:
    secret, codes = with_app(practice.unlu, now)
    db.session.rollback()
    app = db.session.scalars(select(Authenticator)).one()
    digests = set(db.session.scalars(select(RecoveryCode.digest)))

    assert factors.secret_of(app) == secret
    assert secret.encode() not in app.secret
    assert digests.isdisjoint({*codes, *(code.replace("-", "") for code in codes)})
    moved = Authenticator(user_id=number_of(practice.anna), secret=app.secret)
    with pytest.raises(InvalidTag):
        factors.secret_of(moved)


@pytest.mark.bar("A4", "A7")
def test_the_whole_session_has_another_secret_and_the_half_one_is_gone(
    practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    half = half_session()

    whole = second_step.by_code(half, app_code(secret, now()))

    assert (half != whole, opens(half), opens(whole)) == (True, False, True)
    assert sessions.half(half) is None
    with pytest.raises(Refused):
        second_step.by_code(half, app_code(secret, now() + timedelta(seconds=30)))


@pytest.mark.bar("A7")
def test_a_half_session_waits_ten_minutes(practice: Practice, now: Clock) -> None:
    secret, _ = with_app(practice.unlu, now)
    early, late = half_session(), half_session()
    now.move(minutes=10)
    assert opens(second_step.by_code(early, app_code(secret, now())))

    now.move(seconds=31)

    with pytest.raises(Refused):
        second_step.by_code(late, app_code(secret, now()))


@pytest.mark.bar("A7")
def test_sessions_from_before_the_first_factor_owe_it(practice: Practice, now: Clock) -> None:
    here, elsewhere = half_session(), half_session()
    assert (opens(here), opens(elsewhere)) == (True, True)
    enrolment.begin_app(practice.unlu)
    secret = enrolment.waiting_app(practice.unlu) or ""

    enrolment.confirm_app(practice.unlu, here, app_code(secret, now()))

    assert (opens(here), opens(elsewhere)) == (True, False)


def _set_by_an_administrator(practice: Practice) -> None:
    accounts.set_password(practice.ada, number_of(practice.unlu), "another quite long password")


def _changed_by_oneself(practice: Practice) -> None:
    accounts.change_own_password(practice.unlu, PASSWORD, "another quite long password")


@pytest.mark.bar("A7", "A8")
@pytest.mark.parametrize("reset", [_set_by_an_administrator, _changed_by_oneself])
def test_a_new_password_drops_no_second_factor(
    practice: Practice, now: Clock, reset: Callable[[Practice], None]
) -> None:
    secret, codes = with_app(practice.unlu, now)
    before = factors.held(number_of(practice.unlu))
    assert (before.number, before.codes_left) == (1, 10)

    reset(practice)

    after = factors.held(number_of(practice.unlu))
    assert (after.number, after.codes_left) == (1, 10)
    half = signing.sign_in("unlu@example.com", "another quite long password", NETWORK)
    assert not opens(half)
    assert opens(second_step.by_code(half, app_code(secret, now())))
    assert codes
