"""Who leaves the practice. SECURITY Z3, L13: every door shuts with one press."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui import clock
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.models import AuditEntry, Clinician, Link, db, transaction
from sync_ui.models.installation import Installation
from sync_ui.services import accounts, codes, links
from tests.practice import Book, Clock, Practice, csrf_token, token_of

BrowserOf = Callable[[str], FlaskClient]

NOTICE = "This calendar link was turned off"


@pytest.fixture
def ada(browser_of: BrowserOf) -> FlaskClient:
    return browser_of("ada@example.com")


def press(browser: FlaskClient, practice: Practice, action: str) -> TestResponse:
    form = {"csrf_token": csrf_token(browser, "/account")}
    address = f"/people/users/{practice.sam.user_id}/{action}"
    return browser.post(address, data=form, follow_redirects=True)


@pytest.mark.bar("Z3")
def test_one_press_shuts_every_door(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf, ada: FlaskClient
) -> None:
    book(practice.zoe, actor=practice.anna)
    anna = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.FIRST_NAME)
    made = links.create(practice.sam, practice.annas_calendar, "Tablet", DisplayMode.FIRST_NAME)
    wide = links.create(practice.sam, "practice", "Sam's phone", DisplayMode.FIRST_NAME)
    drawn = codes.make(practice.sam, anna.id)[0]
    sam, stranger = browser_of("sam@example.com"), app.test_client()
    feeds = [f"/cal/{token_of(link)}/calendar.ics" for link in (made, wide, anna)]

    def doors() -> tuple[int, list[bool], int]:
        reads = ["Zoë" in stranger.get(address).text for address in feeds]
        return sam.get("/calendar").status_code, reads, stranger.get(f"/add/{drawn}").status_code

    assert doors() == (200, [True, True, True], 200)

    press(ada, practice, "disable")

    assert doors() == (302, [False, False, True], 410)
    assert all(NOTICE in stranger.get(address).text for address in feeds[:2])
    assert _actions()[-1] == "user.disabled"


def _actions() -> list[str]:
    db.session.rollback()
    return [entry.action for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def test_what_remains_to_do_is_told_at_once(
    practice: Practice, book: Book, now: Clock, ada: FlaskClient
) -> None:
    book(practice.zoe, actor=practice.anna)
    links.create(practice.anna, practice.annas_calendar, "Anna's phone", DisplayMode.INITIALS)
    links.create(practice.sam, "practice", "Sam's phone", DisplayMode.INITIALS)
    before = ada.get(f"/people/users/{practice.sam.user_id}").text
    assert "What Sam Rivera can see" in before
    assert "What remains to do" not in before

    after = press(ada, practice, "disable").text

    assert "What Sam Rivera could see" in after
    assert "every client, 3 in all, and every schedule" in after
    assert "Ask Sam Rivera to remove the practice’s calendars" in after
    assert "Reset these links" in after
    assert [name for name in ("Zoë", "García", "Jane") if name in after] == []


def test_links_that_a_leaver_knew_are_reset_from_the_page(
    practice: Practice, now: Clock, ada: FlaskClient
) -> None:
    anna = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.INITIALS)
    old = links.address(anna)
    assert press(ada, practice, "reset-known").status_code == 409
    press(ada, practice, "disable")
    now.move(minutes=1)

    page = press(ada, practice, "reset-known")

    assert "1 link has a new address. Tell their owners" in page.text
    assert "Reset these links" not in page.text
    db.session.rollback()
    new = links.address(db.session.get_one(Link, anna.id))
    assert new not in {None, old}


@pytest.mark.bar("Z1")
@pytest.mark.parametrize("changed", ["role", "name", "sees_clients"])
def test_an_old_page_of_a_user_gives_back_nothing_that_was_taken(
    practice: Practice, browser_of: BrowserOf, ada: FlaskClient, changed: str
) -> None:
    sam = practice.sam.user_id or 0
    accounts.change_user(practice.ada, sam, name="Sam Rivera", role=Role.ADMINISTRATOR)
    unlu = practice.unlu.user_id or 0
    accounts.change_user(practice.ada, unlu, name="Dr. Unlu", role=Role.ADMINISTRATOR)
    other, address = browser_of("unlu@example.com"), f"/people/users/{sam}"
    old = _form_on(ada, address)
    new: dict[str, str] = {"name": "Sam R. Rivera"}
    if changed != "name":
        new = {"role": "scheduler"} if changed == "role" else {"sees_clients": "y"}
    assert other.post(address, data=_form_on(other, address) | new).status_code == 302

    answer = ada.post(address, data=old | {"name": "Sam A. Rivera"})

    assert answer.status_code == 409
    assert "Somebody changed this user meanwhile" in answer.text
    db.session.rollback()
    now = accounts.shown(accounts.user(sam))
    assert (now.name, now.role, now.sees_clients) == (
        new.get("name", "Sam Rivera"),
        new.get("role", "administrator"),
        "sees_clients" in new,
    )
    assert f'value="{now.name}"' in answer.text
    assert ada.post(address, data=_form_on(ada, address) | {"name": "Sam"}).status_code == 302


def _form_on(browser: FlaskClient, address: str) -> dict[str, str]:
    """What a browser sends of the page's own form, if nothing is typed."""
    page = browser.get(address).text
    [form] = re.findall(
        rf'<form class="card form" method="post" action="{address}">.*?</form>', page, re.DOTALL
    )
    inputs = re.findall(r"<input [^>]*>", form)
    fields = {
        re.findall(r'name="([^"]*)"', each)[0]: "".join(re.findall(r'value="([^"]*)"', each))
        for each in inputs
        if 'type="checkbox"' not in each or " checked" in each
    }
    [role] = re.findall(r'<option selected value="(\w+)"', form)
    return fields | {"role": role}


