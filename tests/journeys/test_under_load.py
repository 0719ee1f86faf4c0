"""The running product with many people and calendar apps at once."""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from itertools import product as pairs
from pathlib import Path
from threading import Event
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from sync_ui.models.database import POOL_SIZE
from tests.journeys.calendar_app import Reading, fetch
from tests.journeys.conftest import DEMO_CLINICIANS, Fill
from tests.journeys.person import Person, field
from tests.journeys.product import Product, running, until
from tests.journeys.steps import NOTICE

WRITERS = 12
EACH = 2

ADMIN = "admin@demo.example"

T = TypeVar("T")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    own = Product(tmp_path_factory.mktemp("busy"))
    fill(own, DEMO_CLINICIANS, 4)
    yield from running(own)


@pytest.fixture(scope="module")
def admins(busy: Product) -> Iterator[list[Person]]:
    people = [Person(busy.url, ADMIN) for _ in range(WRITERS)]
    yield people
    for person in people:
        person.close()


def all_at_once(does: Callable[[int], T]) -> list[T]:
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(does, range(WRITERS)))


@dataclass(frozen=True)
class Shared:
    """A link of the first clinician: its number and its address."""

    number: str
    address: str


@pytest.fixture(scope="module")
def shared(busy: Product) -> list[Shared]:
    def share(number: int) -> str:
        words = ("--label", f"Phone {number}", "--display", "initials")
        return busy.command("link", "create", "--calendar", "clinician@demo.example", *words)

    addresses = [share(number) for number in range(2)]
    listed = busy.command("link", "list").splitlines()
    numbers = [line.split()[0] for line in listed if "Phone " in line]
    return [Shared(*each) for each in zip(numbers, addresses, strict=True)]


@pytest.mark.bar("D1")
def test_twelve_who_write_at_once_lose_nothing_and_see_no_error(
    busy: Product, admins: list[Person], shared: list[Shared]
) -> None:
    """Appointments and places that each adds, and one text to which all of them add."""
    address = shared[1].address
    free = datetime.now(ZoneInfo("America/New_York")).date() + timedelta(days=60)
    form = {
        "clinician": "1",
        "kind": "other",
        "title": "Count",
        "minutes": "5",
        "location": "",
        "status": "scheduled",
        "despite": "It is a count",
    }
    made = admins[0].send("/calendar/new", date=free, start="00:00", **form)
    one = until_found(admins[0], free)
    assert made.status_code == 302
    before = set(busy.read(address).starts())

    def add_to_text(person: Person, mark: str) -> int:
        """As often as it takes: whoever was overtaken reads again."""
        refused = 0
        while True:
            page = person.get(one).text
            note = f"{field(page, 'note')} {mark}"
            own = {"note": note, "revision": field(page, "revision"), "scope": "this"}
            answer = person.send(one, date=free, start="00:00", **(form | own))
            if answer.status_code == 302:
                return refused
            assert answer.status_code == 409
            refused += 1

    def write(number: int) -> list[int]:
        person, statuses = admins[number], []
        for turn in range(EACH):
            start = f"{1 + number:02}:{10 * turn:02}"
            booked = person.send("/calendar/new", date=free, start=start, **form)
            placed = person.send("/settings/places", name=f"Room {number}-{turn}")
            statuses += [booked.status_code, placed.status_code]
            add_to_text(person, f"[{number}-{turn}]")
        return statuses

    answers = all_at_once(write)

    assert Counter(chain.from_iterable(answers)) == {302: 2 * WRITERS * EACH}
    marks = [f"[{number}-{turn}]" for number, turn in pairs(range(WRITERS), range(EACH))]
    page = admins[0].get(one).text
    assert sorted(field(page, "note").split()) == sorted(marks)
    assert field(page, "revision") == str(len(marks))
    assert len(busy.read(address).starts() - before) == len(marks)
    places = admins[0].get("/settings/places").text
    assert [mark for mark in marks if f"Room {mark[1:-1]}" not in places] == []


def until_found(person: Person, day: object) -> str:
    """The address of the only appointment of that day that is called Count."""
    page = person.get(f"/calendar?clinician=1&view=agenda&from={day}").text
    [found] = {part.split('"')[0] for part in page.split('href="/calendar/')[1:] if "Count" in part}
    return f"/calendar/{found.split('?')[0]}"


