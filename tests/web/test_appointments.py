import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from sync_ui.domain.event import Status
from sync_ui.models import Appointment, Client, db
from sync_ui.services import appointments, clients, plans
from tests.practice import Book, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

IN_DIALOG = {"HX-Request": "true", "HX-Target": "dialog-body"}


class Desk:
    """Someone at the schedule, who sends forms as a browser does."""

    def __init__(self, browser: FlaskClient) -> None:
        self.browser = browser
        self.token = csrf_token(browser, "/account")

    def send(self, address: str, *, in_dialog: bool = False, **form: object) -> TestResponse:
        data = {"csrf_token": self.token, **form}
        return self.browser.post(address, data=data, headers=IN_DIALOG if in_dialog else {})


@pytest.fixture
def sam(practice: Practice, browser_of: BrowserOf) -> Desk:
    return Desk(browser_of("sam@example.com"))


@pytest.fixture
def unlu(practice: Practice, browser_of: BrowserOf) -> Desk:
    return Desk(browser_of("unlu@example.com"))


def wanted(practice: Practice, **changes: object) -> dict[str, Any]:
    """What the form sends for an hour on Tuesday with Dr. Ünlü."""
    return {
        "clinician": practice.unlu.clinician_id,
        "kind": "session",
        "date": "2026-11-24",
        "start": "10:00",
        "minutes": "50",
        "type": "0",
        "repeats": "",
        "location": "",
        "status": "scheduled",
        "scope": "this",
    } | changes


def stored() -> list[tuple[str, list[str], str]]:
    db.session.rollback()
    return [
        (f"{a.starts_local:%m-%d %H:%M}", [c.first_name for c in a.clients], a.status.value)
        for a in db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    ]


def fresh(appointment_id: int) -> Appointment:
    db.session.rollback()
    return db.session.get_one(Appointment, appointment_id)


def triggered(answer: TestResponse) -> dict[str, object]:
    assert answer.status_code == 204, answer.text
    found: dict[str, object] = json.loads(answer.headers["HX-Trigger"])
    return found


def test_a_gap_that_was_pressed_is_filled_in(practice: Practice, sam: Desk) -> None:
    address = f"/calendar/new?date=2026-12-03&start=14:30&minutes=80&client={practice.jane}"

    text = sam.browser.get(f"{address}&clinician={practice.anna.clinician_id}").text

    assert 'value="2026-12-03"' in text
    assert 'value="14:30"' in text
    assert 'name="minutes" type="number" value="80"' in text
    assert f'name="clients" value="{practice.jane}" checked' in text


@pytest.mark.parametrize(
    "nonsense",
    ["date=2026-02-30&start=24:61&minutes=-5", "date=x&start=x&minutes=x&clinician=x&client=9"],
)
def test_a_nonsensical_gap_is_an_empty_form(sam: Desk, nonsense: str) -> None:
    answer = sam.browser.get(f"/calendar/new?{nonsense}")

    assert answer.status_code == 200
    assert 'value="09:00"' in answer.text


def test_without_script_a_few_letters_book_the_client_they_can_only_mean(
    practice: Practice, sam: Desk
) -> None:
    assert sam.send("/calendar/new", **wanted(practice, find="jan")).status_code == 302
    assert stored() == [("11-24 10:00", ["Jane"], "scheduled")]

    two = sam.send("/calendar/new", **wanted(practice, find="smith", start="12:00"))
    nobody = sam.send("/calendar/new", **wanted(practice, find="nemo", start="12:00"))

    assert (two.status_code, nobody.status_code) == (422, 422)
    assert "Several clients fit. Tick one." in two.text
    assert f'value="{practice.mark}"> Mark Smith' in two.text
    assert "No client has this name." in nobody.text
    assert len(stored()) == 1


@pytest.mark.bar("Z1")
def test_a_clinician_books_no_client_of_anothers(
    practice: Practice, book: Book, unlu: Desk
) -> None:
    book(practice.jane, at="2026-11-02 10:00")
    own = unlu.send("/calendar/new", **wanted(practice, clients=practice.jane))
    anothers = unlu.send("/calendar/new", **wanted(practice, clients=practice.zoe, start="12:00"))

    assert (own.status_code, anothers.status_code) == (302, 422)
    assert "Zoë" not in anothers.text
    assert len(stored()) == 2
    found = unlu.browser.get("/calendar/clients?find=smith").text
    assert ("Jane Smith" in found, "Mark Smith" in found) == (True, False)
    assert "as a new client" not in found


