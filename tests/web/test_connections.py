"""The pages of connections: what they take, what they say, and what they never give back."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.outside import Later, Missing, SignedOut, Span
from sync_ui.domain.reconcile import Rule
from sync_ui.gateways.memory import Memory
from sync_ui.models import Connection, ConnectionState, Direction, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import links, sync
from tests.outside import Outside, connect, use
from tests.practice import NOW, Book, Clock, Practice, csrf_token

SECRET = "a password of the app"

NEW = {"server": "dav.example.com", "user": "unlu", "password": SECRET, "mode": "initials"}


class Visitor:
    """Dr. Ünlü, on the pages of connections."""

    def __init__(self, browser: FlaskClient, practice: Practice) -> None:
        self.browser = browser
        self.sync = f"/calendars/{practice.unlus_calendar}/sync"
        self.pages = f"/calendars/{practice.unlus_calendar}/connections"
        self.new = f"{self.pages}/new?direction=two_way&provider=other"

    def post(self, address: str, /, **form: object) -> TestResponse:
        return self._send(address, form, {})

    def post_in_place(self, address: str, /, **form: object) -> TestResponse:
        """As htmx does."""
        return self._send(address, form, {"HX-Request": "true"})

    def _send(self, address: str, form: dict[str, object], headers: dict[str, str]) -> TestResponse:
        data = form | {"csrf_token": csrf_token(self.browser, "/account")}
        return self.browser.post(address, data=data, headers=headers)

    def look(self, address: str) -> str:
        answer = self.browser.get(address)
        assert answer.status_code == 200
        return words(answer)

    def press(self, outside: Outside, action: str, /, **form: object) -> str:
        """What the page then says."""
        return words(self.post_in_place(f"{self.pages}/{outside.id}{action}", **form))


def private(there: Memory) -> str:
    """The id of the calendar that was there before."""
    return there.calendars()[0].id


@pytest.fixture
def there(app: Flask) -> Memory:
    """An account with a private calendar, in which there is a busy hour and a birthday."""
    found = Memory()
    private = found.make_calendar("Private").id
    starts = NOW + timedelta(days=2)
    span = Span(starts_at=starts, ends_at=starts + timedelta(hours=1))
    found.take_time(private, "gym", span)
    found.take_time(private, "birthday", replace(span, all_day=True))
    use(app, found)
    return found


@pytest.fixture
def unlu(practice: Practice, there: Memory, browser_of: Callable[[str], FlaskClient]) -> Visitor:
    return Visitor(browser_of("unlu@example.com"), practice)


@pytest.fixture
def outside(practice: Practice, there: Memory) -> Outside:
    return connect(practice, there)


def words(answer: TestResponse) -> str:
    """The page's text, one space between any two words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def connections() -> list[Connection]:
    db.session.rollback()
    return list(db.session.query(Connection).order_by(Connection.id))


def put(outside: Outside, **values: object) -> None:
    with transaction() as session:
        row = session.get_one(Connection, outside.id)
        for name, value in values.items():
            setattr(row, name, value)


def state_of(outside: Outside) -> ConnectionState:
    return outside.row.state


def mode_of(outside: Outside) -> DisplayMode:
    return outside.row.mode


# How one is made


def test_three_ways_to_sync_are_offered(practice: Practice, unlu: Visitor) -> None:
    links.allow(practice.unlu, practice.unlus_calendar)

    seen = unlu.look(unlu.sync)

    assert [way for way in ("One-Way Sync", "Two-Way Sync", "Send only") if way in seen] == [
        "One-Way Sync",
        "Two-Way Sync",
        "Send only",
    ]
    page = unlu.browser.get(unlu.sync).text
    offered = re.findall(r'connections/new\?direction=(\w+)"', page)
    assert offered == ["two_way", "send_only"]


def test_the_practices_calendar_has_links_alone(
    practice: Practice, there: Memory, browser_of: Callable[[str], FlaskClient]
) -> None:
    ada = browser_of("ada@example.com")
    links.allow(practice.ada, "practice")

    page = ada.get("/calendars/practice/sync").text
    answer = ada.get("/calendars/practice/connections/new?direction=two_way")

    assert ("One-Way Sync" in page, "connections/new" in page) == (True, False)
    assert answer.status_code == 422
    assert "Only a clinician's own calendar can be connected." in words(answer)


