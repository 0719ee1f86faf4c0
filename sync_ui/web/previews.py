"""The next appointments as they would leave the building, by their days, for pages to show."""

from datetime import date, datetime
from itertools import groupby

from sync_ui.domain.event import Choices, DisplayMode, Event
from sync_ui.models import Calendar
from sync_ui.services import feeds
from sync_ui.web import dates

Day = dict[str, object]


def next_days(calendar: Calendar, mode: DisplayMode, choices: Choices) -> list[Day]:
    """The calendar's next events by day, as the preview's macro takes them."""
    events = feeds.preview(calendar, mode, choices)
    return [
        {"label": dates.day(day), "events": [_shown(event) for event in of_day]}
        for day, of_day in groupby(events, _day_of)
    ]


def _day_of(event: Event) -> date:
    starts = event.starts
    return starts.astimezone(dates.zone()).date() if isinstance(starts, datetime) else starts


def _shown(event: Event) -> dict[str, object]:
    if isinstance(event.starts, datetime) and isinstance(event.ends, datetime):
        starts, ends = dates.clock_time(event.starts), dates.clock_time(event.ends)
    else:
        starts, ends = "All day", ""
    return {
        "title": event.summary,
        "place": event.location,
        "note": " · ".join(filter(None, (event.description, _way_in(event)))),
        "gone": event.cancelled,
        "starts": starts,
        "ends": ends,
    }


def _way_in(event: Event) -> str:
    """The button to join, by the address that it opens."""
    return f"Join: {event.conference}" if event.conference else ""