def test_a_missing_client_is_added_while_booking(practice: Practice, sam: Desk) -> None:
    assert (
        "Add “Nora Quist” as a new client"
        in sam.browser.get("/calendar/clients?find=Nora Quist").text
    )

    chip = sam.send("/calendar/clients", in_dialog=True, name="Nora Quist")

    added = db.session.scalars(select(Client).where(Client.first_name == "Nora")).one()
    assert added.last_name == "Quist"
    assert f'name="clients" value="{added.id}" checked' in chip.text


def test_a_clash_is_shown_with_what_it_collides_with_and_takes_a_reason(
    practice: Practice, book: Book, sam: Desk
) -> None:
    book(practice.mark)

    asked = sam.send(
        "/calendar/new",
        in_dialog=True,
        **wanted(practice, clients=practice.jane, note="Bring form"),
    )

    assert asked.status_code == 409
    assert "The clinician is busy: Mark Smith" in asked.text
    assert "Bring form" in asked.text
    assert f'value="{practice.jane}" checked' in asked.text
    assert len(stored()) == 1
    done = sam.send(
        "/calendar/new",
        in_dialog=True,
        **wanted(practice, clients=practice.jane, despite="They come together"),
    )
    assert triggered(done)["toast"] == {"text": "The appointment is in the schedule."}
    db.session.rollback()
    assert [a.clash_reason for a in db.session.scalars(select(Appointment))] == [
        "",
        "They come together",
    ]


@pytest.mark.bar("D1")
def test_the_second_of_two_editors_sees_what_changed_and_loses_nothing(
    practice: Practice, book: Book, sam: Desk, unlu: Desk
) -> None:
    found = book(practice.jane).id
    first = wanted(practice, clients=practice.jane, start="14:00", revision="0")
    second = wanted(practice, clients=practice.jane, note="Bring the form", revision="0")
    assert sam.send(f"/calendar/{found}", **first).status_code == 302

    refused = unlu.send(f"/calendar/{found}", **second)

    assert refused.status_code == 409
    assert "Sam Rivera at" in refused.text
    assert "<dt>Start</dt><dd>2:00 PM</dd>" in " ".join(refused.text.split())
    assert "Bring the form" in refused.text
    assert 'name="revision" type="hidden" value="1"' in refused.text
    assert stored() == [("11-24 14:00", ["Jane"], "scheduled")]
    again = unlu.send(f"/calendar/{found}", **(second | {"start": "14:00", "revision": "1"}))
    assert again.status_code == 302
    saved = fresh(found)
    assert (f"{saved.starts_local:%H:%M}", saved.note) == ("14:00", "Bring the form")


def test_dragging_moves_and_undo_puts_back(practice: Practice, book: Book, sam: Desk) -> None:
    found = book(practice.jane).id
    to: dict[str, Any] = {"start": "2026-11-25T15:30", "minutes": "80", "revision": "0"}

    moved = triggered(sam.send(f"/calendar/{found}/move", in_dialog=True, **to))

    assert stored() == [("11-25 15:30", ["Jane"], "scheduled")]
    toast = moved["toast"]
    assert isinstance(toast, dict)
    assert toast["text"] == "Moved to Wednesday, November 25, 3:30 PM."
    undone = sam.send(toast["undo"]["url"], in_dialog=True, **toast["undo"]["values"])
    assert undone.status_code == 204
    assert stored() == [("11-24 10:00", ["Jane"], "scheduled")]
    back = fresh(found)
    assert (back.ends_at - back.starts_at).total_seconds() == 50 * 60


