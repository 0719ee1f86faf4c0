"""What is moved or removed outside waits for a decision, on every page where one looks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from re import sub

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui.gateways.memory import Memory
from sync_ui.models import Appointment, db
from sync_ui.services import links
from tests.outside import Outside, connect
from tests.practice import Book, Practice, csrf_token

MOVED = "Moved outside. Jane Smith: Tuesday, November 24, 10:00 AM → 11:00 AM"
REMOVED = "Removed outside. Jane Smith: Tuesday, November 24, 10:00 – 10:50 AM"


def words(answer: TestResponse) -> str:
    return " ".join(unescape(sub(r"<[^>]+>", " ", answer.text)).split())


@pytest.fixture
def outside(app: Flask, practice: Practice) -> Outside:
    return connect(practice, Memory())


@pytest.fixture
def row(practice: Practice, book: Book, outside: Outside) -> Appointment:
    booked = book(practice.jane)
    outside.pass_()
    return booked


@pytest.fixture
def unlu(
    practice: Practice, row: Appointment, browser_of: Callable[[str], FlaskClient]
) -> FlaskClient:
    return browser_of("unlu@example.com")


def move(outside: Outside, row: Appointment, **by: int) -> None:
    told, span = outside.told(row.uid), timedelta(**by)
    later = replace(told, starts=told.starts + span, ends=told.ends + span)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), later)
    outside.pass_()


def remove(outside: Outside, row: Appointment) -> None:
    outside.there.delete(outside.calendar_id, outside.id_of(row.uid))
    outside.pass_()


def decide(
    browser: FlaskClient, action: str, *, in_place: bool = False, **form: str
) -> TestResponse:
    data = form | {"csrf_token": csrf_token(browser, "/account")}
    headers = {"HX-Request": "true"} if in_place else {}
    return browser.post(f"/proposals/1/{action}", data=data, headers=headers)


def now_at(row: Appointment) -> tuple[str, str]:
    db.session.rollback()
    found = db.session.get_one(Appointment, row.id)
    return f"{found.starts_local:%H:%M}", found.status.value


def test_a_move_is_asked_about_wherever_one_looks(
    unlu: FlaskClient, outside: Outside, row: Appointment, practice: Practice
) -> None:
    links.allow(practice.unlu, practice.unlus_calendar)
    pages = ("/proposals", "/calendar", f"/calendars/{practice.unlus_calendar}/sync")
    for page in pages:
        assert "Moved outside" not in words(unlu.get(page))

    move(outside, row, hours=1)

    for page in pages:
        assert MOVED in words(unlu.get(page))
    assert "Waits for a decision" in words(
        unlu.get(f"/calendars/{practice.unlus_calendar}/connections/{outside.id}")
    )


def test_another_day_is_named(unlu: FlaskClient, outside: Outside, row: Appointment) -> None:
    move(outside, row, days=1)

    seen = words(unlu.get("/proposals"))

    assert "Tuesday, November 24, 10:00 AM → Wednesday, November 25, 10:00 AM" in seen


def test_a_move_is_taken_over(unlu: FlaskClient, outside: Outside, row: Appointment) -> None:
    move(outside, row, hours=1)

    answer = decide(unlu, "accept", in_place=True)

    assert "Done here too." in words(answer)
    assert "schedule-changed" in answer.headers["HX-Trigger"]
    assert now_at(row) == ("11:00", "scheduled")
    seen = words(unlu.get("/proposals"))
    assert "Nothing waits for you" in seen
    assert "Done here too, just now" in seen


def test_a_move_is_put_back(unlu: FlaskClient, outside: Outside, row: Appointment) -> None:
    before = outside.told(row.uid)
    move(outside, row, hours=1)
    assert outside.told(row.uid) != before

    assert decide(unlu, "put-back").headers["Location"] == "/proposals"

    outside.pass_()
    assert (now_at(row), outside.told(row.uid)) == (("10:00", "scheduled"), before)


def test_a_removal_cancels_only_when_somebody_says_so(
    unlu: FlaskClient, outside: Outside, row: Appointment
) -> None:
    remove(outside, row)
    assert REMOVED in words(unlu.get("/calendar"))
    assert now_at(row) == ("10:00", "scheduled")

    decide(unlu, "accept")

    assert now_at(row) == ("10:00", "cancelled")


def test_a_time_that_is_taken_asks_for_a_reason(
    unlu: FlaskClient, outside: Outside, row: Appointment, book: Book, practice: Practice
) -> None:
    book(practice.mark, at="2026-11-24 11:00")
    outside.pass_()
    move(outside, row, hours=1)

    asked = decide(unlu, "accept", in_place=True)

    assert asked.status_code == 409
    assert "The clinician is busy" in words(asked)
    assert "Reason to book it all the same" in words(asked)
    assert now_at(row) == ("10:00", "scheduled")

    decide(unlu, "accept", despite="Both agreed")

    assert now_at(row) == ("11:00", "scheduled")


def test_what_is_decided_is_decided(unlu: FlaskClient, outside: Outside, row: Appointment) -> None:
    move(outside, row, hours=1)
    decide(unlu, "put-back")

    late = decide(unlu, "accept", in_place=True)

    assert late.status_code == 409
    assert "This was decided already" in words(late)
    assert now_at(row) == ("10:00", "scheduled")


@pytest.mark.bar("Z1", "S7")
def test_others_decide_only_about_what_they_may_schedule(
    outside: Outside, row: Appointment, browser_of: Callable[[str], FlaskClient]
) -> None:
    move(outside, row, hours=1)
    sam, anna = browser_of("sam@example.com"), browser_of("anna@example.com")

    assert (MOVED in words(sam.get("/proposals")), "Jane" in words(anna.get("/proposals"))) == (
        True,
        False,
    )
    assert decide(anna, "accept").status_code == 404
    assert decide(sam, "accept").status_code == 302
    assert now_at(row) == ("11:00", "scheduled")
