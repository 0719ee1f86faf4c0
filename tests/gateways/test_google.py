"""Google Calendar: documented behaviour, not verified against Google.

Each request that leaves is held against Google's own description of its API; the
answers come from the tests' own server, which follows Google's guides.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sync_ui.domain.outside import (
    Copy,
    Entry,
    Expired,
    Later,
    Missing,
    OutsideCalendar,
    Rejected,
    Stale,
    Told,
    Window,
)
from sync_ui.gateways.google import Google
from tests.gateways.scripted_google import (
    Answer,
    Calendar,
    ScriptedGoogle,
    refusal,
)

TUESDAY = datetime(2026, 11, 24, 15, tzinfo=UTC)
WINDOW = Window(TUESDAY - timedelta(days=10), TUESDAY + timedelta(days=10))

JANE = Copy(
    id="sc0jane",
    mark="ourmark",
    told=Told(
        starts=TUESDAY,
        ends=TUESDAY + timedelta(minutes=50),
        summary="J.S.",
        location="Room 2",
        description="Intake",
    ),
)
VACATION = Copy(
    id="sc0vacation",
    mark="ourmark",
    told=Told(starts=date(2026, 12, 24), ends=date(2026, 12, 27), summary="Time off", free=True),
)
VIENNA = ZoneInfo("Europe/Vienna")
IN_VIENNA = replace(
    JANE,
    told=replace(
        JANE.told,
        starts=datetime(2026, 11, 24, 16, tzinfo=VIENNA),
        ends=datetime(2026, 11, 24, 17, tzinfo=VIENNA),
    ),
)
MOVED = replace(
    JANE,
    told=Told(
        starts=TUESDAY + timedelta(hours=2), ends=TUESDAY + timedelta(hours=3), summary="J.S."
    ),
)


@pytest.fixture
def calendar(google_server: ScriptedGoogle) -> Calendar:
    return google_server.calendar("Sessions")


def entry(copy: Copy, etag: str) -> Entry:
    return Entry(id=copy.id, etag=etag, mark=copy.mark, told=copy.told)


def test_calendars_are_listed_with_what_may_be_done_there(
    google: Google, google_server: ScriptedGoogle
) -> None:
    own = google_server.calendar("Anna's own")
    read = google_server.calendar("Holidays", role="reader")

    assert google.calendars() == [
        OutsideCalendar(own.id, "Anna's own", writable=True),
        OutsideCalendar(read.id, "Holidays", writable=False),
    ]


def test_a_calendar_is_made_in_the_zone_of_the_practice(
    google: Google, google_server: ScriptedGoogle
) -> None:
    made = google.make_calendar("Sessions", "Europe/Vienna")

    assert made == OutsideCalendar(made.id, "Sessions", writable=True)
    assert google_server.calendars[made.id].zone == "Europe/Vienna"


@pytest.mark.parametrize(
    "copy", [JANE, VACATION, IN_VIENNA], ids=["at a time", "for days", "in another zone"]
)
def test_what_was_put_there_is_read_again(google: Google, calendar: Calendar, copy: Copy) -> None:
    assert google.get(calendar.id, copy.id) is None

    etag = google.put(calendar.id, copy, None)

    assert google.get(calendar.id, copy.id) == entry(copy, etag)


@pytest.mark.bar("S5")
def test_nothing_is_sent_but_what_the_event_tells(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google.put(calendar.id, JANE, None)

    asked = google_server.asked[-1]
    assert (asked.method, asked.query["sendUpdates"]) == ("POST", "none")
    assert asked.body == {
        "id": "sc0jane",
        "status": "confirmed",
        "summary": "J.S.",
        "location": "Room 2",
        "description": "Intake",
        "start": {"dateTime": "2026-11-24T15:00:00Z", "timeZone": "UTC"},
        "end": {"dateTime": "2026-11-24T15:50:00Z", "timeZone": "UTC"},
        "transparency": "opaque",
        "visibility": "private",
        "extendedProperties": {"private": {"syncCalendar": "ourmark"}},
        "reminders": {"useDefault": False},
    }


def test_an_event_is_overwritten_from_a_time_to_days_and_back(
    google: Google, calendar: Calendar
) -> None:
    days = replace(JANE, told=VACATION.told)

    first = google.put(calendar.id, JANE, None)
    second = google.put(calendar.id, days, first)
    in_days = google.get(calendar.id, JANE.id)
    third = google.put(calendar.id, MOVED, second)

    assert in_days == entry(days, second)
    assert google.get(calendar.id, JANE.id) == entry(MOVED, third)
    assert len({first, second, third}) == 3


def test_a_colour_and_a_reminder_that_somebody_chose_stay(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google.put(calendar.id, JANE, None)
    chosen = {
        "colorId": "7",
        "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 5}]},
    }
    seen = google_server.somebody_writes(calendar, JANE.id, **chosen)["etag"]

    google.put(calendar.id, MOVED, seen)

    stored = calendar.events[JANE.id]
    assert {name: stored[name] for name in chosen} == chosen


@pytest.mark.bar("S4")
def test_an_event_that_somebody_changed_is_not_overwritten(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    etag = google.put(calendar.id, JANE, None)
    google_server.somebody_writes(calendar, JANE.id, summary="Jane, moved by hand")

    with pytest.raises(Stale):
        google.put(calendar.id, MOVED, etag)
    with pytest.raises(Stale):
        google.remove(calendar.id, JANE.id, etag)

    assert calendar.events[JANE.id]["summary"] == "Jane, moved by hand"


def test_an_event_that_was_removed_stands_up_again(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    first = google.put(calendar.id, JANE, None)
    google.remove(calendar.id, JANE.id, first)
    assert google.get(calendar.id, JANE.id) is None

    etag = google.put(calendar.id, MOVED, None)

    assert google.get(calendar.id, JANE.id) == entry(MOVED, etag)
    assert [asked.method for asked in google_server.asked[-5:]] == [
        "GET",
        "POST",
        "GET",
        "PATCH",
        "GET",
    ]


def test_an_event_revived_by_somebody_at_the_same_moment_is_left_to_them(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google.remove(calendar.id, JANE.id, google.put(calendar.id, JANE, None))
    google_server.will_answer("PATCH", JANE.id, refusal(412, "conditionNotMet"))

    with pytest.raises(Stale):
        google.put(calendar.id, JANE, None)


def test_a_listing_is_read_to_its_last_page_also_over_empty_ones(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google_server.page_size, google_server.empty_page_first = 2, True
    for number in range(5):
        google.put(calendar.id, replace(JANE, id=f"sc0jane{number}"), None)
    google_server.asked.clear()

    changes = google.changes(calendar.id, None)

    assert [found.id for found in changes.entries] == [f"sc0jane{number}" for number in range(5)]
    assert len(google_server.asked) == 4
    assert google.changes(calendar.id, changes.token).entries == ()


def test_of_what_is_told_twice_the_last_word_counts(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    there = {"id": "sc0jane", "etag": '"7"', "status": "confirmed"}
    gone = {"id": "sc0jane", "status": "cancelled"}
    for first, last in ((there, gone), (gone, there)):
        page = {"items": [first], "nextPageToken": "1"}
        google_server.will_answer("GET", "/events", Answer(200, page))
        google_server.will_answer("GET", "/events", Answer(200, {"items": [last]}))

    removed, revived = (google.changes(calendar.id, None) for _ in range(2))

    assert (removed.entries, removed.gone) == ((), ("sc0jane",))
    assert (revived.entries, revived.gone) == ((Entry(id="sc0jane", etag='"7"'),), ())


@pytest.mark.bar("I5", "S3")
def test_a_listing_that_breaks_off_tells_nothing(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google_server.page_size = 1
    google.put(calendar.id, JANE, None)
    google.put(calendar.id, VACATION, None)
    google_server.will_answer("GET", "/events", Answer(200, {"items": [], "nextPageToken": "1"}))
    google_server.will_answer("GET", "/events", refusal(503, "backendError"))

    with pytest.raises(Later):
        google.changes(calendar.id, None)


def test_an_event_of_somebody_else_carries_no_mark(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    times = {"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-25"}}
    google_server.somebody_writes(calendar, "dentist", **times)
    google_server.somebody_writes(calendar, "yoga", **times, recurrence=["RRULE:FREQ=WEEKLY"])
    google_server.somebody_writes(calendar, "broken")

    dentist, yoga, broken = google.changes(calendar.id, None).entries

    assert [found.mark for found in (dentist, yoga, broken)] == ["", "", ""]
    assert dentist.told == Told(starts=date(2026, 11, 24), ends=date(2026, 11, 25), summary="")
    assert (yoga.told, broken.told) == (None, None)


def test_a_token_that_is_too_old_or_nonsense_has_expired(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    token = google.changes(calendar.id, None).token
    google.changes(calendar.id, token)
    google_server.forget_changes()

    with pytest.raises(Expired):
        google.changes(calendar.id, token)
    with pytest.raises(Expired):
        google.changes(calendar.id, "nonsense")
    with pytest.raises(Expired):
        google.busy(calendar.id, token, WINDOW)


def test_a_calendar_that_was_removed_is_missing(google: Google) -> None:
    calendar_id = "gone@group.calendar.example"

    with pytest.raises(Missing):
        google.changes(calendar_id, None)
    with pytest.raises(Missing):
        google.put(calendar_id, JANE, None)
    with pytest.raises(Missing):
        google.busy(calendar_id, None, WINDOW)
    with pytest.raises(Missing):
        google.watch(calendar_id, "channel-1", "t", "https://practice.example/google", 60)


def test_google_promises_to_call_and_is_told_to_stop(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    channel = google.watch(
        calendar.id, "channel-1", "a token", "https://practice.example/google", 604800
    )
    google.stop("channel-1", channel.resource_id)

    watched, stopped = google_server.asked[-2:]
    assert channel.expires_at == datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
    assert watched.body == {
        "id": "channel-1",
        "type": "web_hook",
        "address": "https://practice.example/google",
        "token": "a token",
        "params": {"ttl": "604800"},
    }
    assert stopped.body == {"id": "channel-1", "resourceId": channel.resource_id}


def test_a_channel_that_google_has_forgotten_is_stopped(
    google: Google, google_server: ScriptedGoogle
) -> None:
    google_server.will_answer("POST", "channels/stop", refusal(404, "channelIdNotFound"))

    google.stop("channel-1", "of nobody")

    assert google_server.asked[-1].path == "/calendar/v3/channels/stop"


def test_an_address_that_google_does_not_accept_is_no_lost_sign_in(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    for _ in range(3):  # google-auth asks again with a new token
        google_server.will_answer("POST", "/watch", refusal(401, "push.webhookUrlUnauthorized"))

    with pytest.raises(Rejected, match="verify the domain"):
        google.watch(calendar.id, "channel-1", "t", "https://practice.example/google", 60)
