"""The tests' own servers and browsers, and that they notice what they should."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest
from playwright.sync_api import Page

from tests.browser import DESKTOP, PHONE, Faults, OpenPage

PAGES = {
    "/quiet": "<p>Nothing happens</p>",
    "/error": "<script>console.error('spilt milk')</script>",
    "/throws": "<script>nobody()</script>",
    "/inline": "<p style='color: red'>Styled in place</p>",
    "/away": "<img src='http://elsewhere.invalid/pixel.png'>",
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in PAGES else 404)
        self.send_header("Content-Type", "text/html")
        if self.path == "/inline":
            self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        head = "<!doctype html><title>x</title><link rel=icon href='data:,'>"
        self.wfile.write((head + PAGES.get(self.path, "")).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_quiet_page_has_no_faults(site: str, desktop: Page, faults: Faults) -> None:
    desktop.goto(f"{site}/quiet")

    assert faults.unforgiven() == []


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/error", "console: spilt milk"),
        ("/throws", "script: nobody is not defined"),
        ("/inline", "Content Security Policy"),
        ("/away", "asked another host: http://elsewhere.invalid/pixel.png"),
        ("/nowhere", "404"),
    ],
)
def test_a_page_that_misbehaves_is_noticed(
    site: str, open_page: OpenPage, faults: Faults, path: str, fault: str
) -> None:
    page = open_page()
    page.goto(f"{site}{path}", wait_until="networkidle")
    seen = faults.unforgiven()
    faults.forgive("")

    assert any(fault in sentence for sentence in seen)


def test_the_phone_and_the_desktop_have_their_sizes(phone: Page, desktop: Page) -> None:
    assert phone.viewport_size == PHONE["viewport"] == {"width": 390, "height": 844}
    assert desktop.viewport_size == DESKTOP["viewport"] == {"width": 1280, "height": 900}


def test_a_database_of_the_tests_own_is_empty_and_speaks_unicode(empty_postgresql_url: str) -> None:
    with psycopg.connect(empty_postgresql_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
        name = connection.execute("SELECT 'Zoë O''Brien-García'").fetchone()

    assert tables == (0,)
    assert name == ("Zoë O'Brien-García",)
