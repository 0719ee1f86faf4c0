"""Whatever is sent to whichever route by whoever, the answer is one of ours, never a fault.

Addresses, questions, forms and headers are made from the live map of routes. The same few calls in
`make test`; `make soak` searches.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.routing import IntegerConverter, Rule

from sync_ui.services import links
from tests.practice import Book, Practice, csrf_token
from tests.web.test_every_route import asked_for

BrowserOf = Callable[[str], FlaskClient]

SEARCHES = settings.default is not None and settings.default.max_examples > 1_000

EMAILS = {
    "administrator": "ada@example.com",
    "scheduler": "sam@example.com",
    "clinician": "unlu@example.com",
    "stranger": "",
}

# Whoever asks would be somebody else, or nobody, for all calls that follow.
LEAVING = {"accounts.sign_out", "people.disable", "people.password", "people.user", "static"}

FAULT = re.compile(r"Traceback|sqlalchemy|sqlite|File \"|werkzeug", re.IGNORECASE)

numbers = st.integers(0, 4) | st.sampled_from([-1, 2**31, 2**63, 10**30])
words = st.sampled_from(
    ["", "1", "2", "practice", "x", "initials", "busy", "full_name", "2026-11-24", "9999-12-31",
     "10:00", "24:00", "-1", "50", "2026-11-24T10:00", "y", "ask", "reset", "two_way", "google",
     "caldav", "this", "all", "csv", "\x00", "²", "\u202e", "https://127.0.0.1/", "../..", "%00"]
)  # fmt: skip
texts = words | st.text(max_size=20) | st.sampled_from(["9" * 400, "é" * 300])
fields = st.dictionaries(st.sampled_from(sorted(asked_for() - {""})), texts, max_size=8)
headers = st.dictionaries(
    st.sampled_from(
        [
            "HX-Request",
            "HX-Target",
            "HX-Current-URL",
            "Range",
            "If-None-Match",
            "Accept",
            "Origin",
            "If-Modified-Since",
            "X-Forwarded-For",
            "Content-Type",
            "User-Agent",
            "Referer",
            "Cookie2",
            "Accept-Language",
            "X-Request-ID",
            "Sec-Fetch-Site",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
    | st.sampled_from(["true", "bytes=0-", "*", "cross-site", "multipart/form-data", "text/html"]),
    max_size=3,
)


def path_of(rule: Rule, draw: Callable[[Any], Any]) -> str:
    """An address of the rule; what stands in it may be anything."""
    path = ""
    for is_dynamic, part in rule._trace:
        if not is_dynamic:
            path += part.lstrip("|")
            continue
        is_number = isinstance(rule._converters[part], IntegerConverter)
        path += quote(str(draw(numbers if is_number else texts)), safe="")
    return path


@pytest.mark.bar("O10", "O5")
@pytest.mark.parametrize("who", EMAILS)
def test_any_call_is_answered_without_a_fault(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf, who: str
) -> None:
    book(practice.jane)
    links.allow(practice.unlu, practice.unlus_calendar)
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint not in LEAVING]
    assert len(rules) > 100
    browser = browser_of(EMAILS[who])
    token = csrf_token(browser, "/account" if EMAILS[who] else "/sign-in")
    answered: set[int] = set()

    @settings(
        derandomize=not SEARCHES,
        database=None,
        max_examples=20_000 if SEARCHES else 120,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.sampled_from(rules), fields, fields, headers)
    def call(
        data: st.DataObject,
        rule: Rule,
        query: dict[str, str],
        form: dict[str, str],
        sent: dict[str, str],
    ) -> None:
        path = path_of(rule, data.draw)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            answer = browser.open(
                path,
                method=method,
                query_string=query,
                data=form | {"csrf_token": token} if method == "POST" else None,
                headers=sent,
            )
            assert answer.status_code < 500, (method, path)
            assert not FAULT.search(answer.get_data(as_text=True)), (method, path)
            answered.add(answer.status_code)

    call()

    assert {200, 302, 404} <= answered


def test_a_fault_would_be_seen(app: Flask, practice: Practice) -> None:
    def fails() -> str:
        raise RuntimeError("Out of order")

    app.add_url_rule("/fails", "pages.fails", view_func=fails)

    assert app.test_client().get("/fails").status_code == 500
    assert FAULT.search("Traceback (most recent call last)")
