"""The whole process tree is killed at random moments under a load of bookings, again and again:
what was acknowledged is there, nothing is there by half, and the server starts on what it finds.
"""

import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest
import requests

from tests.journeys.product import until
from tests.machine.installation import Installation, chained, sound
from tests.machine.people import Person
from tests.machine.soaking import rounds
from tests.practice import PASSWORD, Settled

ROUNDS, SOAK_ROUNDS = 5, 200

WRITERS = 4

LONGEST_BEFORE_A_KILL = 0.5


@dataclass
class Bookings:
    """What was asked for, and what the server said was done; each has a minute of its own."""

    asked: set[datetime] = field(default_factory=set)
    acknowledged: set[datetime] = field(default_factory=set)

    def __post_init__(self) -> None:
        first = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ005
        self._minutes = (first + timedelta(days=1, minutes=minute) for minute in count())
        self._lock = threading.Lock()

    def next(self) -> datetime:
        with self._lock:
            minute = next(self._minutes)
            self.asked.add(minute)
        return minute


@pytest.mark.bar("D2")
def test_whatever_was_acknowledged_survives_every_kill(settled: Settled, tmp_path: Path) -> None:
    kill_again_and_again(settled, tmp_path, rounds(ROUNDS, SOAK_ROUNDS))


def kill_again_and_again(settled: Settled, folder: Path, kills: Iterable[int]) -> Bookings:
    """Returns what was booked meanwhile."""
    product, found, chance = Installation(folder), Bookings(), Random()
    shutil.copytree(settled.data_dir, product.data_dir)
    sams = [Person(product.url, "sam@example.com", PASSWORD) for _ in range(WRITERS)]
    product.start()
    try:
        for _ in kills:
            kill_under_load(product, settled, sams, found, chance)
            product.start()
            check(product, found)
    finally:
        product.kill_if_running()
    return found


def kill_under_load(
    product: Installation, settled: Settled, sams: list[Person], found: Bookings, chance: Random
) -> None:
    """At any moment from the first acknowledgement on, for as long as people go on booking."""
    before = len(found.acknowledged)
    forms = [sam.filled(form_of(settled)) for sam in sams]
    booking = [
        threading.Thread(target=book_until_killed, args=(sam, form, found))
        for sam, form in zip(sams, forms, strict=True)
    ]
    for thread in booking:
        thread.start()
    until(lambda: len(found.acknowledged) > before, 60)
    time.sleep(chance.uniform(0, LONGEST_BEFORE_A_KILL))
    product.kill_all()
    for sam, thread in zip(sams, booking, strict=True):
        thread.join()
        sam.hang_up()


def book_until_killed(sam: Person, form: dict[str, object], found: Bookings) -> None:
    with suppress(requests.RequestException):
        while True:
            starts = found.next()
            form |= {"date": f"{starts:%Y-%m-%d}", "start": f"{starts:%H:%M}"}
            answer = sam.send("/calendar/new", form)
            assert answer.status_code == 302, answer.text
            found.acknowledged.add(starts)


def form_of(settled: Settled) -> dict[str, object]:
    """A couple, so that half of a booking would show."""
    practice = settled.practice
    return {
        "clinician": practice.unlu.clinician_id,
        "kind": "session",
        "clients": [practice.jane, practice.mark],
        "minutes": 1,
        "location": "",
    }


def check(product: Installation, found: Bookings) -> None:
    """All of what was acknowledged, all or nothing of the rest, and a file without a fault."""
    with product.database() as opened:
        faults = sound(opened)
        entries = [entry for _, entry in chained(opened)]
        rows = opened.execute("SELECT id, starts_local FROM appointment").fetchall()
        attending = opened.execute(
            "SELECT appointment_id, client_id, position FROM appointment_client"
        ).fetchall()
        versions = opened.execute(
            "SELECT version FROM calendar WHERE clinician_id IS NULL OR clinician_id = 1"
        ).fetchall()
    assert faults == {"integrity": [], "cipher": [], "foreign keys": []}
    stored = {datetime.fromisoformat(starts) for _, starts in rows}
    assert found.acknowledged - stored == set()
    assert stored - found.asked == set()
    assert sorted(attending) == sorted(
        (number, client, position) for number, _ in rows for position, client in enumerate((1, 2))
    )
    told = [subject for _, action, subject in entries if action == "appointment.created"]
    assert sorted(told) == sorted(f"appointment:{number}" for number, _ in rows)
    assert versions == [(len(rows),), (len(rows),)]
