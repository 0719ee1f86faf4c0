"""What the schedule costs, as multiples of the bare statements on the same database.

A demo practice of 50 clinicians with 40 appointments a week each. A request is
measured inside the process (a WSGI client, no network), in turn with what it
cannot do without: the one query of a week, or the rows that a booking writes.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from itertools import count
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event, func, insert, select
from werkzeug.test import TestResponse

from sync_ui import clock, create_app
from sync_ui.config import Config
from sync_ui.domain import recurrence
from sync_ui.domain.event import Kind
from sync_ui.models import Appointment, Clinician, db, installation
from sync_ui.services import demo

ROUNDS = 15
PASSWORD = "a password of the benchmark"
ZONE = demo.ZONE

_numbers = count()


@dataclass(frozen=True)
class Case:
    """A request, and the statements that nothing could do without."""

    name: str
    request: Callable[[], None]
    bare: Callable[[], None]


class Desk:
    """A scheduler's browser."""

    def __init__(self, app: Flask) -> None:
        self._browser = app.test_client()
        self._token = ""
        today = clock.now().date()
        self._sunday = today + timedelta(days=13 - today.weekday())
        form = {"email": "scheduler@demo.example", "password": PASSWORD}
        self._token = token_in(self._open("/sign-in").text)
        self._post("/sign-in", form)
        self._token = token_in(self._open("/calendar/new").text)

    def get(self, address: str) -> None:
        db.session.remove()
        answer = self._open(address)
        assert answer.status_code == 200, answer.status

    def book(self, **more: str) -> None:
        """A minute of its own on a Sunday, so that nothing is in the way."""
        minute = next(_numbers) % 1000 + 300
        form = {
            "clinician": "1",
            "kind": "meeting",
            "title": "Benchmark",
            "date": str(self._sunday),
            "start": f"{minute // 60:02}:{minute % 60:02}",
            "minutes": "1",
            "location": "",
            "status": "scheduled",
        }
        self._post("/calendar/new", form | more)

    def _post(self, address: str, form: dict[str, str]) -> None:
        db.session.remove()
        answer = self._open(address, method="POST", data=form | {"csrf_token": self._token})
        assert answer.status_code == 302, answer.text

    def _open(self, address: str, **more: Any) -> TestResponse:
        """Each request stands alone, as in the server's threads."""
        answer: TestResponse = Context().run(self._browser.open, address, buffered=True, **more)
        return answer


def token_in(page: str) -> str:
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as directory:
        config = Config(data_dir=Path(directory) / "instance", base_url="http://127.0.0.1:8000")
        installation.prepare(config)
        app = create_app(config)
        with app.app_context():
            monday = fill()
            desk = Desk(app)
            print(f"A week of {booked(monday)} appointments of 50 clinicians")
            print(f"{'':34}{'request':>11}{'bare':>11}{'ratio':>8}")
            for case in cases(desk, monday):
                compare(case)
            db.session.remove()
            db.engine.dispose()


def fill() -> date:
    """The demo's thirty a week, and ten more for each clinician in the week after next."""
    demo.fill(password=PASSWORD, clinicians=50, weeks=8)
    today = clock.now().date()
    monday = today - timedelta(days=today.weekday(), weeks=-2)
    clinician_ids = list(db.session.scalars(select(Clinician.id)))
    rows = [
        row(clinician_id, datetime(monday.year, monday.month, monday.day, hour) + timedelta(day))
        for clinician_id in clinician_ids
        for day in range(5)
        for hour in (17, 18)
    ]
    writing(lambda: db.session.execute(insert(Appointment), rows))
    return monday


def row(clinician_id: int, starts: datetime) -> dict[str, object]:
    at = recurrence.in_utc(starts, ZONE)
    return {
        "uid": f"benchmark-{next(_numbers)}",
        "clinician_id": clinician_id,
        "kind": Kind.OTHER,
        "zone": ZONE,
        "starts_local": starts,
        "starts_at": at,
        "ends_at": at + timedelta(minutes=50),
        "created_at": at,
        "changed_at": at,
        "own": [],
    }


def cases(desk: Desk, monday: date) -> list[Case]:
    span = f"start={monday}&end={monday + timedelta(days=7)}"
    week = query_of(lambda: desk.get(f"/calendar/events?{span}"))
    return [
        Case("week, JSON", lambda: desk.get(f"/calendar/events?{span}"), week),
        Case(
            "week, page with its agenda",
            lambda: desk.get(f"/calendar?view=agenda&date={monday}"),
            week,
        ),
        Case("booking", desk.book, lambda: write(1)),
        Case(
            "series of 52",
            lambda: desk.book(repeats="weekly", times="52"),
            lambda: write(52),
        ),
    ]


def compare(case: Case) -> None:
    """Prints the median of each and of the rounds' ratios, in milliseconds."""
    case.request()
    case.bare()
    pairs = [(timed(case.request), timed(case.bare)) for _ in range(ROUNDS)]
    request, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"{case.name:34}{request:8.2f} ms{bare:8.2f} ms{ratio:7.1f}x")


def timed(use: Callable[[], None]) -> float:
    began = time.perf_counter()
    use()
    return (time.perf_counter() - began) * 1000


def write(rows: int) -> None:
    """As many rows in one transaction, which is all that the database has to do."""
    starts = datetime(2040, 1, 2, 9)
    made = [row(1, starts + timedelta(weeks=n)) for n in range(rows)]
    writing(lambda: db.session.execute(insert(Appointment), made))


def writing(use: Callable[[], Any]) -> None:
    db.session.rollback()
    db.session.connection(execution_options={"writing": True})
    use()
    db.session.commit()


def query_of(request: Callable[[], None]) -> Callable[[], None]:
    """The longest query of the request, as text, with its values: to be asked again bare."""
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, values: object, *___: object) -> None:
        asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    request()
    event.remove(db.engine, "before_cursor_execute", note)
    statement, values = max(asked, key=lambda found: len(found[0]))

    def bare() -> None:
        db.session.remove()
        db.session.connection().exec_driver_sql(statement, values).fetchall()

    return bare


def booked(monday: date) -> int:
    first = datetime.combine(monday, time_of_day())
    wanted = select(func.count(Appointment.id)).where(
        Appointment.starts_local >= first, Appointment.starts_local < first + timedelta(days=7)
    )
    return db.session.scalar(wanted) or 0


if __name__ == "__main__":
    main()
