"""The feed over HTTP, as calendar apps read it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import sqlcipher3.dbapi2 as sqlcipher
from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import EnvironBuilder, TestResponse

from sync_ui.domain.event import DisplayMode
from sync_ui.models import AuditEntry, Link, db
from sync_ui.services import addresses, bodies, links, visits
from sync_ui.web.feeds import Stream
from tests.practice import Book, Clock, Practice

BrowserOf = Callable[[str], FlaskClient]

ALLOWED = "GET, HEAD, OPTIONS"

THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Thunderbird/153.7.0"

HEADERS = {
    "Content-Type": "text/calendar; charset=utf-8",
    "Content-Disposition": 'inline; filename="dr-unlu.ics"',
    "Cache-Control": "private, no-cache, no-transform",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# What would make a reader come back with a cookie, elsewhere, or not at all.
NEVER = {"Set-Cookie", "Vary", "Location", "WWW-Authenticate", "Content-Encoding"}


@pytest.fixture
def link(practice: Practice, book: Book) -> Link:
    book(practice.jane)
    return links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)


@pytest.fixture
def path(link: Link) -> str:
    return path_of(link)


@pytest.fixture
def reader(app: Flask) -> FlaskClient:
    return app.test_client()


def path_of(link: Link) -> str:
    address = links.address(link)
    assert address is not None
    return address.removeprefix("https://calendar.example.com")


def token_of(path: str) -> str:
    return path.split("/")[2]


def facts(answer: TestResponse) -> tuple[int, str, bytes]:
    return answer.status_code, answer.headers["Content-Type"], answer.data


@pytest.mark.bar("L10")
def test_a_feed_is_sent_with_these_headers(reader: FlaskClient, path: str) -> None:
    """SECURITY L10."""
    answer = reader.get(path)

    assert (answer.status_code, answer.data[:17]) == (200, b"BEGIN:VCALENDAR\r\n")
    assert b"SUMMARY:J.S." in answer.data
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["ETag"][0] == answer.headers["ETag"][-1] == '"'
    changed_at = parsedate_to_datetime(answer.headers["Last-Modified"])
    assert f"\r\nLAST-MODIFIED:{changed_at:%Y%m%dT%H%M%SZ}\r\n" in answer.text
    assert NEVER & set(answer.headers.keys()) == set()


def test_head_equals_get_without_the_body(reader: FlaskClient, path: str) -> None:
    got, headed = reader.get(path), reader.head(path)

    assert (headed.status_code, headed.data) == (200, b"")
    assert dict(headed.headers) == dict(got.headers)


@pytest.mark.parametrize("named", [True, False])
def test_options_tells_what_is_allowed(reader: FlaskClient, path: str, named: bool) -> None:
    answer = reader.options(path if named else f"/cal/{token_of(path)}")

    assert (answer.status_code, answer.headers["Allow"], answer.data) == (204, ALLOWED, b"")
    assert NEVER & set(answer.headers.keys()) == set()


@pytest.mark.bar("L14")
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("method", "POST PUT PATCH DELETE PROPFIND REPORT MKCALENDAR".split())
def test_a_feed_can_be_read_only(reader: FlaskClient, path: str, method: str, named: bool) -> None:
    """SECURITY L14."""
    before = reader.get(path).data

    answer = reader.open(path if named else f"/cal/{token_of(path)}", method=method, data="x=1")

    assert facts(answer) == (
        405,
        "text/plain; charset=utf-8",
        b"This calendar can be read only.\n",
    )
    assert answer.headers["Allow"] == ALLOWED
    assert NEVER & set(answer.headers.keys()) == set()
    assert reader.get(path).data == before


@pytest.mark.bar("L14")
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer of bad news"},
        {"Authorization": "Basic am9objpkb2U="},
        {"Accept": "application/json"},
        {"Accept": "text/html;q=0"},
        {"Accept-Encoding": "gzip, br"},
        {"Cookie": "__Host-session=nonsense; session=more"},
        {"HX-Request": "true"},
        {"Range": "bytes=0-9"},
        {"Origin": "https://evil.example"},
    ],
)
def test_headers_that_apps_send_change_nothing(
    reader: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    plain, odd = reader.get(path), reader.get(path, headers=headers)

    assert (odd.status_code, odd.data, dict(odd.headers)) == (
        plain.status_code,
        plain.data,
        dict(plain.headers),
    )


@pytest.mark.bar("L1", "L11")
@pytest.mark.parametrize("query", ["?", "?utm_source=mail", "?mode=full_name", "?nocache=1&a=%00"])
def test_a_query_changes_nothing(reader: FlaskClient, path: str, query: str) -> None:
    """SECURITY L1."""
    assert facts(reader.get(path + query)) == facts(reader.get(path))


@pytest.mark.bar("L1")
def test_who_is_signed_in_changes_nothing(
    browser_of: BrowserOf, reader: FlaskClient, path: str
) -> None:
    plain, known = reader.get(path), browser_of("unlu@example.com").get(path)

    assert (known.data, dict(known.headers)) == (plain.data, dict(plain.headers))


@pytest.mark.parametrize("validator", ["If-None-Match", "If-Modified-Since"])
def test_not_modified_repeats_both_validators(
    reader: FlaskClient, path: str, now: Clock, validator: str
) -> None:
    now.move(minutes=1)
    full = reader.get(path)
    says = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}[validator]

    answer = reader.get(path, headers={validator: full.headers[says]})

    assert (answer.status_code, answer.data) == (304, b"")
    for name in ("ETag", "Last-Modified", "Cache-Control"):
        assert answer.headers[name] == full.headers[name]
    assert (NEVER | {"Content-Length"}) & set(answer.headers.keys()) == set()


@pytest.mark.bar("F6")
def test_after_a_change_nothing_is_called_unchanged(
    reader: FlaskClient, path: str, practice: Practice, book: Book
) -> None:
    """SECURITY F6."""
    full = reader.get(path)
    book(practice.mark, at="2026-11-25 10:00")  # in the same second

    by_tag = reader.get(path, headers={"If-None-Match": full.headers["ETag"]})
    by_date = reader.get(path, headers={"If-Modified-Since": full.headers["Last-Modified"]})

    assert [by_tag.status_code, by_date.status_code] == [200, 200]
    assert by_tag.data == by_date.data != full.data


SPELLINGS = {
    "{path}": 200,
    "/cal/{token}": 200,
    "/cal/{upper}": 200,
    "/cal/{upper}/dr-unlu.ics": 200,
    "/cal/{token}/DR-UNLU.ICS": 200,
    "/cal/{token}/any-other-name.ics": 200,
    "/cal/{token}/a/b/c.ics": 200,
    "/cal/{token}.": 200,
    "/cal/{token}./dr-unlu.ics": 200,
    "/cal/{token},": 200,
    "/cal/{token})": 200,
    "/cal/({token})": 200,
    "/cal/%3C{token}%3E": 200,
    "/cal/%22{token}%22": 200,
    "/cal/{token}%20": 200,
    "/cal/{token}%0A": 200,
    "/cal/%20{token}": 200,
    "/cal/{token}/": 200,
    "/cal/{token}//": 200,
    "/cal/{token}//dr-unlu.ics": 200,
    "/cal/{token}/dr-unlu.ics/": 200,
    "/cal/{token}/dr-unlu.ics.": 200,
    "/cal/{token}/dr-unlu.ics%20": 200,
    "/cal/{token}?utm=mail": 200,
    "/cal/{token}/?utm=mail": 200,
    "/cal/{token}x": 404,
    "/cal/{short}": 404,
    "/cal/{token}{token}": 404,
    "/cal/{token}%00": 200,
    "/cal/{token}%E2%80%8B": 404,  # pasted with a space that nobody sees
    "/cal/«{token}»": 404,
    "/cal/{token}/dr-unlu.ics%E2%80%8B": 200,
    "/cal/{token};v=1": 404,
    "/cal/{token}.ics": 404,
    "/cal/{token}%2Fdr-unlu.ics": 200,
    "/cal/..%2F{token}": 404,
    "/cal/*": 404,
    "/cal/%25": 404,
    "/cal/' OR 1=1 --": 404,
    "/cal/ünlü": 404,
    "/cal/%FF%FE": 404,
}


@pytest.mark.bar("L11")
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_mangled_link_finds_its_feed_or_none(
    reader: FlaskClient, path: str, practice: Practice, book: Book, spelling: str
) -> None:
    """SECURITY L11."""
    book(practice.zoe, actor=practice.anna)
    links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.INITIALS)
    right = reader.get(path).data
    token = token_of(path)

    answer = reader.get(
        spelling.format(path=path, token=token, upper=token.upper(), short=token[:-1])
    )

    assert (answer.status_code, answer.data == right) == (
        SPELLINGS[spelling],
        SPELLINGS[spelling] == 200,
    )
    assert NEVER & set(answer.headers.keys()) == set()


@pytest.mark.bar("L11")
@pytest.mark.parametrize(
    "spelling",
    ["/cal//{}/a.ics", "//cal/{}/a.ics", "/CAL/{}", "/calendar/{}", "/{}", "/cal/"],
)
def test_what_is_not_spelt_as_a_link_is_not_found(
    reader: FlaskClient, path: str, spelling: str
) -> None:
    """SECURITY L11."""
    # The client would take what follows two slashes for a host.
    request = EnvironBuilder(base_url="https://calendar.example.com").get_environ()
    request["PATH_INFO"] = spelling.format(token_of(path))

    answer = reader.open(request)

    assert (answer.status_code, "Location" in answer.headers) == (404, False)


@pytest.mark.bar("L8")
def test_every_unknown_token_hears_the_same(reader: FlaskClient, path: str) -> None:
    """SECURITY L8."""
    token = token_of(path)
    unknown = ["2" * 33, "z" * 26, token[::-1], token[:-1], "x", "x" * 5000, "%00"]

    answers = [reader.get(f"/cal/{each}/dr-unlu.ics") for each in unknown]

    text = b"There is no such calendar link.\n"
    assert [facts(each) for each in answers] == [(404, "text/plain; charset=utf-8", text)] * 7
    numbers = {each.headers.pop("X-Request-ID") for each in answers}
    assert len(numbers) == 7
    assert len({str(sorted(each.headers.items())) for each in answers}) == 1


@pytest.mark.bar("N5")
def test_only_a_few_readers_of_a_long_feed_hold_a_thread_each(
    app: Flask, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F9: bit by bit for four at a time, in one go for the others; all get the same."""
    monkeypatch.setattr(bodies, "ONE_PIECE", 100)

    def ask() -> Any:
        environ = EnvironBuilder(path).get_environ()
        return app.wsgi_app(environ, lambda *_: lambda _: None)

    answers = [ask() for _ in range(6)]
    assert [isinstance(answer, Stream) for answer in answers] == [True] * 4 + [False] * 2
    assert len({b"".join(answer) for answer in answers}) == 1

    for answer in answers[:4]:
        answer.close()
        answer.close()  # whoever hangs up may do so twice

    assert isinstance(ask(), Stream)


