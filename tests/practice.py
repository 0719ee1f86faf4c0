"""A practice with named people, all invented, on a database of its own.

Dr. Ünlü sees Jane Smith and Mark Smith; Anna Bergström sees Zoë
O'Brien-García. Ada administers, Sam schedules.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from sync_ui import clock, create_app
from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.models import (
    Appointment,
    Link,
    Location,
    db,
    installation,
    transaction,
)
from sync_ui.models import Practice as PracticeRow
from sync_ui.services import access, accounts, appointments, clients, links, people
from sync_ui.services.access import Actor
from sync_ui.services.plans import Plan
from tests import once

PASSWORD = "a long enough password"
ZONE = "America/New_York"

# As real as the application's, but quick: a hash tells how dear it is to verify.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# A Monday noon in New York, in standard time.
NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **span: float) -> None:
        self.moment += timedelta(**span)

    def set(self, moment: datetime) -> None:
        self.moment = moment


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock()
    monkeypatch.setattr(clock, "now", standing)
    return standing


@pytest.fixture(scope="session")
def empty_installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once; each test gets a copy."""
    data_dir = tmp_path_factory.mktemp("installation")
    installation.prepare(Config(data_dir=data_dir, base_url="http://127.0.0.1:8000"))
    return data_dir


@pytest.fixture
def data_dir(request: pytest.FixtureRequest, empty_installation: Path, tmp_path: Path) -> Path:
    original = empty_installation
    if with_practice(request):
        original = request.getfixturevalue("settled").data_dir
    copied = tmp_path / "instance"
    shutil.copytree(original, copied)
    return copied


def with_practice(request: pytest.FixtureRequest) -> bool:
    """Whether the test asks for the practice; then its people are copied as well."""
    return "practice" in request.fixturenames


@pytest.fixture
def config(data_dir: Path) -> Config:
    return Config(data_dir=data_dir, base_url="https://calendar.example.com")


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application on an empty SQLCipher database, in its context."""
    yield from running(config)


def running(config: Config) -> Iterator[Flask]:
    app = create_app(config)
    app.config["TESTING"] = False  # errors answer as they do for people
    with app.app_context():
        once.share(app, db.engine)
        yield app
        db.session.remove()
        db.engine.dispose()
        app.extensions["huey"].storage.close()


@dataclass(frozen=True)
class Practice:
    """Who is there; ids rather than rows, since rows belong to a session."""

    ada: Actor
    sam: Actor
    unlu: Actor
    anna: Actor
    jane: int
    mark: int
    zoe: int
    unlus_calendar: str
    annas_calendar: str


@dataclass(frozen=True)
class Settled:
    """An installation whose practice has its people."""

    data_dir: Path
    practice: Practice


@pytest.fixture(scope="session")
def settled(empty_installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Settled:
    """Made once; each test gets a copy."""
    data_dir = tmp_path_factory.mktemp("settled") / "instance"
    shutil.copytree(empty_installation, data_dir)
    config = Config(data_dir=data_dir, base_url="https://calendar.example.com")
    return Settled(data_dir, settle(config))


def settle(config: Config) -> Practice:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", Clock())
        (made,) = [people_of_a_practice() for _ in running(config)]
    return made


@pytest.fixture
def practice(app: Flask, now: Clock, settled: Settled) -> Practice:
    return settled.practice


def people_of_a_practice() -> Practice:
    with transaction() as session:
        found = session.get_one(PracticeRow, 1)
        found.name, found.zone, found.ceiling = "Riverside", ZONE, DisplayMode.FULL_NAME
        found.created_at = clock.now()
        session.add_all([Location(name="Room 2"), Location(name="Main office")])
        hashed = CHEAP.hash(PASSWORD)
        ada = accounts.add_user(session, "ada@example.com", "Ada Lin", Role.ADMINISTRATOR, hashed)
        sam = accounts.add_user(session, "sam@example.com", "Sam Rivera", Role.SCHEDULER, hashed)
        unlu = accounts.add_user(session, "unlu@example.com", "Dr. Ünlü", Role.CLINICIAN, hashed)
        anna = accounts.add_user(
            session, "anna@example.com", "Anna Bergström", Role.CLINICIAN, hashed
        )
        dr_unlu = people.add_clinician(session, "Dr. Ünlü", unlu)
        bergstrom = people.add_clinician(session, "Anna Bergström", anna)
        jane = clients.add(session, "Jane", "Smith", internal_id="1042")
        mark = clients.add(session, "Mark", "Smith", internal_id="1043")
        zoe = clients.add(session, "Zoë", "O'Brien-García", internal_id="2001")
        session.flush()
        calendars_ = [access.calendar_of(c) for c in (dr_unlu, bergstrom)]
        made = Practice(
            ada=access.actor_for(ada),
            sam=access.actor_for(sam),
            unlu=access.actor_for(unlu),
            anna=access.actor_for(anna),
            jane=jane.id,
            mark=mark.id,
            zoe=zoe.id,
            unlus_calendar=str(calendars_[0].id),
            annas_calendar=str(calendars_[1].id),
        )
    db.session.remove()
    return made


Book = Callable[..., Appointment]


@pytest.fixture
def book(practice: Practice) -> Book:
    """`book(practice.jane, at="2026-11-24 10:00")`: a session with Dr. Ünlü, 50 minutes."""

    def add(*client_ids: int, at: str = "2026-11-24 10:00", **more: object) -> Appointment:
        actor: Actor = more.pop("actor", practice.unlu)  # type: ignore[assignment]
        minutes: int = more.pop("minutes", 50)  # type: ignore[assignment]
        starts = datetime.fromisoformat(at)
        plan = Plan(
            starts=starts,
            ends=starts + timedelta(minutes=minutes),
            zone=ZONE,
            clients=appointments.find_clients(db.session(), list(client_ids)),
            **more,  # type: ignore[arg-type]
        )
        assert actor.clinician_id is not None
        return appointments.create(actor, actor.clinician_id, plan, despite="Both agreed")

    return add


@pytest.fixture
def browser_of(app: Flask, practice: Practice) -> Callable[[str], FlaskClient]:
    """`browser_of("anna@example.com")`: a signed-in test client; "" for a stranger's."""

    def sign_in(email: str = "") -> FlaskClient:
        client = app.test_client()
        if email:
            token = csrf_token(client, "/sign-in")
            answer = client.post(
                "/sign-in", data={"email": email, "password": PASSWORD, "csrf_token": token}
            )
            assert answer.status_code == 302, answer.text
        return client

    return sign_in


def token_of(link: Link) -> str:
    """The secret part of a live link's address."""
    address = links.address(link)
    assert address is not None
    return address.split("/")[-2]


def csrf_token(client: FlaskClient, page: str) -> str:
    """As a browser finds it in a page's form."""
    text = client.get(page).text
    start = text.index('name="csrf_token" value="') + len('name="csrf_token" value="')
    return text[start : text.index('"', start)]


@pytest.fixture
def command(app: Flask) -> Callable[..., str]:
    """`command("link", "list")` runs a flask command and returns what it prints."""
    runner: FlaskCliRunner = app.test_cli_runner()

    def run(*args: str, input: str | None = None, fails: bool = False) -> str:
        result = runner.invoke(args=list(args), input=input)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (result.exit_code != 0) == fails, result.output
        return result.output.strip()

    return run
