"""What a connection costs, beside what a CalDAV server takes for the same bare requests.

A real Radicale in a process of its own. Three things are measured: how long a
booking takes to be there, with the product running as a practice runs it; the
first writing of 800 appointments, beside as many bare writings; and reading one
change among 10 000 entries, beside the two bare requests that tell of it.
"""

import argparse
import os
import random
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import unquote, urlsplit

from flask import Flask

from benchmarks.busy import book
from benchmarks.product import Product, free_port
from tests.radicale import HOST, Radicale

BOOKINGS = 30
READINGS = 7

ENTRY = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Somebody//EN\r
BEGIN:VEVENT\r
UID:{name}\r
DTSTAMP:20261101T000000Z\r
DTSTART:{day}T110000Z\r
DTEND:{day}T120000Z\r
SUMMARY:{text}\r
END:VEVENT\r
END:VCALENDAR\r
"""


@dataclass(frozen=True)
class Account:
    """Somebody's account at the server, for bare requests on one kept connection."""

    user: str
    password: str
    line: HTTPConnection

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> bytes:
        credentials = b64encode(f"{self.user}:{self.password}".encode()).decode()
        sent = {"Authorization": f"Basic {credentials}", **headers}
        self.line.request(method, path, body.encode(), sent)
        answer = self.line.getresponse()
        told = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} was answered {answer.status}.")
        return told


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as directory:
        folder = Path(directory) / "radicale"
        folder.mkdir()
        radicale = Radicale(folder)
        product = Product(Path(directory), free_port(), {"SYNC_ALLOW_PRIVATE_ADDRESSES": HOST})
        product.flask("demo", "--clinicians", "1", "--weeks", "1", "--password", "x" * 20)
        os.environ.update(product.environment)
        radicale.start()
        try:
            app = application()
            with app.app_context():
                connection_id = write_first(radicale, options.appointments)
                read_one_change(radicale, options.entries)
            with product.serving(), app.app_context():
                tell_bookings([until_there(radicale, connection_id, n) for n in range(BOOKINGS)])
        finally:
            radicale.stop()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--appointments", type=int, default=800)
    parser.add_argument("--entries", type=int, default=10_000)
    return parser.parse_args()


def application() -> Flask:
    from sync_ui import create_app

    return create_app()


def account(radicale: Radicale) -> Account:
    return Account(*radicale.new_user(), HTTPConnection(HOST, radicale.port, timeout=600))


def connect(radicale: Radicale, who: Account, number: int, outside_id: str = "") -> int:
    """The demo's clinician of that number, at that account; begun."""
    from sqlalchemy import select

    from sync_ui.domain.event import DisplayMode
    from sync_ui.models import Calendar, Direction, db
    from sync_ui.services import connections, providers
    from sync_ui.services.access import COMMAND

    owned = select(Calendar).where(Calendar.clinician_id.is_not(None)).order_by(Calendar.id)
    calendar = db.session.scalars(owned).all()[number]
    login = providers.caldav_login(radicale.url, who.user, who.password)
    made = connections.connect(
        COMMAND,
        str(calendar.id),
        providers.look_around(login),
        Direction.TWO_WAY,
        DisplayMode.INITIALS,
        outside_id=outside_id,
        confirmed=True,
    )
    connections.start(COMMAND, made.id)
    return made.id


def write_first(radicale: Radicale, wanted: int) -> int:
    """Write a whole schedule, and as many bare entries of the same account."""
    from sync_ui.models import Connection, db
    from sync_ui.services import connections, copies, sync

    who = account(radicale)
    connection_id = connect(radicale, who, 0)
    clinician_id = db.session.get_one(Connection, connection_id).calendar.clinician_id
    assert clinician_id is not None
    missing = wanted - connections.queue(db.session.get_one(Connection, connection_id))
    for number in range(missing):
        book(clinician_id, number)
    taken = seconds(lambda: sync.run_until_done(connection_id))
    written = copies.count(connection_id)

    place = f"/{who.user}/bare/"
    who.ask("MKCALENDAR", place)
    bare = seconds(
        lambda: [
            who.ask("PUT", f"{place}{name}.ics", entry(f"{name}"), **{"If-None-Match": "*"})
            for name in range(written)
        ]
    )
    print(f"\n{written} appointments written to an empty calendar in {taken:.1f} s,")
    print(f"{written / taken:.0f} a second; {written} bare requests in {bare:.1f} s:")
    print(f"{taken / bare:.1f} × the server's own time.")
    return connection_id