def test_dragging_onto_another_appointment_asks(practice: Practice, book: Book, sam: Desk) -> None:
    found = book(practice.jane).id
    book(practice.mark, at="2026-11-25 15:00")
    to: dict[str, Any] = {"start": "2026-11-25T15:30", "minutes": "50", "revision": "0"}

    asked = sam.send(f"/calendar/{found}/move", in_dialog=True, **to)

    assert asked.status_code == 409
    assert "The clinician is busy: Mark Smith" in asked.text
    assert 'name="start" value="2026-11-25T15:30"' in asked.text
    done = sam.send(f"/calendar/{found}/move", in_dialog=True, **to, despite="Agreed by phone")
    assert done.status_code == 204
    assert stored()[1] == ("11-25 15:30", ["Jane"], "scheduled")


def test_dragging_what_somebody_else_has_moved_asks(
    practice: Practice, book: Book, sam: Desk
) -> None:
    found = book(practice.jane).id
    appointments.cancel(practice.unlu, found)

    asked = sam.send(
        f"/calendar/{found}/move", in_dialog=True, start="2026-11-25T15:30", revision="0"
    )

    assert asked.status_code == 409
    assert "Someone changed this appointment in the meantime" in asked.text


@pytest.mark.parametrize("start", ["", "yesterday", "2026-13-01T10:00", "9999-12-31T23:00"])
def test_dragging_to_nowhere_is_refused(
    practice: Practice, book: Book, sam: Desk, start: str
) -> None:
    found = book(practice.jane).id

    answer = sam.send(f"/calendar/{found}/move", in_dialog=True, start=start, minutes="999999999")

    assert answer.status_code == 422
    assert stored() == [("11-24 10:00", ["Jane"], "scheduled")]


def test_dragging_to_another_column_hands_over(practice: Practice, book: Book, sam: Desk) -> None:
    found = book(practice.jane).id

    sam.send(
        f"/calendar/{found}/move",
        in_dialog=True,
        start="2026-11-24T10:00",
        clinician=practice.anna.clinician_id,
    )

    assert fresh(found).clinician_id == practice.anna.clinician_id


@pytest.mark.bar("Z1")
def test_a_clinician_hands_nothing_over(practice: Practice, book: Book, unlu: Desk) -> None:
    found = book(practice.jane).id

    answer = unlu.send(
        f"/calendar/{found}/move",
        start="2026-11-24T10:00",
        clinician=practice.anna.clinician_id,
    )

    assert answer.status_code == 404
    assert fresh(found).clinician_id == practice.unlu.clinician_id


def test_cancelling_can_be_undone(practice: Practice, book: Book, sam: Desk) -> None:
    found = book(practice.jane).id

    cancelled = triggered(sam.send(f"/calendar/{found}/cancel", in_dialog=True, late="yes"))

    assert fresh(found).status is Status.LATE_CANCELLED
    toast = cancelled["toast"]
    assert isinstance(toast, dict)
    assert sam.send(toast["undo"]["url"], in_dialog=True).status_code == 204
    assert stored() == [("11-24 10:00", ["Jane"], "scheduled")]


def test_the_video_room_needs_an_address_and_telehealth(practice: Practice, sam: Desk) -> None:
    address = "https://video.example.com/unlu"
    wrong = [
        wanted(practice, location="Telehealth", telehealth_address="javascript:alert(1)"),
        wanted(practice, location="Telehealth", telehealth_address="https://"),
        wanted(practice, location="Room 2", telehealth_address=address),
    ]

    assert [sam.send("/calendar/new", **form).status_code for form in wrong] == [422] * 3
    right = wanted(practice, location="Telehealth", telehealth_address=address)
    assert sam.send("/calendar/new", **right).status_code == 302
    assert db.session.scalars(select(Appointment)).one().telehealth_address == address


WEEKLY: dict[str, Any] = {"repeats": "weekly", "every": "1", "weekdays": "1"}


def turns() -> list[tuple[str, str]]:
    """When each of the series begins, and its status."""
    return [(when, status) for when, _, status in stored()]


def first_turn() -> int:
    db.session.rollback()
    return db.session.scalars(select(Appointment.id).order_by(Appointment.starts_at)).first() or 0