def test_a_printed_code_names_the_practice_and_the_day_on_which_it_ends(
    practice: Practice, ada: FlaskClient
) -> None:
    sheet = press(ada, practice, "code").text

    assert "<h2>Sync Calendar of Riverside: Sam Rivera</h2>" in sheet
    assert "until Nov 24, 2026, " in sheet
    assert "on this computer alone" not in sheet


def test_a_code_for_an_address_that_leads_only_here_says_so(
    app: Flask, practice: Practice, ada: FlaskClient
) -> None:
    installed: Installation = app.extensions["installation"]
    here = replace(installed.config, base_url="http://127.0.0.1:8000")
    app.extensions["installation"] = replace(installed, config=here)

    assert "This code can be entered on this computer alone" in press(ada, practice, "code").text


def test_a_practice_without_clinicians_leads_its_administrator_to_their_own_entry(
    practice: Practice, ada: FlaskClient
) -> None:
    offered = f'href="/people/users/{practice.ada.user_id}">I see clients myself'
    assert offered not in ada.get("/people").text
    with transaction() as session:
        for clinician in session.query(Clinician):
            clinician.archived_at = clock.now()

    assert offered in ada.get("/people").text


@pytest.mark.parametrize("page", ["new", "1"])
def test_a_clinicians_name_that_cannot_be_is_asked_for_again(
    practice: Practice, ada: FlaskClient, page: str
) -> None:
    address = f"/people/clinicians/{page}"
    form = {"csrf_token": csrf_token(ada, "/account"), "colour": "teal", "name": "A" * 101}

    answer = ada.post(address, data=form)

    assert answer.status_code == 422
    assert f'value="{"A" * 101}"' in answer.text
    assert "A name must have 1 to 100 characters." in answer.text


@pytest.mark.parametrize("page", ["new", "users/2"])
def test_a_users_name_that_cannot_be_is_named_beside_the_name(
    practice: Practice, ada: FlaskClient, page: str
) -> None:
    form = {"csrf_token": csrf_token(ada, "/account"), "role": "scheduler"}
    form |= {"name": "A" * 101, "email": "kim@example.com"}

    answer = ada.post(f"/people/{page}", data=form)

    assert answer.status_code == 422
    assert re.findall(r'id="(\w+)-errors"', answer.text) == ["name"]


@pytest.mark.bar("Z4")
def test_the_last_administrator_hears_on_their_own_page_that_they_stay(
    practice: Practice, ada: FlaskClient
) -> None:
    form = {"csrf_token": csrf_token(ada, "/account")}
    address = f"/people/users/{practice.ada.user_id}"

    answer = ada.post(f"{address}/disable", data=form)

    assert (answer.status_code, answer.headers["Location"]) == (302, address)
    assert "This is the last administrator." in ada.get(address).text
    assert _actions()[-1] != "user.disabled"
