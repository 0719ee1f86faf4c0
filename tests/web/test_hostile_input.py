"""Whatever is asked or sent, the answer is a sentence, never a fault of ours."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from sync_ui.domain.event import DisplayMode
from sync_ui.services import links
from sync_ui.services import practice as practices
from tests.practice import Book, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

ODDITIES = (
    *("", "0", "-1", "2147483648", "9" * 30, "²", "x", "%00", "a%00b", "%F0%9F%98%80", "%FF"),
    *("9999-12-31", "0001-01-01", "2026-02-30", "1e9", "None", "true", "' OR 1=1 --"),
    *("%0d%0aSet-Cookie:x=1", "%E2%80%AE", "x" * 2000),
)

FAULTS = range(500, 600)


@pytest.fixture
def ada(browser_of: BrowserOf, practice: Practice, book: Book) -> FlaskClient:
    """The administrator, in a practice with one of everything."""
    book(practice.jane)
    links.allow(practice.unlu, practice.unlus_calendar)
    return browser_of("ada@example.com")


@pytest.mark.bar("O10")
@pytest.mark.parametrize(
    "path",
    [
        "/calendar?from={}",
        "/calendar?clinician={}",
        "/calendar/new?date={}",
        "/calendar/new?clinician={}",
        "/calendar/{}",
        "/clients?q={}",
        "/clients/{}",
        "/calendars/{}/sync",
        "/calendars/2/sync?link={}",
        "/calendars/2/sync/preview?mode={}",
        "/calendars/2/sync/preview?mode=busy&link={}",
        "/people/users/{}",
        "/people/clinicians/{}",
        "/import/{}",
        "/add/{}",
        "/cal/{}/x.ics",
        "/cal/{}",
        "/static/{}",
        "/sign-in?next={}",
        "/{}",
    ],
)
def test_odd_addresses_are_no_fault(ada: FlaskClient, path: str) -> None:
    answers = {odd: ada.get(path.format(odd)).status_code for odd in ODDITIES}

    assert {odd: status for odd, status in answers.items() if status in FAULTS} == {}


APPOINTMENT = {
    "clinician": "1",
    "kind": "session",
    "clients": "1",
    "title": "",
    "date": "2026-12-01",
    "start": "10:00",
    "minutes": "50",
    "location": "",
    "note": "",
    "status": "scheduled",
    "revision": "0",
}
CLIENT = {
    "first_name": "Paula",
    "last_name": "Brown",
    "preferred_name": "",
    "internal_id": "77",
    "ceiling": "",
}
PRACTICE = {
    "name": "Riverside",
    "zone": "America/New_York",
    "days_back": "30",
    "months_ahead": "6",
}
POLICY = {
    "ceiling": "initials",
    "longest_link_days": "90",
    "wants_agreement": "y",
    "schedulers_share_practice": "y",
}
KIND = {"name": "Recovery", "minutes": "50", "colour": "blue", "ceiling": "busy"}
USER = {
    "name": "Paula",
    "role": "clinician",
    "email": "paula@example.com",
    "password": "four unrelated words here",
}

FORMS = {
    "/calendar/new": ("/calendar/new", APPOINTMENT),
    "/calendar/1": ("/calendar/1", APPOINTMENT),
    "/clients/new": ("/clients/new", CLIENT),
    "/clients/1": ("/clients/1", CLIENT),
    "/settings": ("/settings", PRACTICE),
    "/settings/policy": ("/settings/policy", POLICY),
    "/settings/types": ("/settings/types", KIND),
    "/settings/places": ("/settings/places", {"name": "Room 3"}),
    "/people/new": ("/people/new", USER),
    "/people/users/2": ("/people/users/2", {"name": "Sam", "role": "scheduler"}),
    "/people/clinicians/new": ("/people/clinicians/new", {"name": "Dr. No"}),
    "/people/clinicians/1": ("/people/clinicians/1", {"name": "Dr. No"}),
    "/calendars/2/links": ("/calendars/2/sync", {"label": "Tablet", "mode": "busy"}),
    "/calendars/2/links/1/mode": ("/calendars/2/sync", {"mode": "busy"}),
    "/account": ("/account", {"old": "x", "new": "y", "again": "y"}),
}

SENT = ("", "\x00", "a\x00b", "9" * 30, "-1", "²", "9999-12-31", "0001-01-01", "\u202e", "x" * 9000)


@pytest.mark.bar("O10")
@pytest.mark.parametrize("path", FORMS)
def test_odd_fields_are_no_fault(ada: FlaskClient, path: str) -> None:
    page, form = FORMS[path]
    token = csrf_token(ada, page)
    answers = {}
    for name in form:
        for odd in SENT:
            data = form | {name: odd, "csrf_token": token}
            answers[f"{name}={odd[:20]!r}"] = ada.post(path, data=data).status_code
        without = {other: value for other, value in form.items() if other != name}
        answers[name] = ada.post(path, data=without | {"csrf_token": token}).status_code
    answers["all day to the end of time"] = ada.post(
        path, data=form | {"csrf_token": token, "all_day": "y", "date": "9999-12-31"}
    ).status_code

    assert {what: status for what, status in answers.items() if status in FAULTS} == {}


# Each page with a date, the call that takes it, and the rest of its form.
DATES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "/settings/audit/export": ("/settings/audit", {}, ("first", "last")),
    "/settings/holidays": (
        "/settings/holidays",
        {"name": "Winter", "first_day": "2026-12-24"},
        ("first_day", "last_day"),
    ),
    "/export/schedule": (
        "/export",
        {"clinician": "1", "first": "2026-12-01", "last": "2026-12-31", "format": "csv"},
        ("first", "last"),
    ),
    "/calendar/new": (
        "/calendar/new",
        APPOINTMENT | {"repeats": "daily", "every": "1", "all_day": "y"},
        ("date", "last_date", "until"),
    ),
    "/calendar/1": (
        "/calendar/1",
        APPOINTMENT | {"repeats": "daily", "every": "1"},
        ("date", "until"),
    ),
    "/calendar/1/move": ("/calendar/new", {"minutes": "50", "revision": "0"}, ("start",)),
    "/calendars/2/links/1": (
        "/calendars/2/sync",
        {"label": "Phone", "mode": "busy", "telehealth": "none"},
        ("last_day",),
    ),
}

ENDS_OF_TIME = ("0001-01-01", "0001-01-02", "9999-12-30", "9999-12-31")


@pytest.mark.bar("O10")
@pytest.mark.parametrize("path", DATES)
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/New_York"])
def test_the_ends_of_time_are_a_sentence(
    ada: FlaskClient, practice: Practice, path: str, zone: str
) -> None:
    """Of each field alone, and of all at once: a day later or earlier there is none."""
    links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY)
    practices.change(practice.ada, name="Riverside", zone=zone, days_back=30, months_ahead=6)
    page, form, names = DATES[path]
    token = csrf_token(ada, page)
    answers = {}
    for day in ENDS_OF_TIME:
        for fields in (*((name,) for name in names), names):
            data = form | dict.fromkeys(fields, day) | {"csrf_token": token}
            answers[day, fields] = ada.post(path, data=data).status_code

    assert {what: status for what, status in answers.items() if status in {404, *FAULTS}} == {}


@pytest.mark.bar("O10")
@pytest.mark.parametrize(
    "path",
    [
        "/settings/audit?first={0}&last={0}",
        "/calendar?date={0}",
        "/calendar?from={0}&view=agenda",
        "/calendar/events?start={0}&end={0}",
        "/calendar/events?start=2026-11-23&end={0}",
        "/calendar/new?date={0}&start=23:59",
        "/search?q={0}",
    ],
)
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/New_York"])
def test_pages_of_the_ends_of_time_are_no_fault(
    ada: FlaskClient, practice: Practice, path: str, zone: str
) -> None:
    practices.change(practice.ada, name="Riverside", zone=zone, days_back=30, months_ahead=6)
    answers = {day: ada.get(path.format(day)).status_code for day in ENDS_OF_TIME}

    assert {day: status for day, status in answers.items() if status in {404, *FAULTS}} == {}


@pytest.mark.bar("O10")
def test_odd_sign_ins_are_no_fault(browser_of: BrowserOf) -> None:
    stranger = browser_of("")
    token = csrf_token(stranger, "/sign-in")
    answers = {}
    for odd in SENT:
        for data in (
            {"email": odd, "password": "x"},
            {"email": "ada@example.com", "password": odd},
        ):
            answer = stranger.post("/sign-in", data=data | {"csrf_token": token})
            answers[repr(data)] = answer.status_code

    assert {what: status for what, status in answers.items() if status in FAULTS} == {}


@pytest.mark.bar("F1")
def test_a_mode_nobody_knows_shows_nothing(ada: FlaskClient) -> None:
    assert ada.get("/calendars/2/sync/preview?mode=busy").status_code == 200

    assert ada.get("/calendars/2/sync/preview?mode=everything").status_code == 404