@pytest.mark.bar("S3")
def test_connecting_writes_nothing_before_it_is_started(
    unlu: Visitor, there: Memory, book: Book, practice: Practice
) -> None:
    book(practice.jane)

    made = unlu.post(unlu.new, **NEW)

    (connection,) = connections()
    before = f"{unlu.pages}/{connection.id}/start"
    assert (made.status_code, made.headers["Location"]) == (302, before)
    seen = unlu.look(before)
    assert "1 appointment to write 0 busy times to import 0 all-day events to skip" in seen
    assert "There is nothing of others in it." in seen
    unlu.post(f"{unlu.pages}/{connection.id}/busy", busy=private(there))
    assert "1 busy time to import 1 all-day event to skip" in unlu.look(before)
    assert sync.run(connection.id) is None
    assert there.entries(connection.outside_id) == {}

    unlu.post(before)

    sync.run_until_done(connection.id)
    assert len(there.entries(connection.outside_id)) == 1


def test_what_is_ticked_when_it_is_started_blocks_time(unlu: Visitor, there: Memory) -> None:
    unlu.post(unlu.new, **NEW)
    (connection,) = connections()

    unlu.post(f"{unlu.pages}/{connection.id}/start", busy_listed="1", busy=private(there))

    (connection,) = connections()
    assert connection.state is ConnectionState.WORKING
    assert [each.name for each in connection.busy_calendars] == ["Private"]


def test_who_cancels_is_not_connected(unlu: Visitor) -> None:
    unlu.post(unlu.new, **NEW)
    (connection,) = connections()

    unlu.post(f"{unlu.pages}/{connection.id}/disconnect", written="keep")

    assert [each.state for each in connections()] == [ConnectionState.ENDED]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"server": ""}, "Enter the address of the CalDAV server"),
        ({"user": " "}, "Enter the user name of the account."),
        ({"password": ""}, "Enter the password"),
        ({"mode": "everything"}, "Choose one of these ways to show names."),
        ({"rule": "delete"}, "Choose what becomes of it."),
        ({"mode": "full_name"}, "Confirm that yours has one."),
        ({"outside": "somebody's"}, "Choose a calendar of the list"),
    ],
)
def test_wrong_input_is_told_and_nothing_else_is_lost(
    unlu: Visitor, wrong: dict[str, str], sentence: str
) -> None:
    answer = unlu.post(unlu.new, **(NEW | {"agreement": "BAA of 2026"} | wrong))

    assert answer.status_code in {409, 422}
    assert sentence in words(answer)
    assert 'value="BAA of 2026"' in answer.text
    assert connections() == []


@pytest.mark.bar("I10", "S1")
@pytest.mark.parametrize(
    ("trouble", "status", "sentence"),
    [
        (SignedOut("Sign in again."), 422, "does not accept this user name and password"),
        (Later("The calendar server cannot be reached."), 503, "cannot be reached"),
    ],
)
def test_trouble_with_the_account_is_told_and_the_password_never_comes_back(
    unlu: Visitor, there: Memory, trouble: Exception, status: int, sentence: str
) -> None:
    there.failing = [trouble]  # type: ignore[list-item]

    answer = unlu.post(unlu.new, **NEW)

    assert answer.status_code == status
    assert sentence in words(answer)
    assert 'value="unlu"' in answer.text
    assert SECRET not in answer.text
    assert connections() == []


def test_a_calendar_that_is_there_can_be_written_to(unlu: Visitor, there: Memory) -> None:
    looked = unlu.post(unlu.new, **NEW, look="1")

    assert looked.status_code == 200
    assert "A calendar of its own, made there now Private" in words(looked)
    assert SECRET not in looked.text

    unlu.post(unlu.new, **NEW, outside=private(there))

    assert [each.outside_name for each in connections()] == ["Private"]


def test_no_account_is_connected_twice(unlu: Visitor) -> None:
    assert unlu.post(unlu.new, **NEW).status_code == 302

    answer = unlu.post(unlu.new, **NEW)

    assert answer.status_code == 409
    assert "This account is connected already." in words(answer)
    assert len(connections()) == 1


@pytest.mark.parametrize("query", ["", "?direction=up", "?direction=two_way&provider=fax"])
def test_there_are_no_other_ways(unlu: Visitor, query: str) -> None:
    assert unlu.browser.get(f"{unlu.pages}/new{query}").status_code == 404


# How it fares


def test_a_page_tells_how_it_fares(
    unlu: Visitor, outside: Outside, book: Book, practice: Practice, now: Clock
) -> None:
    book(practice.jane)
    assert "Starting" in unlu.look(f"{unlu.pages}/{outside.id}")
    outside.pass_()
    now.move(seconds=30)

    seen = unlu.look(f"{unlu.pages}/{outside.id}")

    assert "Works Two-Way Sync Initials" in seen
    assert "Last success just now" in seen
    assert "Next At 12:01 PM, and with every change" in seen
    assert "Written 1 appointment" in seen
    assert "to whoever sees the calendar there." in seen
    assert "Wrote an appointment." in seen
    links.allow(practice.unlu, practice.unlus_calendar)
    assert "Two-Way Sync Works In step just now" in unlu.look(unlu.sync)


