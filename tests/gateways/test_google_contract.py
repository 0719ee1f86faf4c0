"""What leaves for Google is what Google's own description of its API knows.

Every test with the `google` fixture is held against it; here the guard itself is
tried, and that each permission we ask for is enough for what it is asked for.
"""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from sync_ui.domain.outside import Copy, Told, Window
from sync_ui.gateways.google import Google
from sync_ui.gateways.google_sign_in import (
    BUSY_TIMES,
    CALENDAR_NAMES,
    OWN_CALENDARS,
    SEND_ONLY,
    TWO_WAY,
)
from tests.gateways.discovery import document, faults_of
from tests.gateways.scripted_google import ScriptedGoogle, signed_in

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
JANE = Copy(
    id="sc0jane",
    mark="ourmark",
    told=Told(starts=NOW, ends=NOW + timedelta(minutes=50), summary="J.S."),
)
EVENTS = "/calendars/c1/events"


def faults(method: str, path: str, body: object = None, **headers: str) -> list[str]:
    address = f"http://127.0.0.1/calendar/v3{path}"
    request = requests.Request(method, address, json=body, headers=headers)
    return faults_of(request.prepare(), set(TWO_WAY))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{EVENTS}?singleEvents=true&maxResults=10", None),
        ("GET", f"{EVENTS}?fields=items(id,extendedProperties/private/x),nextSyncToken", None),
        ("POST", EVENTS, {"id": "sc0", "start": {"date": "2026-11-24"}}),
        ("PATCH", f"{EVENTS}/sc0", {"start": {"date": None}}),
    ],
)
def test_a_request_that_google_knows_passes(method: str, path: str, body: object) -> None:
    assert faults(method, path, body) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("PUT", EVENTS, {}, "there is no PUT /calendar/v3/calendars/c1/events"),
        ("GET", "/users/me/settings", None, "none of the scopes allows this"),
        ("GET", f"{EVENTS}?onlyMine=true", None, "onlyMine is no parameter"),
        ("GET", f"{EVENTS}?maxResults=ten", None, "maxResults is no integer"),
        ("GET", f"{EVENTS}?singleEvents=True", None, "singleEvents is no boolean"),
        ("GET", f"{EVENTS}?orderBy=end", None, "orderBy cannot be end"),
        ("GET", f"{EVENTS}?timeMin=2026-11-24T15:00:00", None, "timeMin has no zone"),
        ("GET", f"{EVENTS}?q=a&q=b", None, "q stands there twice"),
        ("GET", f"{EVENTS}?fields=items(id,title)", None, "fields.items.title is no field"),
        ("GET", EVENTS, {}, "there is no body to send"),
        ("POST", EVENTS, None, "the body is missing"),
        ("POST", EVENTS, {"title": "J.S."}, ".title is no field"),
        ("POST", EVENTS, {"summary": 7}, ".summary is no string"),
        ("POST", EVENTS, {"start": {"date": None}}, ".start.date is null"),
        (
            "POST",
            EVENTS,
            {"reminders": {"useDefault": "no"}},
            ".reminders.useDefault is no boolean",
        ),
        ("POST", EVENTS, {"attendees": [{"mail": "a@b.c"}]}, ".attendees[].mail is no field"),
        ("POST", f"{EVENTS}?sendUpdates=nobody", {}, "sendUpdates cannot be nobody"),
    ],
)
def test_a_request_that_google_does_not_know_is_noticed(
    method: str, path: str, body: object, fault: str
) -> None:
    assert faults(method, path, body) == [fault]


def test_a_condition_on_a_read_is_noticed() -> None:
    assert faults("GET", EVENTS, **{"If-Match": '"1"'}) == ["If-Match is for changes"]


def test_a_request_that_google_does_not_know_never_leaves(
    google: Google, google_server: ScriptedGoogle
) -> None:
    google.calendars()
    google_server.asked.clear()

    with pytest.raises(AssertionError, match="is no parameter"):
        google.session.get(google_server.app.at.api + "calendars/c1/events?onlyMine=true")

    assert google_server.asked == []


def test_sending_needs_one_permission(google_server: ScriptedGoogle) -> None:
    with signed_in(google_server.app, google_server.tokens, SEND_ONLY) as google:
        calendar = google.make_calendar("Sessions")
        etag = google.put(calendar.id, JANE, None)
        google.changes(calendar.id, google.changes(calendar.id, None).token)
        google.remove(calendar.id, JANE.id, google.put(calendar.id, JANE, etag))
        google.put(calendar.id, JANE, None)
        channel = google.watch(calendar.id, "channel-1", "t", "https://practice.example/g", 60)
        google.stop("channel-1", channel.resource_id)

        with pytest.raises(AssertionError, match="none of the scopes"):
            google.calendars()


@pytest.mark.bar("S1")
def test_busy_times_need_no_permission_to_read_events(google_server: ScriptedGoogle) -> None:
    calendar = google_server.calendar("Anna's own")
    window = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))

    with signed_in(google_server.app, google_server.tokens, [BUSY_TIMES]) as google:
        google.busy(calendar.id, google.busy(calendar.id, None, window).token, window)
        google.watch(calendar.id, "channel-1", "t", "https://practice.example/g", 60)

        with pytest.raises(AssertionError, match="none of the scopes"):
            google.put(calendar.id, JANE, None)


def test_the_list_of_calendars_needs_its_own(google_server: ScriptedGoogle) -> None:
    with signed_in(google_server.app, google_server.tokens, [CALENDAR_NAMES]) as google:
        assert google.calendars() == []


@pytest.mark.bar("S1")
def test_google_knows_every_scope_that_we_ask_for() -> None:
    known = document()["auth"]["oauth2"]["scopes"]

    assert [scope for scope in TWO_WAY if scope not in known] == []
    assert (OWN_CALENDARS,) == SEND_ONLY
