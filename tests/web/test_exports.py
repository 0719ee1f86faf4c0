"""Downloads: what their headers say, and that a link cannot start one."""

import pytest

from tests.practice import Book, Practice, csrf_token
from tests.web.test_access import BrowserOf

SPAN = {"first": "2026-11-01", "last": "2026-12-31"}


@pytest.mark.parametrize(
    ("form", "name", "kind"),
    [
        ({"format": "csv"}, "schedule-2026-11-23.csv", "text/csv; charset=utf-8"),
        ({"format": "ics"}, "schedule-2026-11-23.ics", "text/calendar; charset=utf-8"),
    ],
)
def test_a_schedule_is_downloaded_and_kept_by_no_cache(
    practice: Practice,
    book: Book,
    browser_of: BrowserOf,
    form: dict[str, str],
    name: str,
    kind: str,
) -> None:
    book(practice.jane)
    browser = browser_of("unlu@example.com")
    token = csrf_token(browser, "/export")
    form |= SPAN | {"clinician": str(practice.unlu.clinician_id), "csrf_token": token}

    answer = browser.post("/export/schedule", data=form)

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Jane" in answer.text


def test_clients_are_downloaded(practice: Practice, browser_of: BrowserOf) -> None:
    browser = browser_of("sam@example.com")

    answer = browser.post("/export/clients", data={"csrf_token": csrf_token(browser, "/export")})

    assert answer.headers["Content-Disposition"] == 'attachment; filename="clients-2026-11-23.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.text.splitlines()) == 4


def test_what_is_wrong_is_said_beside_its_field(practice: Practice, browser_of: BrowserOf) -> None:
    browser = browser_of("sam@example.com")
    form = {"clinician": "0", "format": "csv", "csrf_token": csrf_token(browser, "/export")}

    turned = browser.post(
        "/export/schedule", data=form | {"first": SPAN["last"], "last": SPAN["first"]}
    )
    empty = browser.post("/export/schedule", data=form)

    assert (turned.status_code, empty.status_code) == (422, 422)
    assert "The last day must not come before the first." in turned.text
    assert "Choose the first day." in empty.text


def test_everyones_schedule_is_offered_to_schedulers_alone(
    practice: Practice, browser_of: BrowserOf
) -> None:
    assert "Everyone" in browser_of("sam@example.com").get("/export").text
    browser = browser_of("unlu@example.com")
    page = browser.get("/export").text
    assert "Everyone" not in page
    assert "Download clients" not in page

    form = {"clinician": "0", "format": "csv", "csrf_token": csrf_token(browser, "/export")} | SPAN

    assert browser.post("/export/schedule", data=form).status_code == 422
