import pytest
from flask import Flask

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import Invalid
from sync_ui.models import AuditEntry, User, db
from sync_ui.services import accounts, practice, sessions, setup, signing
from tests.practice import Clock

PASSWORD = "four unrelated words here"

GIVEN = {
    "name": "  Riverside   Therapy ",
    "zone": "America/New_York",
    "ceiling": DisplayMode.INITIALS,
    "admin_name": "Ada Lin",
    "email": "Ada@Example.com",
    "password": PASSWORD,
}


def set_up(code: str, **other: object) -> None:
    setup.set_up(code, **(GIVEN | other))  # type: ignore[arg-type]


@pytest.fixture
def code(app: Flask, now: Clock) -> str:
    issued = practice.issue_setup_code()
    assert issued is not None
    return issued


@pytest.mark.bar("O6")
def test_the_code_makes_the_practice_and_its_administrator_once(code: str) -> None:
    assert practice.is_set_up() is False

    set_up(f" {code.upper()} ")

    found = practice.get()
    assert (found.name, found.zone, found.ceiling, found.setup_code) == (
        "Riverside Therapy",
        "America/New_York",
        DisplayMode.INITIALS,
        None,
    )
    [ada] = accounts.users()
    assert (ada.email, ada.name, ada.role) == ("ada@example.com", "Ada Lin", Role.ADMINISTRATOR)
    secret = signing.sign_in("ada@example.com", PASSWORD, "net")
    assert sessions.signed_in(secret) == ada
    with pytest.raises(Invalid):
        set_up(code, email="mallory@example.com")
    assert practice.issue_setup_code() is None


@pytest.mark.parametrize("wrong", ["", "2" * 26, "x", "\x00", "%"])
def test_another_code_makes_nothing(code: str, wrong: str) -> None:
    with pytest.raises(Invalid):
        set_up(wrong)

    assert db.session.query(User).count() == 0


@pytest.mark.bar("O6")
def test_a_new_start_makes_the_old_code_worthless(code: str) -> None:
    newer = practice.issue_setup_code()
    assert newer is not None

    with pytest.raises(Invalid):
        set_up(code)

    set_up(newer)
    assert practice.is_set_up()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"zone": "Mars/Olympus"},
        {"admin_name": " "},
        {"email": "ada"},
        {"email": "ada@example.com\nmallory@example.com"},
        {"password": "short"},
        {"password": "Ada@example.com"},
        {"password": "a" * 20},
    ],
)
def test_a_wrong_field_makes_nothing_and_spends_nothing(
    code: str, wrong: dict[str, object]
) -> None:
    with pytest.raises(Invalid):
        set_up(code, **wrong)

    assert db.session.query(User).count() == 0
    assert practice.get().name == "My practice"
    set_up(code)
    assert [entry.action for entry in db.session.query(AuditEntry)] == ["practice.set_up"]


@pytest.mark.bar("O6")
def test_the_codes_text_is_not_stored(code: str) -> None:
    assert code not in repr(practice.get().__dict__)