def test_a_series_is_booked_changed_from_one_on_and_cancelled(
    practice: Practice, sam: Desk
) -> None:
    form = wanted(practice, clients=practice.jane, times="4", **WEEKLY)
    assert sam.send("/calendar/new", **form).status_code == 302
    days = ("11-24", "12-01", "12-08", "12-15")
    assert turns() == [(f"{day} 10:00", "scheduled") for day in days]
    second = first_turn() + 1
    page = sam.browser.get(f"/calendar/{second}").text
    assert "every week on Tuesday, 4 times" in page

    later = wanted(
        practice,
        clients=practice.jane,
        date="2026-12-01",
        start="11:30",
        times="4",
        revision="0",
        scope="following",
        **WEEKLY,
    )
    assert sam.send(f"/calendar/{second}", **later).status_code == 302
    assert [when for when, _ in turns()] == [
        "11-24 10:00",
        "12-01 11:30",
        "12-08 11:30",
        "12-15 11:30",
    ]

    done = sam.send(f"/calendar/{second + 1}/cancel", in_dialog=True, scope="following")
    toast = triggered(done)["toast"]
    assert isinstance(toast, dict)
    assert toast["text"] == "2 appointments are cancelled."
    assert [status for _, status in turns()] == ["scheduled"] * 2 + ["cancelled"] * 2
    sam.send(toast["undo"]["url"], in_dialog=True)
    assert [status for _, status in turns()] == ["scheduled"] * 4


def test_an_appointment_begins_to_repeat(practice: Practice, book: Book, sam: Desk) -> None:
    found = book(practice.jane).id

    form = wanted(practice, clients=practice.jane, times="3", revision="0", **WEEKLY)
    assert sam.send(f"/calendar/{found}", **form).status_code == 302

    assert [when for when, _ in turns()] == ["11-24 10:00", "12-01 10:00", "12-08 10:00"]


@pytest.mark.parametrize(
    ("scope", "moved"),
    [
        ("this", ["11-24 10:00", "12-02 14:00", "12-08 10:00"]),
        ("following", ["11-24 10:00", "12-02 14:00", "12-09 14:00"]),
        ("all", ["11-25 14:00", "12-02 14:00", "12-09 14:00"]),
    ],
)
def test_dragging_one_of_a_series_asks_how_many_and_undo_puts_them_back(
    practice: Practice, sam: Desk, scope: str, moved: list[str]
) -> None:
    sam.send("/calendar/new", **wanted(practice, clients=practice.jane, times="3", **WEEKLY))
    second = first_turn() + 1
    before = turns()
    to: dict[str, Any] = {"start": "2026-12-02T14:00", "minutes": "50", "revision": "0"}

    asked = sam.send(f"/calendar/{second}/move", in_dialog=True, **to)
    assert asked.status_code == 409
    assert "This and following" in asked.text
    assert turns() == before
    done = triggered(sam.send(f"/calendar/{second}/move", in_dialog=True, **to, scope=scope))

    assert [when for when, _ in turns()] == moved
    toast = done["toast"]
    assert isinstance(toast, dict)
    sam.send(toast["undo"]["url"], in_dialog=True, **toast["undo"]["values"])
    assert turns() == before
    # They are one series as before, and none of them says anything of itself.
    to = {"start": "2026-11-24T11:00", "scope": "all", "despite": "All agreed"}
    sam.send(f"/calendar/{first_turn()}/move", in_dialog=True, **to)
    assert [when for when, _ in turns()] == ["11-24 11:00", "12-01 11:00", "12-08 11:00"]


def test_handing_over_one_of_a_series_can_be_undone(practice: Practice, sam: Desk) -> None:
    sam.send("/calendar/new", **wanted(practice, clients=practice.jane, times="3", **WEEKLY))
    second = first_turn() + 1
    before = fresh(second).series_id
    to = {"start": "2026-12-01T10:00", "clinician": practice.anna.clinician_id}

    done = triggered(sam.send(f"/calendar/{second}/move", in_dialog=True, **to))

    assert fresh(second).clinician_id == practice.anna.clinician_id
    toast = done["toast"]
    assert isinstance(toast, dict)
    assert sam.send(toast["undo"]["url"], in_dialog=True).status_code == 204
    back = fresh(second)
    assert (back.clinician_id, back.series_id) == (practice.unlu.clinician_id, before)


