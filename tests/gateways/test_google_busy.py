"""When other calendars at Google are taken: documented behaviour, not verified against Google."""

from datetime import UTC, datetime

import pytest

from sync_ui.domain.outside import Span, Window
from sync_ui.gateways.google import Google
from tests.gateways.scripted_google import Calendar, ScriptedGoogle

WINDOW = Window(datetime(2026, 11, 14, 15, tzinfo=UTC), datetime(2026, 12, 4, 15, tzinfo=UTC))


@pytest.fixture
def calendar(google_server: ScriptedGoogle) -> Calendar:
    return google_server.calendar("Anna's own")


def at(hour: int) -> dict[str, str]:
    """In the zone of New York, in November."""
    return {"dateTime": f"2026-11-24T{hour:02}:00:00-05:00", "timeZone": "America/New_York"}


LUNCH = {"start": at(12), "end": at(13)}
AT_LUNCH = Span(
    starts_at=datetime(2026, 11, 24, 17, tzinfo=UTC), ends_at=datetime(2026, 11, 24, 18, tzinfo=UTC)
)


@pytest.mark.bar("I7")
def test_busy_times_are_told_without_a_word_of_what_they_are(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google_server.somebody_writes(calendar, "lunch", **LUNCH, summary="Lunch with Max")
    days = {"start": {"date": "2026-11-26"}, "end": {"date": "2026-11-28"}}
    google_server.somebody_writes(calendar, "thanksgiving", **days)

    busy = google.busy(calendar.id, None, WINDOW)

    assert busy.spans == {
        "lunch": (AT_LUNCH,),
        "thanksgiving": (
            Span(
                starts_at=datetime(2026, 11, 26, 5, tzinfo=UTC),
                ends_at=datetime(2026, 11, 28, 5, tzinfo=UTC),
                all_day=True,
            ),
        ),
    }
    assert (busy.gone, busy.whole) == ((), True)
    asked = google_server.asked[-1].query
    assert "summary" not in asked["fields"]
    assert (asked["timeMin"], asked["timeMax"]) == (
        "2026-11-14T15:00:00+00:00",
        "2026-12-04T15:00:00+00:00",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"transparency": "transparent"},
        {"eventType": "workingLocation"},
        {"eventType": "birthday"},
        {"attendees": [{"self": True, "responseStatus": "declined"}]},
        {"extendedProperties": {"private": {"syncCalendar": "anybody's mark"}}},
        {"start": at(13), "end": at(13)},
        {"start": {"date": "2026-10-01"}, "end": {"date": "2026-10-02"}},
        {"start": {"date": "2027-10-01"}, "end": {"date": "2027-10-02"}},
    ],
    ids=["free", "a place", "a birthday", "declined", "marked", "an instant", "before", "after"],
)
def test_what_takes_no_time_blocks_none(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle, fields: dict[str, object]
) -> None:
    google_server.somebody_writes(calendar, "lunch", **LUNCH)
    before = google.busy(calendar.id, None, WINDOW)
    google_server.somebody_writes(calendar, "lunch", **fields)

    after = google.busy(calendar.id, before.token, WINDOW)

    assert before.spans == {"lunch": (AT_LUNCH,)}
    assert after.spans == {"lunch": ()}
    assert after.whole is False


def test_an_invitation_that_was_accepted_blocks_its_time(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    guests = [
        {"self": True, "responseStatus": "accepted"},
        {"email": "max@example.com", "responseStatus": "declined"},
    ]
    google_server.somebody_writes(calendar, "lunch", **LUNCH, attendees=guests)

    assert google.busy(calendar.id, None, WINDOW).spans == {"lunch": (AT_LUNCH,)}


def test_a_busy_time_that_was_removed_is_gone(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    google_server.somebody_writes(calendar, "lunch", **LUNCH)
    token = google.busy(calendar.id, None, WINDOW).token
    google_server.somebody_removes(calendar, "lunch")

    busy = google.busy(calendar.id, token, WINDOW)

    assert (busy.spans, busy.gone, busy.whole) == ({}, ("lunch",), False)
    assert {"timeMin", "timeMax"} & set(google_server.asked[-1].query) == set()
