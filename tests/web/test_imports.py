"""The import's pages: what they refuse, how large files are followed, what can be undone."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from sync_ui.models import Appointment, ImportFile, UploadState, db
from sync_ui.services import appointments, uploads
from sync_ui.services.access import WORKER
from tests.practice import Clock, Practice, csrf_token
from tests.services.test_uploads import LARGE, UNKNOWN, table

BrowserOf = Callable[[str], FlaskClient]


@pytest.fixture
def sam(browser_of: BrowserOf) -> FlaskClient:
    return browser_of("sam@example.com")


def send(browser: FlaskClient, practice: Practice, data: bytes) -> TestResponse:
    fields = {
        "clinician": practice.unlu.clinician_id,
        "csrf_token": csrf_token(browser, "/import"),
    }
    parts = [
        f'--parting\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--parting\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body = b"".join([*parts, head, data, b"\r\n--parting--\r\n"])
    return browser.post("/import", data=body, content_type="multipart/form-data; boundary=parting")


def post(browser: FlaskClient, address: str, **form: object) -> TestResponse:
    """As the page of the upload sends it, if it is one's."""
    form = {"csrf_token": csrf_token(browser, "/account"), "upload": mark_of(address)} | form
    return browser.post(address, data=form)


def mark_of(address: str) -> str:
    db.session.rollback()
    number = re.match(r"/import/(\d+)", address)
    kept = db.session.get(ImportFile, int(number[1])) if number else None
    mark = kept.mark if kept else ""
    db.session.rollback()
    return mark


def scheduled() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Appointment.id))) or 0


@pytest.mark.bar("I9")
def test_only_an_upload_may_be_as_large_as_a_calendar(sam: FlaskClient, practice: Practice) -> None:
    seven_megabytes = (
        b"Client,Start,Notes\n"
        b'Jane Smith,2026-12-01 10:00,"' + (b"x" * 70_000 + b"\n") * 100 + b'"\n'
    )

    assert send(sam, practice, seven_megabytes).status_code == 302
    assert send(sam, practice, b"x" * 34 * 1024 * 1024).status_code == 413
    elsewhere = post(sam, "/import/1/apply", titles="x" * 7 * 1024 * 1024)
    assert elsewhere.status_code == 413


@pytest.mark.bar("I9")
def test_an_upload_is_never_on_disk_in_the_clear(
    sam: FlaskClient, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("werkzeug.formparser.default_stream_factory", refuse)

    assert send(sam, practice, table(5)).status_code == 302


def test_a_large_file_is_followed_to_its_end(sam: FlaskClient, practice: Practice) -> None:
    address = send(sam, practice, LARGE).location
    waiting = sam.get(address)
    assert (waiting.status_code, "The file waits for its turn." in waiting.text) == (200, True)
    fragment = sam.get(f"{address}/progress", headers={"HX-Request": "true"})
    assert fragment.text.lstrip().startswith('<div class="stack" id="progress"')
    assert f'href="{address}"' in sam.get("/import").text

    uploads.work(WORKER)
    ready = sam.get(f"{address}/progress", headers={"HX-Request": "true"})
    assert ready.headers["HX-Redirect"] == address
    assert sam.get(f"{address}/progress").location == address
    assert "What the import would do" in sam.get(address).text

    assert post(sam, f"{address}/apply").location == address
    assert post(sam, f"{address}/apply").status_code == 409
    uploads.work(WORKER)
    assert "Imported: 3000 new" in sam.get(address).text
    assert scheduled() == 3_000
    assert f'href="{address}"' not in sam.get("/import").text


def test_other_answers_let_the_worker_look_again(sam: FlaskClient, practice: Practice) -> None:
    titles = LARGE.replace(b"Client,Start", b"Title,Start", 1)
    address = send(sam, practice, titles).location
    uploads.work(WORKER)

    brown = "Client1 Brown"
    assert post(sam, address, titles=brown, clients=brown).location == address
    uploads.work(WORKER)

    db.session.rollback()
    kept = db.session.scalars(select(ImportFile)).one()
    assert (kept.state, kept.answers) == (UploadState.READY, {brown: True})
    assert kept.found is not None
    assert kept.found["new_clients"] == 1


def test_unknown_columns_lead_to_the_question_what_they_are(
    sam: FlaskClient, practice: Practice
) -> None:
    address = send(sam, practice, table(3, UNKNOWN)).location
    assert sam.get(address).location == f"{address}/columns"
    page = sam.get(f"{address}/columns").text
    assert "Wie lange" in page

    wrong = post(sam, f"{address}/columns", columns=["Client", "", ""])
    assert (wrong.status_code, "Say which one it is." in wrong.text) == (422, True)
    short = post(sam, f"{address}/columns", columns=["Client"])
    assert short.status_code == 422
    said = post(sam, f"{address}/columns", columns=["Client", "Start", "Duration"], order="day")
    assert said.location == address
    assert "3</strong> <span>new" in sam.get(address).text


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"columns": ["Client", "Start", "Duration", "Notes"]}, "Say of each column what it is"),
        ({"columns": ["Client", "Start"]}, "Say of each column what it is"),
        ({}, "Say of each column what it is"),
        ({"columns": ["Client", "Start", "Nonsense"]}, "No such column is known."),
        ({"columns": ["Client", "Start", "Client"]}, "Two columns are Client."),
        (
            {"columns": ["Client", "Start", "Duration"], "order": "year"},
            "Choose how dates are written",
        ),
    ],
)
def test_columns_that_do_not_fit_the_file_are_refused_and_can_be_said_again(
    form: dict[str, object], sentence: str, sam: FlaskClient, practice: Practice
) -> None:
    address = send(sam, practice, table(3, UNKNOWN)).location

    wrong = post(sam, f"{address}/columns", **form)

    assert (wrong.status_code, sentence in wrong.text) == (422, True)
    assert wrong.text.count('<select class="input" name="columns"') == 3
    said = post(sam, f"{address}/columns", columns=["Client", "Start", "Duration"])
    assert said.location == address
    assert "3</strong> <span>new" in sam.get(address).text