@pytest.mark.bar("Z1")
def test_an_undo_is_its_makers_and_done_once(practice: Practice, sam: Desk, unlu: Desk) -> None:
    sam.send("/calendar/new", **wanted(practice, clients=practice.jane, times="3", **WEEKLY))
    to = {"start": "2026-11-24T11:00", "scope": "all"}
    done = triggered(sam.send(f"/calendar/{first_turn()}/move", in_dialog=True, **to))
    toast = done["toast"]
    assert isinstance(toast, dict)

    assert unlu.send(toast["undo"]["url"], in_dialog=True).status_code == 404
    assert sam.send(toast["undo"]["url"], in_dialog=True).status_code == 204
    assert sam.send(toast["undo"]["url"]).status_code == 409


def test_a_repeat_that_ends_before_it_begins_is_refused(practice: Practice, sam: Desk) -> None:
    answer = sam.send("/calendar/new", **wanted(practice, until="2026-11-01", **WEEKLY))

    assert answer.status_code == 422
    assert "ends before it begins" in answer.text
    assert stored() == []


def test_holidays_and_time_off_ask_first(practice: Practice, book: Book, sam: Desk) -> None:
    book(practice.jane)
    away = wanted(practice, kind="time_off", date="2026-11-24", all_day="y", last_date="2026-11-25")

    asked = sam.send("/calendar/new", in_dialog=True, **away)

    assert asked.status_code == 409
    assert "The clinician is busy: Jane Smith" in asked.text
    assert sam.send("/calendar/new", in_dialog=True, **away, despite="She knows").status_code == 204


NIGHT = {"kind": "meeting", "title": "On call", "start": "22:00", "minutes": "600"}


def ends() -> list[str]:
    """Start and end on New York's wall."""
    db.session.rollback()
    return [
        f"{plans.plan_of(a).starts:%m-%d %H:%M} – {plans.plan_of(a).ends:%m-%d %H:%M}"
        for a in db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    ]


def minutes_shown(sam: Desk, day: str) -> int:
    """As the calendar's script hears it."""
    (event,) = sam.browser.get(f"/calendar/events?start={day}&end={day[:-2]}30").json or []
    found: int = event["extendedProps"]["minutes"]
    return found


@pytest.mark.parametrize("day", ["2027-03-13", "2027-11-06"])
def test_a_night_in_which_the_clocks_change_keeps_its_length_when_it_is_dragged(
    practice: Practice, sam: Desk, day: str
) -> None:
    sam.send("/calendar/new", **wanted(practice, date=day, **NIGHT))
    before = ends()
    to = {"start": f"{day[:-2]}20T22:00", "minutes": minutes_shown(sam, day), "revision": "0"}

    done = triggered(sam.send(f"/calendar/{first_turn()}/move", in_dialog=True, **to))

    month = day[5:7]
    assert ends() == [f"{month}-20 22:00 – {month}-21 08:00"]
    toast = done["toast"]
    assert isinstance(toast, dict)
    sam.send(toast["undo"]["url"], in_dialog=True, **toast["undo"]["values"])
    assert ends() == before


def test_a_day_off_of_23_hours_is_a_day_wherever_it_is_dragged(
    practice: Practice, sam: Desk
) -> None:
    away = wanted(practice, date="2027-03-14", kind="time_off", all_day="y")
    sam.send("/calendar/new", **away)
    before = ends()
    to = {"start": "2027-03-16", "minutes": minutes_shown(sam, "2027-03-14"), "revision": "0"}

    done = triggered(sam.send(f"/calendar/{first_turn()}/move", in_dialog=True, **to))

    assert ends() == ["03-16 00:00 – 03-17 00:00"]
    toast = done["toast"]
    assert isinstance(toast, dict)
    sam.send(toast["undo"]["url"], in_dialog=True, **toast["undo"]["values"])
    assert ends() == before == ["03-14 00:00 – 03-15 00:00"]