@pytest.mark.bar("L3")
def test_a_reset_under_load_shows_nothing_more_at_the_old_address(
    busy: Product, admins: list[Person], shared: list[Shared]
) -> None:
    address, siblings = (each.address for each in shared)
    owner = Person(busy.url, "clinician@demo.example")
    calendar = owner.get("/calendars").text.split("/calendars/")[1].split("/")[0]
    over = Event()

    def poll(which: str) -> list[tuple[float, Reading]]:
        readings, etag = [], ""
        while not over.is_set():
            begun = time.monotonic()
            answer = fetch(which, etag=etag)
            readings.append((begun, answer))
            etag = answer.etag
        return readings

    with ThreadPoolExecutor(8) as pool:
        old = [pool.submit(poll, address) for _ in range(4)]
        kept = [pool.submit(poll, siblings) for _ in range(2)]
        until(lambda: fetch(address).status == 200)
        done = owner.send(f"/calendars/{calendar}/links/{shared[0].number}/reset")
        answered = time.monotonic()
        gone = [fetch(address) for _ in range(20)]
        over.set()

    owner.close()
    assert done.status_code == 302
    after = gone + [each for polled in old for begun, each in polled.result() if begun > answered]
    notices = dead([each for polled in old for _, each in polled.result()])
    assert len(after) > len(gone)
    assert {each.status for each in after} <= {200, 304}
    assert [each for each in after if each.status == 304 and each.etag not in notices] == []
    assert {tuple(each.titles()) for each in after if each.status == 200} == {(NOTICE,)}
    others = [each for polled in kept for _, each in polled.result()]
    assert {each.status for each in others} <= {200, 304}
    assert all(len(each.titles()) > 1 for each in others if each.status == 200)


def dead(readings: list[Reading]) -> set[str]:
    """The tags of notices."""
    return {each.etag for each in readings if each.status == 200 and NOTICE in each.text}


@pytest.mark.bar("O9", "D6", "F9")
def test_thousands_of_requests_leave_no_handle_and_little_memory(
    busy: Product, admins: list[Person], shared: list[Shared]
) -> None:
    address = shared[1].address
    path = address.removeprefix(busy.url)
    etag = fetch(address).etag

    def read_much(number: int) -> None:
        person = admins[number]
        for _ in range(60):
            assert person.get(path).status_code == 200
            assert fetch(address, etag=etag).status in {200, 304}
            assert fetch(f"{busy.url}/cal/{'2' * 33}").status in {404, 429}
        for page in ("/calendar", "/clients", "/calendars", "/settings/audit", "/nowhere"):
            assert person.get(page).status_code in {200, 404}

    def settled() -> list[int]:
        """What is open once nobody is connected any more."""
        for person in admins:
            person.close()
        until(lambda: not connected(busy.port))
        return handles(busy)

    all_at_once(read_much)
    first, memory = settled(), used(busy)

    all_at_once(read_much)

    assert settled() == first
    assert used(busy) - memory < 30 * 1024 * 1024
    wal = busy.data_dir / "sync.db-wal"
    assert wal.stat().st_size < 64 * 1024 * 1024


def connected(port: int) -> list[str]:
    """Connections to the port that one end at least has not closed (RFC 9293's TIME-WAIT is 06)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        state
        for _, local, _, state, *_ in lines
        if local.endswith(f":{port:04X}") and state not in {"06", "0A"}
    ]


def handles(product: Product) -> list[int]:
    """How many files and connections each process has open, beside those of the database: it has
    a pool, which grows to seventeen at most.
    """
    found = []
    for process in product.processes():
        opened = [each.readlink() for each in Path(f"/proc/{process}/fd").iterdir()]
        database = [each for each in opened if each.name.startswith("sync.db")]
        assert len(database) <= 3 * POOL_SIZE
        found.append(len(opened) - len(database))
    return found


def used(product: Product) -> int:
    """Bytes of memory that are nobody else's."""
    processes = product.processes()
    pages = [int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.bar("N5")
def test_hundreds_of_clients_that_never_finish_hold_up_nobody(
    busy: Product, shared: list[Shared]
) -> None:
    address = shared[1].address
    with ExitStack() as waiting:
        for number in range(300):
            slow = waiting.enter_context(socket.create_connection(("127.0.0.1", busy.port)))
            begun = b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-Slow: "
            slow.sendall(begun if number % 2 else b"POST /sign-in HTTP/1.1\r\nContent-Le")

        answers = [fetch(address).status for _ in range(20)]

    assert answers == [200] * 20


@pytest.mark.bar("N5")
@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 44",
        "Content-Length: 4\r\nContent-Length: 44",
        "Content-Length: +4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
    ],
)
def test_a_request_of_two_lengths_smuggles_no_second_one_in(busy: Product, lengths: str) -> None:
    """One of the two would end before the second request, which is answered or it is not."""
    hidden = "GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = f"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n{lengths}\r\n\r\n0\r\n\r\n{hidden}"

    with socket.create_connection(("127.0.0.1", busy.port), timeout=10) as connection:
        connection.sendall(sent.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.split()[1] in {b"400", b"404"}
    assert b"User-agent" not in answer