@pytest.mark.bar("F7")
def test_a_journal_that_cannot_be_read_stops_no_living_link(
    reader: FlaskClient, path: str, data_dir: Path
) -> None:
    """F7"""
    journal = data_dir / "revoked.log"
    before = reader.get(path).data
    journal.unlink()
    journal.mkdir()

    assert (reader.get(path).status_code, reader.get(path).data) == (200, before)


@pytest.mark.bar("L3", "D3")
def test_a_reset_stands_although_the_journal_cannot_be_written(
    reader: FlaskClient, path: str, link: Link, practice: Practice, data_dir: Path
) -> None:
    journal = data_dir / "revoked.log"
    journal.unlink()
    journal.mkdir()

    fresh = links.reset(practice.unlu, link.id)

    assert b"Calendar link turned off" in reader.get(path).data
    assert b"J.S." in reader.get(path_of(fresh)).data
    journal.rmdir()
    addresses.write_journal()  # the worker does, every minute
    assert len(journal.read_text().splitlines()) == 1


@pytest.mark.bar("L9")
def test_guessing_is_slowed_down_and_a_living_link_never(
    reader: FlaskClient, path: str, now: Clock
) -> None:
    """L9: whoever shares the address, and whatever they call themselves."""

    def guess(number: int, **more: str) -> int:
        headers = {"User-Agent": f"Guess/{number}", "X-Forwarded-For": f"198.51.100.{number}"}
        return reader.get(f"/cal/{number:0>33}", headers=headers | more).status_code

    assert [guess(number) for number in range(30)] == [404] * 30
    assert [guess(number) for number in range(40)] == [429] * 40
    assert [reader.get(path).status_code for _ in range(50)] == [200] * 50
    slowed = reader.get("/cal/x")
    assert (slowed.status_code, slowed.headers["Retry-After"]) == (429, "600")

    now.move(minutes=10)

    assert guess(1) == 404