def test_a_series_of_nights_keeps_its_length_when_the_shortest_is_changed_for_all(
    practice: Practice, sam: Desk
) -> None:
    nights = wanted(practice, date="2027-03-06", repeats="weekly", weekdays="5", times="2", **NIGHT)
    sam.send("/calendar/new", **nights)
    short = first_turn() + 1
    form = nights | {"date": "2027-03-13", "start": "23:00", "minutes": "600"}

    answer = sam.send(f"/calendar/{short}", **(form | {"scope": "all", "revision": "0"}))

    assert answer.status_code == 302
    assert ends() == ["03-06 23:00 – 03-07 09:00", "03-13 23:00 – 03-14 09:00"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "2026-11-25 10:00"},
        {"start": "20261125"},
        {"start": "2026-11-25T10:00+02:00"},
        {"start": "2026-11-25T10:00", "minutes": "-5"},
        {"start": "2026-11-25T10:00", "minutes": "0"},
        {"start": "2026-11-25T10:00", "minutes": "x"},
        {"start": "2026-11-25T10:00", "clinician": "x"},
        {"start": "2026-11-25T10:00", "clinician": "-1"},
    ],
)
def test_a_move_that_makes_no_sense_moves_nothing(
    practice: Practice, book: Book, sam: Desk, wrong: dict[str, Any]
) -> None:
    found = book(practice.jane).id

    assert sam.send(f"/calendar/{found}/move", in_dialog=True, **wrong).status_code == 422
    assert stored() == [("11-24 10:00", ["Jane"], "scheduled")]


def test_a_day_is_a_whole_day(practice: Practice, book: Book, sam: Desk) -> None:
    found = book(practice.jane).id

    sam.send(f"/calendar/{found}/move", in_dialog=True, start="2026-11-25", minutes="50")

    assert ends() == ["11-25 00:00 – 11-26 00:00"]


def test_a_series_is_not_handed_over_by_halves(practice: Practice, sam: Desk) -> None:
    form = wanted(practice, clients=practice.jane, times="3", **WEEKLY)
    sam.send("/calendar/new", **form)
    before = stored()
    to = form | {"clinician": practice.anna.clinician_id, "scope": "all", "revision": "0"}

    refused = sam.send(f"/calendar/{first_turn()}", **to)

    assert refused.status_code == 422
    assert "A series stays with its clinician." in refused.text
    assert stored() == before


def test_how_it_repeats_is_not_said_of_one_alone(practice: Practice, sam: Desk) -> None:
    form = wanted(practice, clients=practice.jane, times="3", **WEEKLY)
    sam.send("/calendar/new", **form)
    before = stored()

    refused = sam.send(f"/calendar/{first_turn()}", **(form | {"every": "2", "revision": "0"}))

    assert refused.status_code == 422
    assert "Choose which." in refused.text
    assert stored() == before


def test_an_archived_client_is_not_booked_from_an_old_page(practice: Practice, sam: Desk) -> None:
    clients.archive(practice.sam, practice.jane)

    refused = sam.send("/calendar/new", **wanted(practice, clients=practice.jane))

    assert refused.status_code == 409
    assert "A client is archived." in refused.text
    assert stored() == []


def test_a_cancel_from_an_old_page_shows_what_it_is_now(
    practice: Practice, book: Book, sam: Desk
) -> None:
    found = book(practice.jane).id
    appointments.change(practice.unlu, found, plans.plan_of(fresh(found)))

    refused = sam.send(f"/calendar/{found}/cancel", revision="0")
    nonsense = sam.send(f"/calendar/{found}/cancel", scope="zzz")

    assert (refused.status_code, nonsense.status_code) == (409, 422)
    assert "Someone changed this appointment in the meantime" in refused.text
    assert stored() == [("11-24 10:00", ["Jane"], "scheduled")]
    assert sam.send(f"/calendar/{found}/cancel", revision="1").status_code == 302


def test_a_month_without_the_day_is_told_beforehand(practice: Practice, sam: Desk) -> None:
    form = wanted(practice, date="2027-01-31", repeats="monthly day", times="3")

    refused = sam.send("/calendar/new", **form)

    assert refused.status_code == 422
    assert "Not every month has this day" in refused.text
    assert sam.send("/calendar/new", **(form | {"repeats": "monthly last_day"})).status_code == 302
    assert [when for when, _ in turns()] == ["01-31 10:00", "02-28 10:00", "03-31 10:00"]