def test_the_list_of_calendars_tells_it_too(unlu: Visitor, outside: Outside) -> None:
    outside.pass_()
    assert "dav.example.com: works" in unlu.look("/calendars")

    put(outside, state=ConnectionState.SIGNED_OUT)

    assert "dav.example.com: needs signing in again" in unlu.look("/calendars")


@pytest.mark.bar("O3")
def test_the_log_names_nobody(
    unlu: Visitor, outside: Outside, book: Book, practice: Practice
) -> None:
    book(practice.jane)
    put(outside, mode=DisplayMode.FULL_NAME)
    outside.pass_()

    page = unlu.browser.get(f"{unlu.pages}/{outside.id}").text
    log = page[page.index('id="log"') : page.index('id="end"')]

    assert "Jane Smith" in page
    assert "Jane" not in log


def test_sync_now_makes_it_due(unlu: Visitor, outside: Outside) -> None:
    outside.pass_()
    assert outside.row.next_at > NOW

    assert "It is looked after at once." in unlu.press(outside, "/sync")

    assert outside.row.next_at == NOW


def test_what_it_shows_can_be_changed(unlu: Visitor, outside: Outside) -> None:
    form = {"mode": "busy", "telehealth": "none", "rule": "put_back", "type": "y"}

    assert "Saved." in unlu.press(outside, "", **form)

    row = outside.row
    assert (row.mode, row.rule, row.shows_type, row.shows_location) == (
        DisplayMode.BUSY,
        Rule.PUT_BACK,
        True,
        False,
    )


def test_full_names_ask_for_a_confirmation(unlu: Visitor, outside: Outside) -> None:
    form = {"mode": "full_name", "telehealth": "none"}

    assert "Confirm that yours has one." in unlu.press(outside, "", **form)
    assert mode_of(outside) is DisplayMode.INITIALS

    assert "Saved." in unlu.press(outside, "", **form, confirmed="y")
    assert mode_of(outside) is DisplayMode.FULL_NAME


def test_calendars_that_block_time_are_ticked(
    unlu: Visitor, outside: Outside, there: Memory
) -> None:
    assert "Private" in unlu.look(f"{unlu.pages}/{outside.id}/busy")

    assert "Saved." in unlu.press(outside, "/busy", busy=private(there))

    outside.pass_()
    seen = unlu.look("/calendar?view=agenda&date=2026-11-23")
    assert "12:00 – 1:00 PM Busy (personal)" in seen
    span = "start=2026-11-23&end=2026-11-30"
    (event,) = unlu.browser.get(f"/calendar/events?{span}").get_json()
    assert {name: event[name] for name in ("title", "start", "end", "display")} == {
        "title": "Busy (personal)",
        "start": "2026-11-25T12:00",
        "end": "2026-11-25T13:00",
        "display": "background",
    }


def test_who_only_sends_chooses_no_calendars(
    unlu: Visitor, practice: Practice, there: Memory
) -> None:
    outside = connect(practice, there, Direction.SEND_ONLY)

    assert unlu.browser.get(f"{unlu.pages}/{outside.id}/busy").status_code == 404
    assert "Calendars that block time" not in unlu.look(f"{unlu.pages}/{outside.id}")


# What it needs of people


@pytest.mark.parametrize(
    ("state", "words_of_it"),
    [
        (ConnectionState.STOPPED, "stopped until you answer"),
        (ConnectionState.SIGNED_OUT, "needs signing in again"),
        (ConnectionState.LOST, "its calendar is gone"),
    ],
)
def test_a_banner_says_when_somebody_is_needed(
    unlu: Visitor, outside: Outside, state: ConnectionState, words_of_it: str
) -> None:
    for page in (unlu.sync, "/calendar"):
        assert words_of_it not in unlu.look(page)

    put(outside, state=state, trouble="Something happened.")

    for page in (unlu.sync, "/calendar"):
        assert f"dav.example.com: {words_of_it} Something happened." in unlu.look(page)


def test_a_new_password_mends_it(unlu: Visitor, outside: Outside, there: Memory) -> None:
    there.failing = [SignedOut("Sign in again.")]
    sync.run(outside.id)
    assert "It needs signing in again" in unlu.look(f"{unlu.pages}/{outside.id}")

    assert "Enter the password." in unlu.press(outside, "/sign-in")
    there.failing = [SignedOut("The name and password are not accepted.")]
    refused = unlu.post_in_place(f"{unlu.pages}/{outside.id}/sign-in", password=SECRET)
    assert (refused.status_code, SECRET in refused.text) == (422, False)
    assert state_of(outside) is ConnectionState.SIGNED_OUT

    assert "Signed in." in unlu.press(outside, "/sign-in", password=SECRET)
    assert state_of(outside) is ConnectionState.WORKING


