"""Account Settings > Policy, and the ceilings of types."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui.domain.event import DisplayMode
from sync_ui.models import Link, db
from sync_ui.services import feeds, links, types
from sync_ui.services import practice as practices
from tests.practice import Book, Clock, Practice, csrf_token, token_of
from tests.services.test_feeds import summaries

NOTICE = ["This calendar link was turned off"]
PAGE = "/settings/policy"
USUAL = {"ceiling": "full_name", "schedulers_share_practice": "y", "longest_link_days": ""}


@pytest.fixture
def ada(practice: Practice, browser_of: Callable[[str], FlaskClient]) -> FlaskClient:
    return browser_of("ada@example.com")


def post(browser: FlaskClient, path: str, **form: str) -> TestResponse:
    return browser.post(path, data=form | {"csrf_token": csrf_token(browser, PAGE)})


def save(browser: FlaskClient, **other: str) -> TestResponse:
    return post(browser, PAGE, **(USUAL | other))


def control(text: str, name: str) -> str:
    """The tag of the field of this name."""
    found = re.search(rf'<input[^>]* id="{name}"[^>]*>', text)
    assert found is not None
    return found[0]


def test_the_page_shows_the_policy_as_it_stands(ada: FlaskClient, practice: Practice) -> None:
    practices.change_policy(
        practice.ada,
        ceiling=DisplayMode.INITIALS,
        longest_link_days=90,
        wants_agreement=True,
        schedulers_share_practice=False,
    )

    text = ada.get(PAGE).text

    assert "checked" in control(text, "wants_agreement")
    assert "checked" not in control(text, "schedulers_share_practice")
    assert 'value="90"' in control(text, "longest_link_days")
    assert "End these links now" not in text


def test_what_ends_no_link_is_saved_without_a_question(
    ada: FlaskClient, practice: Practice
) -> None:
    links.allow(practice.unlu, practice.unlus_calendar)

    answer = save(ada, ceiling="initials", longest_link_days="90", wants_agreement="y")

    assert answer.status_code == 302
    found = practices.get()
    assert (found.ceiling, found.longest_link_days) == (DisplayMode.INITIALS, 90)
    assert (found.wants_agreement, found.schedulers_share_practice) == (True, True)
    text = ada.get(PAGE).text
    assert "Saved. It holds for every link from its next reading on." in text
    assert "have ended" not in text


@pytest.mark.bar("M6")
def test_what_ends_links_says_how_many_and_asks_first(
    ada: FlaskClient, practice: Practice, book: Book, now: Clock
) -> None:
    book(practice.jane, at="2027-01-04 10:00")
    link = links.allow(practice.unlu, practice.unlus_calendar)
    links.create(practice.sam, "practice", "Sam's phone", DisplayMode.BUSY)
    secret = token_of(link)
    now.move(days=40)
    now_on = {"longest_link_days": "30", "schedulers_share_practice": "y"}
    ada.get("/sign-in")
    browser = signed_in_again(ada)

    asked = save(browser, **now_on)

    assert asked.status_code == 409
    assert "2 links end if you save this" in asked.text
    assert practices.get().longest_link_days is None
    assert summaries(feeds.read(secret)) == ["J.S."]

    answer = save(browser, **now_on, confirmed="y")

    assert answer.status_code == 302
    assert "2 links have ended." in browser.get(PAGE).text
    assert summaries(feeds.read(secret)) == NOTICE


def signed_in_again(browser: FlaskClient) -> FlaskClient:
    """Days have passed: whoever was signed in is no longer."""
    token = csrf_token(browser, "/sign-in")
    data = {"email": "ada@example.com", "password": "a long enough password", "csrf_token": token}
    assert browser.post("/sign-in", data=data).status_code == 302
    return browser


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ("0", "A link can live 1 to 3660 days."),
        ("3661", "A link can live 1 to 3660 days."),
        ("-1", "A link can live 1 to 3660 days."),
        ("9" * 30, "A link can live 1 to 3660 days."),
        ("soon", "Enter a whole number, or leave it empty."),
        ("1.5", "Enter a whole number, or leave it empty."),
    ],
)
def test_a_life_that_is_none_is_said_beside_its_field(
    ada: FlaskClient, days: str, sentence: str
) -> None:
    answer = save(ada, ceiling="busy", longest_link_days=days)

    assert answer.status_code == 422
    assert sentence in answer.text.partition('id="longest_link_days-errors"')[2]
    assert practices.get().ceiling is DisplayMode.FULL_NAME


@pytest.mark.parametrize("ceiling", ["", "everything", "FULL_NAME"])
def test_an_unknown_ceiling_changes_nothing(ada: FlaskClient, ceiling: str) -> None:
    assert save(ada, ceiling=ceiling, longest_link_days="90").status_code == 422
    assert practices.get().longest_link_days is None


def test_every_link_of_the_practice_is_reset_with_a_reason(
    ada: FlaskClient, practice: Practice, book: Book
) -> None:
    book(practice.jane)
    made = [
        links.allow(practice.unlu, practice.unlus_calendar),
        links.allow(practice.anna, practice.annas_calendar),
    ]
    old = [token_of(link) for link in made]
    assert "2 links work now." in ada.get(PAGE).text

    assert post(ada, f"{PAGE}/reset-links", reason="leaked").status_code == 302

    assert [summaries(feeds.read(secret)) for secret in old] == [NOTICE, NOTICE]
    db.session.rollback()
    found = [db.session.get_one(Link, link.id) for link in made]
    assert {link.tokens[0].reason for link in found} == {"leaked"}
    assert summaries(feeds.read(token_of(found[0]))) == ["J.S."]
    assert "2 links have new addresses; no old one shows an appointment" in ada.get(PAGE).text


@pytest.mark.parametrize("reason", ["", "boredom"])
def test_a_reset_without_a_reason_is_none(
    ada: FlaskClient, practice: Practice, reason: str
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    address = links.address(link)

    assert post(ada, f"{PAGE}/reset-links", reason=reason).status_code == 422

    assert links.address(link) == address


def test_nothing_is_there_to_reset_before_the_first_link(ada: FlaskClient) -> None:
    text = ada.get(PAGE).text

    assert "No calendar of the practice has a link now." in text
    assert "Reset every link" not in text


def test_a_scheduler_who_may_not_share_the_practices_calendar_finds_none(
    ada: FlaskClient, practice: Practice, browser_of: Callable[[str], FlaskClient]
) -> None:
    """Z5."""
    sam = browser_of("sam@example.com")
    assert "/calendars/practice/sync" in sam.get("/calendars").text
    assert sam.get("/calendars/practice/sync").status_code == 200

    assert post(ada, PAGE, ceiling="full_name", longest_link_days="").status_code == 302

    assert "/calendars/practice/sync" not in sam.get("/calendars").text
    assert sam.get("/calendars/practice/sync").status_code == 404
    assert ada.get("/calendars/practice/sync").status_code == 200


def test_a_type_is_given_a_ceiling_of_its_own(ada: FlaskClient, practice: Practice) -> None:
    kind = {"name": "Recovery", "minutes": "50", "colour": "blue"}

    assert "42 CFR Part 2" in ada.get("/settings/types").text
    assert post(ada, "/settings/types", **kind, ceiling="busy").status_code == 302
    made = types.offered()[0]
    assert made.ceiling is DisplayMode.BUSY
    assert "50 minutes, blue, calendars show at most: Busy only" in ada.get("/settings/types").text

    page = f"/settings/types/{made.id}"
    assert '<option selected value="busy">' in ada.get(page).text
    assert post(ada, page, **kind, ceiling="everything").status_code == 422
    assert post(ada, page, **kind).status_code == 302
    db.session.rollback()
    assert types.get(made.id).ceiling is DisplayMode.BUSY

    assert post(ada, page, **kind, ceiling="").status_code == 302
    db.session.rollback()
    assert types.get(made.id).ceiling is None
