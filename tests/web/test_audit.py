"""Account Settings > Audit: what is found, page by page, and what is taken along."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from sync_ui.models import db, transaction
from sync_ui.services import trail
from sync_ui.services.access import COMMAND
from sync_ui.services.audit import Action, record
from sync_ui.services.audit_words import KINDS, WORDS, words
from sync_ui.web import audit
from tests.practice import Clock, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

PAGE = "/settings/audit"


@pytest.fixture
def ada(browser_of: BrowserOf, practice: Practice) -> FlaskClient:
    """Signed in, which is entry 1; then Sam resets a link and a command changes two."""
    browser = browser_of("ada@example.com")
    with transaction() as session:
        record(session, practice.sam, Action.LINK_RESET, "link:1", reason="leaked")
        record(session, COMMAND, Action.LINK_CHANGED, "link:1", days_back=3)
        record(session, COMMAND, Action.LINK_CHANGED, "link:11", days_back=None)
    return browser


def numbers(browser: FlaskClient, query: str = "") -> list[int]:
    text = browser.get(f"{PAGE}{query}").text
    return [int(found) for found in re.findall(r'data-label="Number">(\d+)<', text)]


def test_entries_are_told_newest_first_in_plain_words(ada: FlaskClient) -> None:
    text = " ".join(ada.get(PAGE).text.split())

    assert numbers(ada) == [4, 3, 2, 1]
    assert '<td data-label="Who">Sam Rivera</td>' in text
    assert '<td class="brief-title" data-label="What">Link reset</td>' in text
    assert '<td data-label="Who">A command on the server</td>' in text
    assert '<td data-label="More">reason: leaked</td>' in text
    assert '<td data-label="More"></td>' in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?who=user:2", [2]),
        ("?who=command", [4, 3]),
        ("?what=link.reset", [2]),
        ("?what=link.", [4, 3, 2]),
        ("?which=link+1", [3, 2]),
        ("?which=Link:+11", [4]),
        ("?first=2026-11-23&last=2026-11-23", [4, 3, 2, 1]),
        ("?first=2026-11-24", []),
        ("?last=2026-11-22", []),
        ("?who=command&which=link:1", [3]),
        ("?who=user:99", []),
        ("?before=3", [2, 1]),
        ("?before=3&what=link.", [2]),
        ("?before=x", [4, 3, 2, 1]),
        ("?before=99999999999999999999", [4, 3, 2, 1]),
        ("?before=-1", []),
        ("?before=-99999999999999999999", [4, 3, 2, 1]),
    ],
)
def test_entries_are_found(ada: FlaskClient, query: str, found: list[int]) -> None:
    assert numbers(ada, query) == found


def test_a_day_that_is_none_is_said(ada: FlaskClient) -> None:
    answer = ada.get(f"{PAGE}?first=yesterday")

    assert (answer.status_code, numbers(ada, "?first=yesterday")) == (422, [4, 3, 2, 1])
    assert "Not a valid date value." in answer.text


@pytest.mark.bar("O10")
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("name", ["first", "last"])
def test_a_day_too_far_away_is_said_and_takes_nothing_along(
    ada: FlaskClient, practice: Practice, day: str, name: str
) -> None:
    form = {"csrf_token": csrf_token(ada, PAGE), name: day}

    looked = ada.get(f"{PAGE}?{name}={day}")
    taken = ada.post(f"{PAGE}/export", data=form)

    for answer in (looked, taken):
        assert (answer.status_code, answer.mimetype) == (422, "text/html")
        assert "The date is too far away. Check the year." in answer.text
    assert numbers(ada) == [4, 3, 2, 1]


def test_pages_go_back_and_keep_what_was_asked_for(
    ada: FlaskClient, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ON_A_PAGE", 2)

    first = ada.get(f"{PAGE}?what=link.").text
    older = re.search(r'href="([^"]*)" rel="next"', first)

    assert older is not None
    assert older[1].replace("&amp;", "&") == f"{PAGE}?before=3&what=link."
    assert numbers(ada, "?what=link.") == [4, 3]
    assert numbers(ada, "?before=3&what=link.") == [2]
    last = ada.get(f"{PAGE}?before=3&what=link.").text
    assert (f'href="{PAGE}?what=link."' in last, 'rel="next"' in last) == (True, False)


@pytest.mark.bar("O1", "I8")
def test_what_was_found_is_exported_and_that_is_audited(
    ada: FlaskClient, practice: Practice
) -> None:
    form = {"csrf_token": csrf_token(ada, PAGE), "what": "link.", "who": "command"}

    answer = ada.post(f"{PAGE}/export", data=form)

    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit-2026-11-23.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert [row[0] for row in rows] == ["Number", "3", "4"]
    db.session.rollback()
    (entry,) = trail.page(practice.ada, trail.Asked(), None, 1)
    assert (entry.actor, entry.action) == (practice.ada.word, "audit.exported")


@pytest.mark.bar("A9")
def test_after_five_minutes_an_export_asks_for_the_password(ada: FlaskClient, now: Clock) -> None:
    form = {"csrf_token": csrf_token(ada, PAGE)}
    now.move(minutes=6)

    answer = ada.post(f"{PAGE}/export", data=form)

    assert (answer.status_code, "Link reset" in answer.text) == (403, False)


@pytest.mark.bar("O2")
def test_the_page_says_when_it_was_verified_and_what_was_found(
    ada: FlaskClient, browser_of: BrowserOf, now: Clock
) -> None:
    assert "it has not yet" in ada.get(PAGE).text
    trail.verify_daily()
    assert "whole: 4 entries, each as it was written." in ada.get(PAGE).text

    with db.engine.connect().execution_options(writing=True) as connection:
        connection.exec_driver_sql("UPDATE audit_entry SET subject = 'link:2' WHERE id = 2")
        connection.commit()
    now.move(days=1)
    trail.verify_daily()

    text = browser_of("ada@example.com").get(PAGE).text
    assert "The audit was tampered with, or is damaged" in text
    assert "entry 2 was changed." in text


def test_every_action_and_every_kind_has_plain_words() -> None:
    assert [action for action in Action if action not in WORDS] == []
    assert {action.partition(".")[0] for action in Action} == KINDS.keys()


def test_words_are_unlike() -> None:
    assert len(set(WORDS.values())) == len(WORDS)


def test_an_action_of_another_version_is_told_by_its_word() -> None:
    assert words("link.sent_by_pigeon") == "Link: sent by pigeon"


def test_days_in_the_wrong_order_are_named(ada: FlaskClient) -> None:
    right = ada.get(f"{PAGE}?first=2026-11-22&last=2026-11-23")
    wrong = ada.get(f"{PAGE}?first=2026-11-23&last=2026-11-22")

    named = "The last day must not come before the first." in wrong.text
    assert (right.status_code, wrong.status_code, named) == (200, 422, True)
