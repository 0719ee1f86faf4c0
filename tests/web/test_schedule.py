import json
from collections.abc import Callable
from datetime import date

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import Kind, Status
from sync_ui.models import Holiday, db, transaction
from sync_ui.services import people, types
from tests.practice import Book, Practice

BrowserOf = Callable[[str], FlaskClient]

WEEK = "/calendar/events?start=2026-11-23&end=2026-11-30"


def test_an_appointment_is_told_as_the_calendar_takes_it(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    couple = types.create(practice.ada, name="Couple", minutes=80, colour=Colour.VIOLET)
    booked = book(
        practice.jane, practice.mark, type_id=couple.id, location="Room 2", status=Status.NO_SHOW
    )

    answer = browser_of("unlu@example.com").get(WEEK)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == [
        {
            "id": str(booked.id),
            "resourceIds": [str(practice.unlu.clinician_id)],
            "start": "2026-11-24T10:00",
            "end": "2026-11-24T10:50",
            "title": "Jane Smith & Mark Smith",
            "allDay": False,
            "classNames": ["colour-violet", "event-no-show"],
            "extendedProps": {
                "url": f"/calendar/{booked.id}",
                "revision": 0,
                "minutes": 50,
                "clinician": "Dr. Ünlü",
                "type": "Couple",
                "location": "Room 2",
                "status": "No-show",
            },
        }
    ]


def test_a_cancelled_one_cannot_be_moved(book: Book, browser_of: BrowserOf) -> None:
    book(at="2026-11-24 10:00", kind=Kind.MEETING)
    book(at="2026-11-24 12:00", kind=Kind.MEETING, status=Status.LATE_CANCELLED)

    found = browser_of("unlu@example.com").get(WEEK).json or []

    assert [(each.get("editable"), each["classNames"], each["title"]) for each in found] == [
        (None, ["colour-teal"], "Meeting"),
        (False, ["colour-teal", "event-gone"], "Meeting"),
    ]


def test_days_off_and_holidays_are_days(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    book(at="2026-11-25 00:00", minutes=48 * 60, kind=Kind.TIME_OFF, all_day=True)
    with transaction() as session:
        session.add(
            Holiday(name="Thanksgiving", first_day=date(2026, 11, 26), last_day=date(2026, 11, 27))
        )

    off, holiday = browser_of("sam@example.com").get(WEEK).json or []

    assert (off["start"], off["end"], off["allDay"]) == ("2026-11-25", "2026-11-27", True)
    assert {key: holiday[key] for key in ("start", "end", "title", "display")} == {
        "start": "2026-11-26",
        "end": "2026-11-28",
        "title": "Thanksgiving",
        "display": "background",
    }
    # Beside every clinician where they stand side by side.
    both = {str(practice.unlu.clinician_id), str(practice.anna.clinician_id)}
    assert set(holiday["resourceIds"]) == both


def test_one_clinician_shows_in_the_colours_of_types_several_in_their_own(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    intake = types.create(practice.ada, name="Intake", minutes=90, colour=Colour.ORANGE)
    book(practice.zoe, actor=practice.anna, type_id=intake.id)
    sam = browser_of("sam@example.com")

    def colour(query: str) -> str:
        (found,) = sam.get(WEEK + query).json or []
        classes: list[str] = found["classNames"]
        return classes[0]

    anna = f"&clinician={practice.anna.clinician_id}"
    assert colour("") == "colour-blue"
    assert colour(f"{anna}&clinician={practice.unlu.clinician_id}") == "colour-blue"
    assert colour(anna) == "colour-orange"


@pytest.mark.bar("Z1", "Z5")
def test_anothers_schedule_is_not_found(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    book(practice.zoe, actor=practice.anna)
    annas = f"{WEEK}&clinician={practice.anna.clinician_id}"
    assert len(browser_of("anna@example.com").get(annas).json or []) == 1

    answer = browser_of("unlu@example.com").get(annas)

    assert (answer.status_code, answer.json) == (404, {"sentence": "There is no such clinician."})
    assert browser_of("unlu@example.com").get(WEEK).json == []


@pytest.mark.parametrize(
    "span",
    [
        "",
        "start=2026-11-23",
        "start=2026-11-30&end=2026-11-23",
        "start=2026-11-23&end=2026-11-23",
        "start=2026-11-23&end=2027-01-25",
        "start=monday&end=2026-11-24",
        "start=0001-01-01&end=0001-01-02",
        "start=9999-12-30&end=9999-12-31",
    ],
)
def test_a_span_of_nonsense_is_told_so(span: str, browser_of: BrowserOf) -> None:
    answer = browser_of("sam@example.com").get(f"/calendar/events?{span}")

    assert (answer.status_code, answer.json) == (
        422,
        {"sentence": "Ask for 1 to 62 days: start and end as in 2026-11-23."},
    )


def test_the_longest_span_is_two_months(browser_of: BrowserOf) -> None:
    answer = browser_of("sam@example.com").get("/calendar/events?start=2026-11-23&end=2027-01-24")

    assert (answer.status_code, answer.json) == (200, [])


@pytest.mark.parametrize("page", [WEEK, "/calendar?view=agenda&date=2026-11-23", "/calendar"])
def test_as_many_queries_whatever_is_booked(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf, page: str
) -> None:
    sam = browser_of("sam@example.com")

    def asked() -> int:
        heard: list[str] = []

        def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            heard.append(statement)

        event.listen(db.engine, "before_cursor_execute", hear)
        assert sam.get(page).status_code == 200
        event.remove(db.engine, "before_cursor_execute", hear)
        return len(heard)

    book(practice.jane)
    asked()
    few = asked()
    for number in range(30):
        at = f"2026-11-{23 + number % 5} {8 + number // 5:02}:00"
        book(practice.jane, practice.mark, at=at)
        book(practice.zoe, actor=practice.anna, at=at, kind=Kind.MEETING)

    assert asked() == few


@pytest.mark.bar("I6")
def test_a_hostile_name_is_text(practice: Practice, book: Book, browser_of: BrowserOf) -> None:
    title = "</script><img src=x onerror=alert(1)>"
    book(kind=Kind.MEETING, title=title)

    answer = browser_of("unlu@example.com").get(WEEK)

    assert answer.mimetype == "application/json"
    assert [each["title"] for each in json.loads(answer.data)] == [title]


def test_the_first_view_is_the_team_for_who_keeps_every_schedule(browser_of: BrowserOf) -> None:
    def view(email: str, query: str = "") -> str:
        text = browser_of(email).get(f"/calendar{query}").text
        return text.partition('data-view="')[2].partition('"')[0]

    assert view("sam@example.com") == "team"
    assert view("unlu@example.com") == "week"
    assert view("sam@example.com", "?view=month") == "month"
    assert view("sam@example.com", "?view=nonsense") == "team"
    assert view("sam@example.com", "?from=2026-11-23") == "agenda"


def test_the_agenda_is_drawn_by_the_server(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    book(practice.jane, practice.mark)
    book(practice.zoe, actor=practice.anna, status=Status.CANCELLED)
    sam = browser_of("sam@example.com")

    both = sam.get("/calendar?view=agenda&date=2026-11-24").text
    annas = sam.get(f"/calendar?from=2026-11-24&clinician={practice.anna.clinician_id}").text

    assert ("Jane Smith &amp; Mark Smith" in both, "García" in both) == (True, True)
    assert ("Jane Smith" in annas, "García" in annas) == (False, True)


def test_one_who_has_left_can_still_be_looked_at(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    book(practice.zoe, actor=practice.anna)
    anna = practice.anna.clinician_id or 0
    people.archive(practice.ada, anna)
    sam = browser_of("sam@example.com")
    ticked = f'value="{anna}" checked'

    assert ticked not in sam.get("/calendar").text
    assert ticked in sam.get(f"/calendar?clinician={anna}").text
    assert len(sam.get(f"{WEEK}&clinician={anna}").json or []) == 1


def test_the_schedule_is_where_an_appointment_is_in_the_navigation(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    booked = book(practice.jane)
    browser = browser_of("unlu@example.com")

    for page in ("/calendar", f"/calendar/{booked.id}"):
        assert '<a href="/calendar" aria-current="page">Schedule</a>' in browser.get(page).text
