"""What another CalDAV client finds in an account's calendars, for tests that write there.

It is the `caldav` package, which shares no code with us. It lives in an
environment of its own (`.ci/caldav-reader`): this file is also its program,
`python other_client.py URL USER PASSWORD`, which prints what it finds.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

PYTHON = Path(sys.prefix) / "caldav" / "bin" / "python"


@dataclass(frozen=True, order=True)
class Found:
    """An event; `starts` and `ends` as ISO writes them, days or moments in UTC."""

    calendar: str
    uid: str
    starts: str
    ends: str
    summary: str
    location: str
    description: str
    busy: bool


def read(url: str, user: str, password: str) -> list[Found]:
    """In order."""
    from tests.system import missing  # the program itself has no tests package

    if not PYTHON.exists():
        missing("The caldav package")
    done = subprocess.run(
        [PYTHON, __file__, url, user, password], check=True, stdout=subprocess.PIPE
    )
    return sorted(Found(**each) for each in json.loads(done.stdout))


def _find(url: str, user: str, password: str) -> list[Found]:
    from datetime import UTC, date, datetime

    import caldav

    def iso(when: date) -> str:
        return (when.astimezone(UTC) if isinstance(when, datetime) else when).isoformat()

    found = []
    with caldav.DAVClient(url=url, username=user, password=password) as client:
        for calendar in client.principal().calendars():
            for held in calendar.events():
                [event] = held.icalendar_instance.events
                found.append(
                    Found(
                        str(calendar.get_display_name()),
                        str(event["UID"]),
                        iso(event["DTSTART"].dt),
                        iso(event["DTEND"].dt),
                        str(event["SUMMARY"]),
                        str(event.get("LOCATION", "")),
                        str(event.get("DESCRIPTION", "")),
                        busy=str(event.get("TRANSP", "OPAQUE")) == "OPAQUE",
                    )
                )
    return found


if __name__ == "__main__":
    print(json.dumps([asdict(each) for each in _find(*sys.argv[1:])]))  # noqa: T201
