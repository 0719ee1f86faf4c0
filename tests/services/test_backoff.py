"""Guessing is slowed down, and is no way to lock anybody out."""

import threading
from collections import Counter as Tally
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui.errors import Invalid, SyncError, Throttled
from sync_ui.models import SignInFailure, db
from sync_ui.services import backoff, passwords, signing
from tests.practice import PASSWORD, Clock, Practice

pytestmark = pytest.mark.bar("A6")

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
WRONG = "wrong password, alas"


def tried(email: str, password: str = WRONG, network: str = HERE, **more: object) -> str:
    try:
        signing.sign_in(email, password, network, **more)  # type: ignore[arg-type]
    except SyncError as error:
        return type(error).__name__
    return "in"


def test_a_thousand_tries_at_once_are_a_few(
    app: Flask, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []
    fits = passwords.fits

    def watched(password_hash: str, password: str) -> bool:
        verified.append(1)
        return fits(password_hash, password)

    monkeypatch.setattr(passwords, "fits", watched)
    answers: Tally[str] = Tally()
    db.session.rollback()

    def guess() -> None:
        with app.app_context():
            for _ in range(100):
                answers[tried("unlu@example.com")] += 1

    threads = [threading.Thread(target=guess) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {"Invalid": 5, "Throttled": 995}
    assert len(verified) == 5


def test_known_and_unknown_are_slowed_alike(practice: Practice) -> None:
    emails = ("unlu@example.com", "nobody@example.com")

    known, unknown = ([tried(email) for _ in range(7)] for email in emails)

    assert known == unknown == ["Invalid"] * 5 + ["Throttled"] * 2


def test_an_unknown_user_costs_as_much_to_verify(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []

    class Watching:
        def verify(self, password_hash: str, _: str) -> bool:
            verified.append(password_hash)
            return True

    monkeypatch.setattr(passwords, "_hasher", Watching())

    assert tried("nobody@example.com", PASSWORD) == "Invalid"

    assert verified == [passwords.NOBODYS]


def test_whoever_changes_the_address_is_counted_by_network(practice: Practice) -> None:
    answers = [tried(f"nobody{number}@example.com") for number in range(60)]

    assert answers == ["Invalid"] * 50 + ["Throttled"] * 10
    assert tried("unlu@example.com", PASSWORD) == "Throttled"
    assert tried("unlu@example.com", PASSWORD, ELSEWHERE) == "in"


def test_whoever_changes_the_network_is_counted_by_account(practice: Practice) -> None:
    answers = [tried("unlu@example.com", network=f"203.0.113.{n}") for n in range(60)]

    assert answers == ["Invalid"] * 50 + ["Throttled"] * 10
    assert tried("anna@example.com", PASSWORD) == "in"


def test_a_strangers_failures_do_not_lock_the_owners_browser_out(practice: Practice) -> None:
    for number in range(60):
        tried("unlu@example.com", network=f"203.0.113.{number}")
    assert tried("unlu@example.com", PASSWORD, ELSEWHERE) == "Throttled"

    known = {practice.unlu.user_id: "a word"}

    assert tried("unlu@example.com", PASSWORD, ELSEWHERE, devices=known) == "in"


def test_a_known_browser_is_slowed_down_too(practice: Practice) -> None:
    known = {practice.unlu.user_id: "a word"}

    answers = [tried("unlu@example.com", devices=known) for _ in range(7)]

    assert answers == ["Invalid"] * 5 + ["Throttled"] * 2
    assert tried("unlu@example.com", PASSWORD) == "in"


def test_a_browser_known_to_one_user_is_a_stranger_to_another(practice: Practice) -> None:
    for _ in range(6):
        tried("anna@example.com")

    known = {practice.unlu.user_id: "a word"}

    assert tried("anna@example.com", PASSWORD, devices=known) == "Throttled"


def test_the_wait_doubles_up_to_a_quarter_of_an_hour(practice: Practice, now: Clock) -> None:
    for _ in range(5):
        tried("unlu@example.com")
    waits = []
    for _ in range(12):
        waited = 0
        while tried("unlu@example.com") == "Throttled":
            step = max(waited, 1)
            now.move(seconds=step)
            waited += step
        waits.append(waited)

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024]
    now.move(minutes=15)
    assert tried("unlu@example.com", PASSWORD) == "in"


def test_the_right_password_forgives_its_own_failures(practice: Practice) -> None:
    for _ in range(3):
        for _ in range(4):
            assert tried("unlu@example.com") == "Invalid"
        assert tried("unlu@example.com", PASSWORD) == "in"


def test_one_who_signs_in_forgives_no_others(practice: Practice) -> None:
    for number in range(49):
        tried(f"nobody{number}@example.com")
    assert tried("unlu@example.com", PASSWORD) == "in"

    assert [tried(f"no{number}@example.com") for number in range(2)] == ["Invalid", "Throttled"]


def test_a_network_is_forgiven_as_time_goes_by(practice: Practice, now: Clock) -> None:
    for number in range(51):
        tried(f"nobody{number}@example.com")
    assert tried("unlu@example.com", PASSWORD) == "Throttled"

    now.move(minutes=10)

    assert [tried(f"no{number}@example.com") for number in range(11)].count("Invalid") == 10


def test_a_clock_that_is_set_back_locks_nobody_out(practice: Practice, now: Clock) -> None:
    for _ in range(6):
        tried("unlu@example.com")
    assert tried("unlu@example.com", PASSWORD) == "Throttled"

    now.move(days=-1)

    assert tried("unlu@example.com", PASSWORD) == "in"


def test_no_address_is_stored_with_the_failures(practice: Practice) -> None:
    tried("unlu@example.com")
    db.session.rollback()

    stored = str(list(db.session.execute(select(SignInFailure.__table__))))

    assert (HERE in stored, "unlu" in stored, stored.count("(")) == (False, False, 6)


def test_asking_is_counted_apart_from_signing_in(practice: Practice) -> None:
    for _ in range(10):
        backoff.take([backoff.asking(HERE)])
    with pytest.raises(Throttled):
        backoff.take([backoff.asking(HERE)])

    assert tried("unlu@example.com", PASSWORD) == "in"
    assert timedelta(minutes=15) == backoff.LONGEST_WAIT


def test_a_wrong_password_is_told_from_too_many(practice: Practice) -> None:
    with pytest.raises(Invalid):
        signing.sign_in("unlu@example.com", WRONG, HERE)
