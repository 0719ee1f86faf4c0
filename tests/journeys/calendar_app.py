"""How calendar apps read a link, and what they find."""

import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import NamedTuple
from urllib.error import HTTPError

from icalendar import Calendar

# What Apple Calendar on an iPhone calls itself when it refreshes a calendar.
IPHONES_CALENDAR = "iOS/26.5 (23F77) dataaccessd/1.0"


class Entry(NamedTuple):
    """All-day events begin and end with their days in UTC."""

    starts: datetime
    ends: datetime
    title: str


@dataclass(frozen=True, slots=True)
class Reading:
    status: int
    etag: str
    body: bytes

    @property
    def text(self) -> str:
        """Without the folds of its lines."""
        return self.body.decode().replace("\r\n ", "")

    def entries(self) -> list[Entry]:
        """The events in order."""
        return sorted(
            Entry(moment(event.start), moment(event.end), str(event["SUMMARY"]))
            for event in Calendar.from_ical(self.body).events
        )

    def titles(self) -> list[str]:
        return [entry.title for entry in self.entries()]

    def titles_ahead(self) -> list[str]:
        """Of what is not over yet."""
        now = datetime.now(UTC)
        return [entry.title for entry in self.entries() if entry.ends > now]

    def starts(self) -> set[datetime]:
        return {entry.starts for entry in self.entries()}


def fetch(address: str, *, agent: str = IPHONES_CALENDAR, etag: str = "") -> Reading:
    """One GET; raises OSError where nobody answers."""
    headers = {"User-Agent": agent, "Accept-Encoding": "gzip, deflate"}
    if etag:
        headers["If-None-Match"] = etag
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Reading(answer.status, answer.headers.get("ETag", ""), answer.read())
    except HTTPError as error:
        with error:
            return Reading(error.code, error.headers.get("ETag", ""), error.read())


def moment(when: date | datetime) -> datetime:
    if isinstance(when, datetime):
        return when
    return datetime.combine(when, time(), UTC)
