"""The running product, whose computer's clock jumps, stands still and comes back."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.calendar_app import Reading, fetch
from tests.journeys.conftest import DEMO_CLINICIANS, Fill
from tests.journeys.person import Person, field
from tests.journeys.product import Product, until
from tests.journeys.test_under_load import ADMIN, until_found
from tests.stepped_clock import SteppedClock

# As long as nothing else in the demo.
SHORT = timedelta(minutes=5)

NOTHING = timedelta()
DAY = timedelta(days=1)

DOCTOR = "clinician@demo.example"


def sequence(reading: Reading, uid: str) -> int:
    [event] = [part for part in reading.text.split("BEGIN:VEVENT")[1:] if uid in part]
    found = re.search(r"^SEQUENCE:(\d+)", event, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.bar("D7")
def test_a_clock_that_jumps_or_stands_still_harms_nothing(tmp_path: Path, fill: Fill) -> None:
    clock = SteppedClock(tmp_path)
    product = Product(tmp_path, **clock.settings())
    fill(product, DEMO_CLINICIANS, 4)
    words = ("--calendar", DOCTOR, "--label", "Phone", "--display", "initials")
    address = product.command("link", "create", *words)
    day = (datetime.now(UTC) + timedelta(days=60)).date()
    form: dict[str, Any] = {
        "clinician": "1",
        "kind": "other",
        "title": "Count",
        "date": day,
        "minutes": "5",
        "location": "",
        "status": "scheduled",
        "scope": "this",
        "despite": "It is a count",
    }

    with contextmanager(safely)(product):
        early = Person(product.url, ADMIN)
        assert early.send("/calendar/new", start="00:00", **form).status_code == 302
        one = until_found(early, day)
        before = product.read(address)
        [made] = {entry.starts for entry in before.entries() if entry.ends - entry.starts == SHORT}
        uid = uid_at(before, made)
        shown = sequence(before, uid)

        # Back and forth by a day, to a stand, and to what is right: each move is seen at once.
        steps: list[Callable[[], None]] = [
            lambda: clock.be_ahead(-DAY),
            lambda: clock.be_ahead(DAY),
            lambda: clock.stand(datetime.now(UTC) + 2 * DAY),
            lambda: clock.be_ahead(NOTHING),
        ]
        for hour, step in enumerate(steps, 1):
            step()
            mover = Person(product.url, ADMIN)
            revision = field(mover.get(one).text, "revision")
            moved = mover.send(one, start=f"{hour:02}:00", revision=revision, **form)
            assert (hour, moved.status_code) == (hour, 302)
            mover.close()

            after = fetch(address, etag=before.etag)

            assert (hour, after.status) == (hour, 200)
            assert sequence(after, uid) > shown
            assert made + timedelta(hours=hour) in after.starts()
            # The worker does what a new day brings, and then nothing is new.
            until(lambda: fetch(address, etag=fetch(address).etag).status == 304)
            before, shown = after, sequence(after, uid)

        # A year later the session is over, and the link is not.
        early.close()
        early = Person(product.url, ADMIN)  # another: on days ahead the worker ends what is old
        assert early.get("/account").status_code == 200
        clock.be_ahead(366 * DAY)
        assert early.get("/account").status_code == 302
        assert fetch(address, etag=before.etag).status == 200
        Person(product.url, ADMIN).close()

        clock.be_ahead(NOTHING)
        until(lambda: fetch(f"{product.url}/health").status == 200)
        assert (fetch(address).status, sequence(fetch(address), uid)) == (200, shown)
        Person(product.url, ADMIN).close()
        early.close()


def safely(product: Product) -> Iterator[None]:
    """Started, and stopped whatever happens."""
    product.start()
    try:
        yield
    finally:
        product.stop_if_running()
    assert product.news() == []


def uid_at(reading: Reading, starts: datetime) -> str:
    stamp = f"DTSTART:{starts:%Y%m%dT%H%M%SZ}"
    [event] = [part for part in reading.text.split("BEGIN:VEVENT")[1:] if stamp in part]
    found = re.search(r"^UID:(.+?)\r?$", event, re.MULTILINE)
    assert found
    return found[1]