@pytest.mark.bar("L15")
def test_a_dead_link_says_so_and_is_gone_after_thirty_days(
    reader: FlaskClient, path: str, link: Link, practice: Practice, now: Clock
) -> None:
    assert b"J.S." in reader.get(path).data
    links.disable(practice.unlu, link.id)

    notice = reader.get(path)
    now.move(days=30, seconds=1)
    gone = reader.get(path)

    assert (notice.status_code, notice.headers["Content-Type"]) == (200, HEADERS["Content-Type"])
    assert b"Calendar link turned off" in notice.data
    assert b"J.S." not in notice.data
    assert facts(gone) == (
        410,
        "text/plain; charset=utf-8",
        b"This calendar link was turned off.\n",
    )


@pytest.mark.bar("L10")
def test_pages_are_never_stored_and_feeds_may_be(
    browser_of: BrowserOf, reader: FlaskClient, path: str
) -> None:
    """SECURITY L10."""
    browser = browser_of("ada@example.com")
    pages = "/account /calendar /clients /people /settings /calendars /import /none".split()

    stored = [browser.get(page).headers["Cache-Control"] for page in pages]
    stored.append(reader.get("/sign-in").headers["Cache-Control"])
    stored.append(reader.get(f"/cal/{'2' * 33}").headers["Cache-Control"])

    assert set(stored) == {"no-store"}
    assert reader.get(path).headers["Cache-Control"] == HEADERS["Cache-Control"]


