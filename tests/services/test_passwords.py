"""What is a good enough password: ASVS 5.0, 6.2, row by row."""

import threading
from dataclasses import dataclass, field

import pytest
from zxcvbn import zxcvbn

from sync_ui.errors import Invalid
from sync_ui.models import User, transaction
from sync_ui.services import accounts, demo, passwords, signing
from tests.practice import PASSWORD, Practice

pytestmark = pytest.mark.bar("A1")

ANNA = ("anna.bergstrom@practice.example", "Anna Bergström")

REFUSED = {
    "6.2.1: one character too few": "fourteen words",
    "6.2.1: nothing": "",
    "6.2.9: one character too many": "x y z 1 " * 32 + "!",
    "6.2.4: common": "password1234567",
    "6.2.4: common, twice": "trustno1trustno1",
    "6.2.4: common, with its letters changed": "P@ssw0rd1234567",
    "6.2.4: a row of keys": "qwertyuiopasdfgh",
    "6.2.4: a row of letters": "abcdefghijklmnop",
    "6.2.4: one character": "a" * 40,
    "6.2.4: said twice": "iloveyou iloveyou",
    "6.2.11: the e-mail address": "anna.bergstrom@practice.example",
    "6.2.11: the name and a year": "AnnaBergstrom2026!",
    "6.2.11: the name with its accents": "Bergström Bergström",
    "6.2.11: the practice's name": "Riverside-Riverside-1",
    "6.2.11: the product's name": "Sync Calendar 2026",
}

TAKEN = {
    "6.2.5: small letters alone": "heron copper lattice",
    "6.2.5: digits alone": "850271946302857",
    "6.2.6: letters of any script": "пароль из слов!!",
    "6.2.6: emoji": "🐝🌵🎻🧊🪁🦔🍋🚲🧵🪐🐚🎲🫖🥁🧭",
    "6.2.8: spaces at its ends": " spaces are fine ",
    "6.2.9: as long as may be": "4 herons, 9 lamps; " * 13 + "123456789",
    "6.2.11: a name among other words": "anna counts nine green lanterns",
}


@pytest.mark.usefixtures("practice")
@pytest.mark.parametrize("password", REFUSED.values(), ids=REFUSED)
def test_what_is_too_weak_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.checked(password, *ANNA)

    assert password[:40] not in refused.value.sentence or not password


@pytest.mark.usefixtures("practice")
@pytest.mark.parametrize("password", TAKEN.values(), ids=TAKEN)
def test_what_is_good_enough_is_kept_as_it_is(password: str) -> None:
    stored = passwords.hashed(passwords.checked(password, *ANNA))

    assert passwords.fits(stored, password)
    for other in (password.strip() + "x", password[:-1], password.swapcase() + " "):
        assert not passwords.fits(stored, other)


@pytest.mark.usefixtures("practice")
def test_a_password_is_verified_byte_for_byte() -> None:
    """6.2.8: é as one character or as two are two passwords."""
    stored = passwords.hashed(passwords.checked("caf\u00e9 lantern copper"))

    assert passwords.fits(stored, "caf\u00e9 lantern copper")
    assert not passwords.fits(stored, "cafe\u0301 lantern copper")


@pytest.mark.usefixtures("practice")
def test_what_follows_the_longest_password_is_not_cut_off() -> None:
    longest = TAKEN["6.2.9: as long as may be"]
    assert len(longest) == passwords.LONGEST
    stored = passwords.hashed(passwords.checked(longest))

    assert not passwords.fits(stored, longest + "x")


@pytest.mark.usefixtures("practice")
def test_a_megabyte_is_refused_before_anything_looks_at_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def look(text: str) -> dict[str, object]:
        looked.append(text)
        found: dict[str, object] = zxcvbn(text)
        return found

    monkeypatch.setattr(passwords, "zxcvbn", look)
    passwords.checked("heron copper lattice")
    assert looked == ["heron copper lattice"] * 2
    looked.clear()

    with pytest.raises(Invalid, match="at most 256"):
        passwords.checked("x" * 1_000_000)

    assert looked == []


def test_nobody_signs_in_who_has_chosen_no_password_yet(practice: Practice) -> None:
    with pytest.raises(Invalid):
        signing.sign_in("unlu@example.com", "nobody has this password", "203.0.113.7")
    assert signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7")
    with transaction() as session:
        session.get_one(User, practice.unlu.user_id).password_hash = passwords.NONE_YET

    for tried in (PASSWORD, "", "nobody has this password"):
        with pytest.raises(Invalid):
            signing.sign_in("unlu@example.com", tried, "203.0.113.7")


def test_a_change_needs_the_current_password_and_wrong_ones_are_slowed(practice: Practice) -> None:
    """6.2.3"""
    new = "heron copper lattice"
    for _ in range(5):
        with pytest.raises(Invalid):
            accounts.change_own_password(practice.unlu, "wrong password, alas", new)

    with pytest.raises(Exception, match="Too many failed tries"):
        accounts.change_own_password(practice.unlu, PASSWORD, new)


def test_the_demos_passwords_may_be_shorter(app: object) -> None:
    with pytest.raises(Invalid, match="at least 8"):
        demo.fill(password="short")


@dataclass
class Gauge:
    """How many are inside at once, at most."""

    inside: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    full: threading.Event = field(default_factory=threading.Event)

    def verify(self, *_: str) -> bool:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside == passwords.AT_ONCE:
                self.full.set()
        assert self.full.wait(30)
        with self.lock:
            self.inside -= 1
        return True


def test_few_passwords_are_verified_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 64 MB; the rest wait their turn."""
    gauge = Gauge()
    monkeypatch.setattr(passwords, "_hasher", gauge)
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(passwords.fits("a hash", "a password")))
        for _ in range(5 * passwords.AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (gauge.most, answers) == (passwords.AT_ONCE, [True] * len(threads))
