"""How an event is written at Google, and what of one is read."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync_ui.domain.outside import Copy, Entry, Span, Told, Window

# The private property that carries our mark; other applications never see it.
MARK = "syncCalendar"

_MARKED = f"extendedProperties/private/{MARK}"
# What is asked for of an event in the calendar that we write to, and of any other.
ENTRY = "id,etag,status,start,end,recurrence,summary,location,description,transparency," + _MARKED
BUSY = f"id,status,start,end,transparency,eventType,attendees(self,responseStatus),{_MARKED}"

# Says where one works, or whose birthday it is.
_TAKES_NO_TIME = {"workingLocation", "birthday"}

# A calendar's usual reminders would ring for each copy; whoever wants one adds it there.
QUIET = {"reminders": {"useDefault": False}}


def body(copy: Copy, *, clearing: bool = False) -> dict[str, Any]:
    """The event to send; `clearing` takes away what another kind of time left in a patch."""
    told = copy.told
    return {
        "status": "confirmed",
        "summary": told.summary,
        "location": told.location,
        "description": told.description,
        "start": _when(told.starts, clearing=clearing),
        "end": _when(told.ends, clearing=clearing),
        "transparency": "transparent" if told.free else "opaque",
        "visibility": "private",
        "extendedProperties": {"private": {MARK: copy.mark}},
    }


def _when(moment: datetime | date, *, clearing: bool) -> dict[str, str | None]:
    # A patch merges: with both kinds of time in it Google refuses the event.
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()} | ({"dateTime": None} if clearing else {})
    written = {"dateTime": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC"}
    return written | ({"date": None} if clearing else {})


def entry(item: Mapping[str, Any]) -> Entry:
    return Entry(id=item["id"], etag=item.get("etag", ""), mark=_mark(item), told=_told(item))


def _mark(item: Mapping[str, Any]) -> str:
    mark: str = item.get("extendedProperties", {}).get("private", {}).get(MARK, "")
    return mark


def _told(item: Mapping[str, Any]) -> Told | None:
    """None for what repeats, which none of ours do, and for what has no time."""
    times = _times(item)
    if times is None or item.get("recurrence"):
        return None
    return Told(
        starts=times[0],
        ends=times[1],
        summary=item.get("summary", ""),
        location=item.get("location", ""),
        description=item.get("description", ""),
        free=item.get("transparency") == "transparent",
    )


def _times(item: Mapping[str, Any]) -> tuple[datetime | date, datetime | date] | None:
    try:
        return _moment(item["start"]), _moment(item["end"])
    except (KeyError, ValueError):
        return None


def _moment(told: Mapping[str, str]) -> datetime | date:
    if "dateTime" in told:
        return datetime.fromisoformat(told["dateTime"]).astimezone(UTC)
    return date.fromisoformat(told["date"])


def spans(item: Mapping[str, Any], zone: str, window: Window) -> Iterator[Span]:
    """The event's time, if it takes any within the window; `zone` is the calendar's."""
    times = _times(item)
    if times is None or _takes_no_time(item):
        return
    starts_at, ends_at = (_instant(moment, zone) for moment in times)
    if starts_at < ends_at and starts_at < window.ends_at and ends_at > window.starts_at:
        all_day = not isinstance(times[0], datetime)
        yield Span(starts_at=starts_at, ends_at=ends_at, all_day=all_day)


def _takes_no_time(item: Mapping[str, Any]) -> bool:
    declined = any(
        guest.get("self") and guest.get("responseStatus") == "declined"
        for guest in item.get("attendees", [])
    )
    free = item.get("transparency") == "transparent" or item.get("eventType") in _TAKES_NO_TIME
    return declined or free or bool(_mark(item))


def _instant(moment: datetime | date, zone: str) -> datetime:
    if isinstance(moment, datetime):
        return moment
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return datetime.combine(moment, time(), UTC)
    return datetime.combine(moment, time(), local).astimezone(UTC)
