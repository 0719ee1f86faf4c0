"""What is fuzzed, and what must hold of it whatever comes: used by `make fuzz` and by the replay
of the corpus, which every run of the tests does.

A target takes bytes and raises for nothing; what it asserts is more than not to fall over.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask

from sync_ui.domain import tokens
from sync_ui.domain.csv_read import read_csv
from sync_ui.domain.csv_table import COLUMNS, ColumnMapping, glance
from sync_ui.domain.ics_read import is_calendar, read_ics
from sync_ui.domain.reading import Reading
from sync_ui.errors import Invalid

CORPUS = Path(__file__).parent / "data" / "corpus"
SAMPLES = Path(__file__).parent / "data" / "imports"

ZONE = "America/New_York"
TODAY = date(2026, 6, 15)

Target = Callable[[bytes], None]


def calendar(data: bytes) -> None:
    """An upload that may be a calendar: read or refused, and read alike a second time."""
    _taken_or_refused(lambda: _sound(read_ics(data, ZONE, TODAY)))
    with _refusing():
        is_calendar(data)


def table(data: bytes) -> None:
    """An upload that may be a table; also with columns that somebody has named at random."""
    _taken_or_refused(lambda: _sound(read_csv(data, ZONE, TODAY)))
    with _refusing():
        seen = glance(data, {})
        names = ["", *(column.name for column in COLUMNS)]
        chosen = tuple(
            names[(len(heading.cell) + place) % len(names)]
            for place, heading in enumerate(seen.headings)
        )
        said = {seen.signature: ColumnMapping(chosen, day_first=bool(len(data) % 2))}
        glance(data, said)
        _sound(read_csv(data, ZONE, TODAY, said))


def spelling(data: bytes) -> None:
    """A link or code as mail and hands leave it: mended to one that we could have issued, or not
    one of ours; and its digest never fails.
    """
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        mended = tokens.normalise(text)
        assert mended == "" or tokens.well_formed(mended)
        assert tokens.normalise(mended) == mended
        assert tokens.digest(text) == tokens.digest(mended or text)
        assert len(tokens.digest(text)) == 64


class Door:
    """The feed's own way in, in front of a whole application in which one link lives."""

    HEADERS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_USER_AGENT", "QUERY_STRING")

    def __init__(self, app: Flask, token: str) -> None:
        self._app, self._token = app, token
        self._asked = count()

    def __call__(self, data: bytes) -> None:
        """First line: what follows /cal/, where * stands for the living link; then the method,
        then headers. Only the link, however it is mangled, is answered with a calendar.
        """
        lines = data.decode("latin-1").split("\n")
        asked = lines[0].replace("*", self._token)
        method = ("GET", "HEAD", "OPTIONS", "POST")[len(lines[1]) % 4 if len(lines) > 1 else 0]
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": f"/cal/{asked}",
            "REMOTE_ADDR": str(ip_address(next(self._asked) % 2**32)),  # or guessing is slowed
            "SERVER_NAME": "calendar.example.com",
            "SERVER_PORT": "443",
            "wsgi.url_scheme": "https",
            **dict(zip(self.HEADERS, lines[2:], strict=False)),
        }
        if asked == "":
            return  # the application's own
        status, body = self._answered(environ)
        assert status in {200, 204, 304, 404, 405}, status
        is_ours = tokens.normalise(asked.partition("/")[0]) == self._token
        if method in {"GET", "HEAD"}:
            assert (status in {200, 304}) == is_ours, (status, quote(asked))
        assert (b"BEGIN:VCALENDAR" in body) == (status == 200 and method == "GET")

    def _answered(self, environ: dict[str, Any]) -> tuple[int, bytes]:
        statuses: list[str] = []

        def start(status: str, headers: object, error: object = None) -> Callable[[bytes], object]:
            statuses.append(status)
            return statuses.__contains__  # nobody writes by it

        body = b"".join(self._app.wsgi_app(environ, start))
        return int(statuses[0].split()[0]), body


PURE: dict[str, Target] = {"calendar": calendar, "table": table, "spelling": spelling}


def _taken_or_refused(read: Callable[[], Reading]) -> None:
    """Twice the same."""
    outcomes: list[object] = []
    for _ in range(2):
        try:
            outcomes.append(read())
        except Invalid as refused:
            outcomes.append(refused.sentence)
    assert outcomes[0] == outcomes[1]


def _sound(reading: Reading) -> Reading:
    """What every reader after this relies on."""
    for entry in reading.entries:
        assert isinstance(entry.starts, date), entry
        assert isinstance(entry.starts, datetime) == isinstance(entry.ends, datetime), entry
        assert entry.line >= 1
        for text in (entry.title, entry.location):
            assert not set(text) & {"\r", "\n", "\x00", "\x1b"}, text
    for problem in reading.problems:
        assert problem.reason.endswith((".", "?", "”")), problem.reason
    return reading


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Invalid:
        return