def read_one_change(radicale: Radicale, entries: int) -> None:
    """A calendar full of others' entries, of which one is changed before each reading.

    Whose it is has no appointments: nothing is written there.
    """
    from sync_ui.models import transaction
    from sync_ui.services import people, sync

    with transaction() as session:
        people.add_clinician(session, "Dr. Full")
    who = account(radicale)
    who.ask("MKCALENDAR", f"/{who.user}/full/")
    folder = radicale.folder / "collections" / "collection-root" / who.user / "full"
    for number in range(entries):
        name = f"entry-{number}"
        (folder / f"{name}.ics").write_bytes(entry(name).encode())
    connection_id = connect(radicale, who, 1, f"{radicale.url}{who.user.replace('@', '%40')}/full/")
    whole = seconds(lambda: sync.run_until_done(connection_id))
    token = bare_reading(who, "")

    ours, bare = [], []
    for number in range(READINGS):
        changed = f"entry-{number * 17}"
        path = f"/{who.user}/full/{changed}.ics"
        who.ask("PUT", path, entry(changed, f"Changed {number}"))
        ours.append(seconds(lambda: sync.run(connection_id)))
        start = time.perf_counter()
        token = bare_reading(who, token)
        bare.append(time.perf_counter() - start)
    print(f"\n{entries} entries read for the first time in {whole:.1f} s; then a pass that finds")
    print(f"one changed takes {median(ours) * 1e3:.0f} ms, the two bare requests that tell of it")
    print(f"{median(bare) * 1e3:.0f} ms: {median(ours) / median(bare):.1f} ×.")


def bare_reading(who: Account, token: str) -> str:
    """What changed since, and the first entry of it; the new token."""
    place = f"/{who.user}/full/"
    listed = who.ask(
        "REPORT",
        place,
        '<sync-collection xmlns="DAV:"><sync-token>' + token + "</sync-token>"
        "<sync-level>1</sync-level><prop><getetag/></prop></sync-collection>",
    ).decode()
    href = listed.partition("<href>")[2].partition("</href>")[0]
    who.ask(
        "REPORT",
        place,
        '<c:calendar-multiget xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
        f"<prop><getetag/><c:calendar-data/></prop><href>{href}</href></c:calendar-multiget>",
        Depth="1",
    )
    return listed.partition("<sync-token>")[2].partition("</sync-token>")[0]


def until_there(radicale: Radicale, connection_id: int, number: int) -> float:
    """Seconds from the click until the server has the appointment."""
    from sync_ui.models import Connection, db
    from sync_ui.services import copies

    db.session.rollback()
    connection = db.session.get_one(Connection, connection_id)
    calendar, place = connection.calendar, unquote(urlsplit(connection.outside_id).path)
    calendar_uid, clinician_id = calendar.uid, calendar.clinician_id
    assert clinician_id is not None
    folder = radicale.folder / "collections" / "collection-root" / place.strip("/")
    time.sleep(random.random())  # not in step with whoever looks now and then
    start = time.perf_counter()
    uid = book(clinician_id, 5_000 + number)
    file = folder / f"{copies.entry_id(calendar_uid, uid)}.ics"
    while not file.exists():
        time.sleep(0.001)
    return time.perf_counter() - start


def tell_bookings(taken: list[float]) -> None:
    late = quantiles(taken, n=100, method="inclusive")[98]
    print(
        f"\n{len(taken)} bookings, one after the other, in a running product: at the server after"
    )
    print(f"{median(taken):.2f} s in the median, {late:.2f} s in the 99th percentile.")


def entry(name: str, text: str = "Private") -> str:
    day = datetime(2026, 1, 1) + timedelta(days=hash(name) % 1000)
    return ENTRY.format(name=name, day=f"{day:%Y%m%d}", text=text)


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
