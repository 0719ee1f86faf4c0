"""How readers ask for a link, and what they find."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

import requests
from icalendar import Calendar

from tests.machine.model import Told
from tests.wire import wire

# As mail, hand and calendar apps write one address.
SPELLINGS = (
    "/cal/{token}",
    "/cal/{token}/",
    "/cal/{token}./",
    "/cal/{token}/schedule.ics",
    "/cal/{token}/schedule.ics?utm_source=mail",
    "/cal/{capitals}/x.ics",
    "/cal/<{token}>",
)

NOTICE = "This calendar link was turned off"


@dataclass(frozen=True)
class Held:
    """What a reader was last given, and under which tag and date."""

    etag: str
    date: str
    body: bytes


class Readers:
    """Whoever reads links, from the same house."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._wire = wire()

    def read(
        self,
        token: str,
        headers: dict[str, str] | None = None,
        *,
        spelling: str = SPELLINGS[0],
        method: str = "GET",
    ) -> requests.Response:
        path = spelling.format(token=token, capitals=token.upper())
        asked = {"User-Agent": "Google-Calendar-Importer", **(headers or {})}
        return self._wire.request(
            method, self.url + path, headers=asked, allow_redirects=False, timeout=60
        )

    def hang_up(self) -> None:
        self._wire.close()


@lru_cache(64)
def told(body: bytes) -> list[Told]:
    """What an independent parser finds, in order of time."""
    events: list[Any] = list(Calendar.from_ical(body).events)
    return sorted(
        (
            _moment(event["DTSTART"].dt),
            _moment(event["DTEND"].dt),
            str(event["SUMMARY"]),
            str(event.get("LOCATION", "")),
        )
        for event in events
    )


def unfolded(body: bytes) -> str:
    return body.decode().replace("\r\n ", "")


def shows_nothing(answer: requests.Response) -> bool:
    """Whether whoever asked learns of no appointment."""
    if answer.status_code in {404, 410, 429}:
        return b"BEGIN:" not in answer.content
    return answer.status_code == 200 and [each[2] for each in told(answer.content)] == [NOTICE]


def _moment(when: date | datetime) -> datetime:
    if isinstance(when, datetime):
        return when.astimezone(UTC)
    return datetime.combine(when, time(), UTC)