@pytest.mark.parametrize("rule", [Rule.PUT_BACK, Rule.ASK])
def test_a_stopped_one_is_answered(unlu: Visitor, outside: Outside, rule: Rule) -> None:
    put(outside, state=ConnectionState.STOPPED, trouble="12 of 20 were removed at once.")
    seen = unlu.look(f"{unlu.pages}/{outside.id}")
    assert "They were changed by mistake: put everything back" in seen
    assert "Ask me about each" in seen

    assert "The connection goes on." in unlu.press(outside, "/answer", rule=rule.value)

    assert (outside.row.state, outside.row.answer) == (ConnectionState.WORKING, rule)


@pytest.mark.bar("S3")
def test_a_stopped_one_is_never_answered_by_following(unlu: Visitor, outside: Outside) -> None:
    put(outside, state=ConnectionState.STOPPED)

    unlu.press(outside, "/answer", rule="follow")

    assert state_of(outside) is ConnectionState.STOPPED


def test_a_lost_calendar_is_made_anew(unlu: Visitor, outside: Outside, there: Memory) -> None:
    there.failing = [Missing("The calendar is no longer there.")]
    sync.run(outside.id)

    assert "There is a new calendar." in unlu.press(outside, "/anew")

    assert outside.row.outside_id != outside.calendar_id


# Its end


def test_disconnecting_removes_what_was_written(
    unlu: Visitor, outside: Outside, book: Book, practice: Practice
) -> None:
    book(practice.jane)
    outside.pass_()
    assert len(outside.entries()) == 1

    assert "is being removed" in unlu.press(outside, "/disconnect", written="remove")

    sync.run_until_done(outside.id)
    assert (outside.entries(), outside.row.state) == ({}, ConnectionState.ENDED)


def test_what_was_left_can_be_removed_later(
    unlu: Visitor, outside: Outside, book: Book, practice: Practice
) -> None:
    book(practice.jane)
    outside.pass_()
    unlu.press(outside, "/disconnect", written="keep")
    assert (len(outside.entries()), outside.row.sealed) == (1, None)
    links.allow(practice.unlu, practice.unlus_calendar)
    assert "Earlier connections" in unlu.look(unlu.sync)
    seen = unlu.look(f"{unlu.pages}/{outside.id}")
    assert "Disconnected" in seen
    assert "1 appointment that it wrote may still be there." in seen

    assert "is being removed" in unlu.press(outside, "/sign-in", password=SECRET)

    sync.run_until_done(outside.id)
    assert (outside.entries(), outside.row.state) == ({}, ConnectionState.ENDED)


# Google


def test_without_a_client_at_google_nobody_is_sent_there(
    unlu: Visitor, browser_of: Callable[[str], FlaskClient]
) -> None:
    page = f"{unlu.pages}/new?direction=two_way"

    assert "Not set up yet. Ask an administrator of your practice" in unlu.look(page)
    assert 'href="/settings/google"' in browser_of("ada@example.com").get(page).text


def test_with_a_client_at_google_one_signs_in_there(app: Flask, unlu: Visitor) -> None:
    page = f"{unlu.pages}/new?direction=send_only"
    assert 'action="/connections/google/start"' not in unlu.browser.get(page).text
    installed = current()
    known = replace(installed.config, google_client_id="ours", google_client_secret="hidden")
    app.extensions["installation"] = replace(installed, config=known)

    shown = unlu.browser.get(page).text

    assert 'action="/connections/google/start"' in shown
    assert 'name="direction" value="send_only"' in shown


def test_the_guide_names_the_address_to_register(
    browser_of: Callable[[str], FlaskClient],
) -> None:
    page = browser_of("ada@example.com").get("/settings/google").text

    assert 'value="https://calendar.example.com/connections/google/callback"' in page
    assert "ends every permission after 7 days" in page


@pytest.mark.bar("L3")
def test_unticking_ends_connections_too(
    practice: Practice, book: Book, unlu: Visitor, outside: Outside
) -> None:
    book(practice.jane)
    outside.pass_()
    assert "nothing leaves the practice" not in unlu.look(unlu.sync)

    asked = words(unlu.post_in_place(unlu.sync))
    assert "Connections take back what they wrote." in asked
    assert outside.row.state is ConnectionState.WORKING
    unlu.post_in_place(f"{unlu.sync}/disallow")
    sync.run_until_done(outside.id)

    assert (outside.entries(), outside.row.state) == ({}, ConnectionState.ENDED)
    assert "nothing leaves the practice" in unlu.look(unlu.sync)


def test_a_connected_calendar_without_a_link_can_have_one(
    practice: Practice, unlu: Visitor, outside: Outside
) -> None:
    assert "Make a link that any calendar app can read" in unlu.look(unlu.sync)
    unlu.post(unlu.sync, allowed="y")
    assert len(links.live(outside.row.calendar)) == 1