@contextmanager
def out_of_order(what: str) -> Iterator[None]:
    """The database fails at every statement that begins so, as it does when it is damaged."""

    def fail(_: object, __: object, statement: str, *more: object) -> None:
        if statement.startswith(what):
            raise sqlcipher.OperationalError("disk I/O error")

    def refuse(*_: object) -> None:
        raise sqlcipher.OperationalError("unable to open database file")

    engine = db.engine
    event.listen(engine, "before_cursor_execute", fail)
    if what == "SELECT token":  # the look-up has connections of its own
        current_app.extensions["feeds"]._lookup.close()
        event.listen(engine.pool, "connect", refuse, insert=True)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)
        if what == "SELECT token":
            event.remove(engine.pool, "connect", refuse)


@pytest.mark.bar("F7", "D3")
def test_while_the_database_is_out_of_order_the_last_good_feed_is_sent(
    reader: FlaskClient, path: str
) -> None:
    """SECURITY F7."""
    good = reader.get(path)

    with out_of_order("SELECT token"):
        answer = reader.get(path)

    assert (answer.status_code, answer.data) == (200, good.data)
    assert dict(answer.headers) == dict(good.headers)


@pytest.mark.bar("F7")
def test_without_a_last_good_feed_an_app_is_told_to_come_back(
    reader: FlaskClient, path: str
) -> None:
    """SECURITY F7."""
    with out_of_order("SELECT token"):
        answer = reader.get(path)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert answer.data == b"The calendar cannot be read just now. Try again in a minute.\n"
    assert NEVER & set(answer.headers.keys()) == set()
    assert reader.get(path).status_code == 200