@pytest.mark.parametrize("action", ["", "/apply", "/columns", "/discard"])
def test_a_page_of_a_file_that_is_gone_does_nothing_to_the_one_that_got_its_number(
    action: str, sam: FlaskClient, practice: Practice, now: Clock
) -> None:
    address = send(sam, practice, table(3)).location
    shown = mark_of(address)
    assert f'name="upload" value="{shown}"' in sam.get(address).text
    post(sam, f"{address}/discard")
    now.move(seconds=1)
    if send(sam, practice, table(5)).location != address:
        pytest.skip("this database uses no number twice")

    for old in (shown, ""):
        refused = post(sam, f"{address}{action}", upload=old)
        assert (refused.status_code, "This page showed another file." in refused.text) == (
            409,
            True,
        )

    assert scheduled() == 0
    assert "5</strong> <span>new" in sam.get(address).text
    post(sam, f"{address}/apply")
    assert scheduled() == 5


def test_what_is_missing_is_cancelled_only_if_it_is_ticked(
    sam: FlaskClient, practice: Practice
) -> None:
    post(sam, f"{send(sam, practice, table(5)).location}/apply")
    later = table(5).replace(b"Client2 Brown,2026-12-01 02:00,50\n", b"")
    address = send(sam, practice, later).location
    page = sam.get(address).text
    assert "No longer in the file" in page
    (missing,) = db.session.scalars(
        select(Appointment.id).where(Appointment.starts_local == "2026-12-01 02:00:00.000000")
    )
    assert f'value="appointment:{missing}">' in page

    post(sam, f"{address}/apply", cancel=f"appointment:{missing}")

    db.session.rollback()
    cancelled = select(Appointment.id).where(Appointment.status == "cancelled")
    assert db.session.scalars(cancelled).all() == [missing]


def test_an_import_is_undone_from_its_page_or_told_why_not(
    sam: FlaskClient, practice: Practice
) -> None:
    post(sam, f"{send(sam, practice, table(5)).location}/apply")
    assert "Undo this import?" in sam.get("/import").text
    db.session.rollback()
    touched = db.session.scalars(select(Appointment.id)).first()
    assert touched is not None
    appointments.cancel(practice.unlu, touched)

    refused = post(sam, "/import/done/1/undo")
    assert (refused.status_code, "1 row of this import was changed" in refused.text) == (409, True)
    assert scheduled() == 5

    post(sam, f"{send(sam, practice, table(8)).location}/apply")
    assert post(sam, "/import/done/2/undo").location == "/import"
    assert scheduled() == 5
    assert "Undone" in sam.get("/import").text
