"""A busy hour: 16 connections read many calendars while appointments are being booked.

Nobody may get an error, and the very next reading after each booking must show
it, in every process of the web server. Prints how the readings' times spread.
"""

import argparse
import os
import selectors
import tempfile
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.http_load import CHUNK, Connection, connect, get, request
from benchmarks.product import Product, free_port

SECONDS = 20
CONNECTIONS = 16

# New connections to ask by after each booking, so that every process is met.
ASKED_AGAIN = 8


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as directory:
        settings = {"SYNC_PROCESSES": str(options.processes)}
        if options.postgresql:
            settings["SYNC_DATABASE_URL"] = options.postgresql
        product = Product(Path(directory), free_port(), settings)
        product.flask("demo", "--clinicians", str(options.clinicians), "--password", "x" * 20)
        os.environ.update(product.environment)
        practice = Practice()
        with product.serving():
            for url in practice.urls:
                get(url)
            booking = Booking(practice)
            booking.start()
            seconds, statuses = read(practice.urls, SECONDS)
            booking.stop()
        tell(options, seconds, statuses, booking)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinicians", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgresql", default="", help="an empty database's postgresql:// URL")
    return parser.parse_args()


class Practice:
    """The same installation, from outside the server: a link for each clinician."""

    def __init__(self) -> None:
        from sqlalchemy import select

        from sync_ui import create_app
        from sync_ui.domain.event import DisplayMode
        from sync_ui.models import Calendar, db
        from sync_ui.services import links
        from sync_ui.services.access import COMMAND

        self.app = create_app()
        self.urls: list[str] = []
        self.clinicians: list[int] = []
        with self.app.app_context():
            for calendar in db.session.scalars(select(Calendar).order_by(Calendar.id)).all():
                if calendar.clinician_id is None:
                    continue
                self.clinicians.append(calendar.clinician_id)
                link = links.create(COMMAND, str(calendar.id), "Busy", DisplayMode.INITIALS)
                self.urls.append(links.address(link) or "")


class Booking(threading.Thread):
    """Books one appointment after the other, and reads the calendar at once."""

    def __init__(self, practice: Practice) -> None:
        super().__init__(daemon=True)
        self._practice = practice
        self._ending = threading.Event()
        self.booked = 0
        self.stale = 0
        self.seconds: list[float] = []

    def run(self) -> None:
        whose = cycle(zip(self._practice.clinicians, self._practice.urls, strict=True))
        with self._practice.app.app_context():
            for number, (clinician_id, url) in enumerate(whose):
                if self._ending.is_set():
                    return
                uid = book(clinician_id, number).encode()
                self.booked += 1
                for _ in range(ASKED_AGAIN):
                    start = time.perf_counter()
                    self.stale += uid not in get(url).body
                    self.seconds.append(time.perf_counter() - start)

    def stop(self) -> None:
        self._ending.set()
        self.join()


def book(clinician_id: int, number: int) -> str:
    """Returns the appointment's UID."""
    from sync_ui.domain.event import Kind
    from sync_ui.services import appointments, practice
    from sync_ui.services.access import COMMAND
    from sync_ui.services.plans import Plan

    starts = datetime.combine(datetime.now().date(), datetime.min.time())  # noqa: DTZ005
    starts += timedelta(days=1 + number % 90, minutes=10 * (number % 100))
    plan = Plan(
        starts=starts,
        ends=starts + timedelta(minutes=10),
        zone=practice.get().zone,
        kind=Kind.MEETING,
    )
    return appointments.create(COMMAND, clinician_id, plan, despite="A busy hour").uid


def read(urls: list[str], seconds: float) -> tuple[list[float], Counter[int]]:
    """All connections in turn over all calendars; every second reading is conditional."""
    scratch = memoryview(bytearray(CHUNK))
    requests = cycle([r for url in urls for r in (request(url), request(url, '"of old"'))])
    taken: list[float] = []
    statuses: Counter[int] = Counter()
    ends = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = Connection(connect(urls[0]), next(requests))
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        while time.perf_counter() < ends:
            for key, _ in selector.select(1):
                connection = key.data
                if connection.receive(scratch):
                    taken.append(time.perf_counter() - connection.sent_at)
                    statuses[connection.status] += 1
                    connection.request = next(requests)
                    connection.send()
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return taken, statuses


def tell(options: Any, seconds: list[float], statuses: Counter[int], booking: Booking) -> None:
    database = "PostgreSQL" if options.postgresql else "SQLCipher"
    half, late = median(seconds), quantiles(seconds, n=100)[98]
    print(f"\n{options.clinicians} calendars, {CONNECTIONS} connections,")
    print(f"{options.processes} processes, {database}: {len(seconds)} readings in {SECONDS} s,")
    print(f"statuses {dict(statuses)};")
    print(f"median {half * 1e3:.1f} ms, 99th percentile {late * 1e3:.1f} ms, {late / half:.1f} ×.")
    print(f"{booking.booked} bookings meanwhile, each read {ASKED_AGAIN} times at once on new")
    print(f"connections: {booking.stale} stale; median {median(booking.seconds) * 1e3:.1f} ms.")


if __name__ == "__main__":
    main()