@pytest.mark.bar("F7")
def test_a_database_that_fails_in_the_middle_sends_no_half_calendar(
    reader: FlaskClient, path: str
) -> None:
    """SECURITY F7."""
    with out_of_order("SELECT appointment"):
        answer = reader.get(path)

    assert (answer.status_code, b"VCALENDAR" in answer.data) == (503, False)


@pytest.mark.bar("L3", "F7")
def test_a_dead_link_stays_dead_while_the_database_is_out_of_order(
    reader: FlaskClient, path: str, link: Link, practice: Practice
) -> None:
    assert reader.get(path).status_code == 200
    links.disable(practice.unlu, link.id)

    with out_of_order("SELECT token"):
        assert reader.get(path).status_code == 503


def test_an_app_with_a_cookie_is_answered_while_the_database_is_out_of_order(
    browser_of: BrowserOf, path: str
) -> None:
    browser = browser_of("unlu@example.com")
    good = browser.get(path).data

    with out_of_order("SELECT"):
        assert [
            browser.get(path).data,
            browser.options(path).status_code,
            browser.put(path).status_code,
        ] == [good, 204, 405]


def read_by(link: Link) -> tuple[str | None, bool]:
    """The app that read the link last, and whether the audit knows of a first reading."""
    visits.recorder().write()
    db.session.rollback()
    found = db.session.get_one(Link, link.id)
    entries = db.session.query(AuditEntry).filter_by(action="link.first_read").count()
    assert entries <= 1
    return found.read_by, entries == 1


@pytest.mark.bar("L12")
@pytest.mark.parametrize(
    ("user_agent", "app_name"),
    [
        ("iOS/26.5 (23F77) dataaccessd/1.0", "Apple Calendar on iPhone or iPad"),
        ("Google-Calendar-Importer", "Google Calendar"),
        ("Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)", "Outlook.com or Microsoft 365"),
        (THUNDERBIRD, "Thunderbird"),
        ("PlanIt/2.0 (by Jane)", "another calendar app (PlanIt)"),
    ],
)
def test_a_visit_is_known_by_the_apps_name(
    app: Flask, reader: FlaskClient, link: Link, path: str, user_agent: str, app_name: str
) -> None:
    hold_recorder(app)

    answer = reader.get(path, headers={"User-Agent": user_agent})
    assert read_by(link) == (app_name, True)
    reader.get(path, headers={"User-Agent": user_agent, "If-None-Match": answer.headers["ETag"]})

    assert read_by(link) == (app_name, True)


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1",
        "curl/8.11.0",
        "Slackbot-LinkExpanding 1.0",
    ],
)
def test_browsers_and_scripts_are_no_visit(
    app: Flask, reader: FlaskClient, link: Link, path: str, user_agent: str
) -> None:
    hold_recorder(app)

    assert reader.get(path, headers={"User-Agent": user_agent}).status_code == 200

    assert read_by(link) == (None, False)


def test_only_a_reading_of_a_living_link_is_a_visit(
    app: Flask, reader: FlaskClient, link: Link, path: str, practice: Practice
) -> None:
    hold_recorder(app)
    app_itself = {"User-Agent": "Google-Calendar-Importer"}

    reader.head(path, headers=app_itself)
    reader.options(path, headers=app_itself)
    reader.put(path, headers=app_itself)
    links.disable(practice.unlu, link.id)
    reader.get(path, headers=app_itself)

    assert read_by(link) == (None, False)


def hold_recorder(app: Flask) -> None:
    """Visits wait until the test asks for them: the recorder starts no thread of its own."""
    recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()
