from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from flask import Flask
from sqlalchemy import func, select

from sync_ui.domain.event import DisplayMode, Kind, Status
from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import Appointment, AuditEntry, Client, Initials, Link, Series, User, db
from sync_ui.services import accounts, clients, demo, feeds, links, series, signing
from sync_ui.services import practice as practices
from sync_ui.services.access import COMMAND, WORKER
from tests.practice import NOW, Clock, Practice, token_of


@pytest.fixture
def filled(app: Flask, now: Clock) -> str:
    return demo.fill(password="demo words", clinicians=2, weeks=4)


def test_it_tells_the_three_sign_ins(filled: str) -> None:
    assert filled == (
        "Demo practice ready. Sign in as admin@demo.example, scheduler@demo.example "
        "or clinician@demo.example."
    )
    roles = {user.email: user.role for user in accounts.users()}
    assert roles == {
        "admin@demo.example": Role.ADMINISTRATOR,
        "scheduler@demo.example": Role.SCHEDULER,
        "clinician@demo.example": Role.CLINICIAN,
        "clinician2@demo.example": Role.CLINICIAN,
    }
    for email in roles:
        assert signing.sign_in(email, "demo words", "net")
    assert practices.is_set_up()


def test_it_looks_like_a_practice(filled: str) -> None:
    found = db.session.scalars(select(Appointment)).all()
    weeks = Counter((a.clinician_id, a.starts_local.isocalendar()[:2]) for a in found)
    sizes = Counter(len(a.clients) for a in found)

    assert len(weeks) == 2 * 8
    assert [number for number in weeks.values() if not 12 <= number <= 31] == []
    assert {a.kind for a in found} == {Kind.SESSION, Kind.MEETING, Kind.SUPERVISION, Kind.TIME_OFF}
    assert {a.status for a in found} == set(Status)
    assert set(sizes) == {0, 1, 2, 6}
    assert min(a.starts_at for a in found) > NOW - timedelta(weeks=5)
    assert db.session.scalar(select(func.count(Client.id)).where(Client.last_name == "")) == 1


def test_its_feeds_read_in_every_mode(filled: str) -> None:
    for mode in DisplayMode:
        link = links.create(COMMAND, "practice", mode.value, mode, confirmed=True)
        assert feeds.read(token_of(link)).body.count(b"BEGIN:VEVENT") > 200


def test_its_equal_initials_are_numbered_as_the_service_does(filled: str) -> None:
    numbers = Counter(
        (row.clinician_id, row.letters) for row in db.session.scalars(select(Initials))
    )
    shared = next(key for key, number in numbers.items() if number > 1)
    rows = db.session.scalars(
        select(Initials.number)
        .where(Initials.clinician_id == shared[0], Initials.letters == shared[1])
        .order_by(Initials.number)
    ).all()
    assert rows == list(range(1, len(rows) + 1))


def test_a_demo_shares_nothing_by_itself(filled: str) -> None:
    assert db.session.scalar(select(func.count(Link.id))) == 0
    assert [entry.action for entry in db.session.scalars(select(AuditEntry))] == [
        "practice.demo_filled"
    ]


def test_the_second_demo_and_a_real_practice_are_refused(filled: str) -> None:
    before = db.session.scalar(select(func.count(Appointment.id)))

    with pytest.raises(Conflict):
        demo.fill(password="demo words")

    assert db.session.scalar(select(func.count(Appointment.id))) == before


def test_clients_without_a_user_are_a_practice_too(app: Flask, now: Clock) -> None:
    clients.create(COMMAND, first_name="Jane")

    with pytest.raises(Conflict):
        demo.fill(password="demo words")


def test_a_short_password_is_refused_and_a_left_out_one_is_random(app: Flask, now: Clock) -> None:
    with pytest.raises(Invalid):
        demo.fill(password="short")
    assert db.session.scalar(select(func.count(User.id))) == 0

    told = demo.fill(clinicians=1, weeks=1)

    password = told.removesuffix(".").rpartition(" ")[2]
    assert len(password) == 16
    assert signing.sign_in("clinician@demo.example", password, "net")


def test_a_real_practice_is_left_alone(practice: Practice) -> None:
    with pytest.raises(Conflict):
        demo.fill(password="demo words")


def test_two_of_its_appointments_go_on_every_week(filled: str) -> None:
    assert series.extend(WORKER) > 80

    for rule, when, people in (("MO", "Monday 09:00", 0), ("TU", "Tuesday 14:00", 2)):
        own = db.session.scalars(select(Series).where(Series.rule == f"FREQ=WEEKLY;BYDAY={rule}"))
        turns = db.session.scalars(
            select(Appointment)
            .where(Appointment.series_id == own.one().id)
            .order_by(Appointment.starts_at)
        ).all()
        assert len(turns) == 4 + 53
        assert {f"{turn.starts_local:%A %H:%M}" for turn in turns} == {when}
        assert {len(turn.clients) for turn in turns} == {people}
        gaps = {later.starts_local - a.starts_local for a, later in pairwise(turns)}
        assert gaps == {timedelta(weeks=1)}
