"""What stands on a CalDAV server after a pass: as another client reads it, and in its files."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode, Kind
from sync_ui.models import Direction
from sync_ui.services import appointments, clients, connections, providers, sync
from sync_ui.services import practice as practices
from sync_ui.services.plans import plan_of
from tests.other_client import Found, read
from tests.practice import Book, Practice
from tests.radicale import HOST, Radicale

pytestmark = pytest.mark.parametrize("config", ["sqlcipher"], indirect=True)

CANARIES = {
    "first": "Xaverine",
    "last": "Yolkowski",
    "preferred": "Zuzuline",
    "internal_id": "Q-77431",
    "topic": "Tessellation",
    "title": "Vexillology",
    "note": "Wistfulness",
}

ANYTHING = "“Lindenstraße” 😀; a\\b, c:d " * 4 + "e"

Account = tuple[str, str]
Connect = Callable[[DisplayMode, Direction], int]


@pytest.fixture
def config(config: Config) -> Config:
    return replace(config, allow_private_addresses=(HOST,))


@pytest.fixture
def account(radicale: Radicale) -> Account:
    return radicale.new_user()


@pytest.fixture
def connect(practice: Practice, radicale: Radicale, account: Account) -> Connect:
    """Connects Dr. Ünlü and makes the first pass."""

    def make(mode: DisplayMode, direction: Direction = Direction.TWO_WAY) -> int:
        made = connections.connect(
            practice.unlu,
            practice.unlus_calendar,
            providers.look_around(providers.caldav_login(radicale.url, *account)),
            direction,
            mode,
            confirmed=True,
        )
        connections.start(practice.unlu, made.id)
        work(made.id)
        return made.id

    return make


def work(connection_id: int) -> None:
    passed = sync.run_until_done(connection_id)
    assert passed is not None
    assert passed.trouble == ""


def test_another_client_finds_what_was_booked_and_nothing_else(
    practice: Practice, book: Book, connect: Connect, radicale: Radicale, account: Account
) -> None:
    jane = book(practice.jane, at="2026-11-24 10:00")
    book(practice.mark, at="2027-03-14 03:30", location="Room 2")  # the night the clocks change
    book(at="2027-03-15 09:00", kind=Kind.MEETING, title=ANYTHING)
    book(at="2026-12-24 00:00", minutes=48 * 60, kind=Kind.TIME_OFF, all_day=True)
    cancelled = book(practice.zoe, at="2026-11-25 10:00")
    appointments.cancel(practice.unlu, cancelled.id)

    connection_id = connect(DisplayMode.FULL_NAME, Direction.TWO_WAY)

    found = read(radicale.url, *account)
    assert {each.calendar for each in found} == {"Dr. Ünlü – Riverside"}
    assert [told(each) for each in by_time(found)] == [
        ("2026-11-24T15:00:00+00:00", "2026-11-24T15:50:00+00:00", "Jane Smith", "", True),
        ("2026-12-24", "2026-12-26", "Time off", "", True),
        ("2027-03-14T07:30:00+00:00", "2027-03-14T08:20:00+00:00", "Mark Smith", "Room 2", True),
        ("2027-03-15T13:00:00+00:00", "2027-03-15T13:50:00+00:00", ANYTHING, "", True),
    ]

    later = plan_of(jane)
    later = replace(later, starts=later.starts.replace(hour=16), ends=later.ends.replace(hour=17))
    appointments.change(practice.unlu, jane.id, later, despite="Agreed")
    work(connection_id)

    again = read(radicale.url, *account)
    assert {each.uid for each in again} == {each.uid for each in found}
    [moved] = set(again) - set(found)
    assert (moved.starts, moved.summary) == ("2026-11-24T21:00:00+00:00", "Jane Smith")


def by_time(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda each: each.starts)


def told(each: Found) -> tuple[str, str, str, str, bool]:
    return each.starts, each.ends, each.summary, each.location, each.busy


@pytest.mark.bar("S5")
@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (DisplayMode.BUSY, set[str]()),
        (DisplayMode.INTERNAL_ID, {"internal_id"}),
        (DisplayMode.INITIALS, set()),
        (DisplayMode.FIRST_NAME, {"preferred"}),
        (DisplayMode.FULL_NAME, {"first", "last", "title"}),
    ],
)
@pytest.mark.parametrize("direction", list(Direction))
def test_the_server_holds_no_more_than_the_mode_shows(
    practice: Practice,
    book: Book,
    connect: Connect,
    radicale: Radicale,
    account: Account,
    mode: DisplayMode,
    direction: Direction,
    shown: set[str],
) -> None:
    """SECURITY S1."""
    client = clients.create(
        practice.sam,
        first_name=CANARIES["first"],
        last_name=CANARIES["last"],
        preferred_name=CANARIES["preferred"],
        internal_id=CANARIES["internal_id"],
    )
    practices.show_internal_ids(practice.ada, shown=True)
    book(client.id, title=CANARIES["topic"], note=CANARIES["note"])
    book(at="2026-11-25 12:00", kind=Kind.MEETING, title=CANARIES["title"], note=CANARIES["note"])

    connect(mode, direction)

    user, _ = account
    files = [file for file in held(radicale, user) if file.endswith(b"END:VCALENDAR\r\n")]
    assert len(files) >= 2
    everything = b"".join(held(radicale, user)).decode(errors="replace").lower()
    assert {name for name, canary in CANARIES.items() if canary.lower() in everything} == shown


def held(radicale: Radicale, user: str) -> list[bytes]:
    """Every file that the server keeps for the account, its caches and names included."""
    folder = radicale.folder / "collections" / "collection-root" / user
    return [
        str(file.relative_to(folder)).encode() + b"\n" + file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    ]
