"""Every route, every role, every owner: one table, checked against the live map of routes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from io import BytesIO
from itertools import count

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from sync_ui import clock
from sync_ui.domain.apps import Reader
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.domain.tokens import digest
from sync_ui.models import (
    Appointment,
    AppointmentType,
    AuditEntry,
    Connection,
    ConnectionState,
    Direction,
    Holiday,
    Import,
    ImportFile,
    Location,
    Proposal,
    ProposalKind,
    ProviderName,
    Row,
    Session,
    User,
    Visit,
    db,
    transaction,
)
from sync_ui.services import (
    accounts,
    backups,
    changes,
    clients,
    codes,
    connections,
    doors,
    enrolment,
    links,
    people,
    providers,
    series,
    sessions,
    tickets,
)
from sync_ui.services.access import COMMAND, Actor
from sync_ui.services.plans import Plan
from sync_ui.services.providers import Login
from sync_ui.services.series import Scope
from tests.outside import keep_in_memory
from tests.practice import PASSWORD, ZONE, Book, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

COOKIE = "__Host-session"

# Dr. Ünlü asks for what is his own, then for what is Anna's. Who is disabled is a stranger.
COLUMNS = "stranger own anothers scheduler administrator".split()

TABLE = """
GET  accounts.account           302 200 200 200 200
POST accounts.account           302 302 302 302 302
POST accounts.change_email      302 302 409 302 302
POST accounts.keep_email        302 302 302 302 302
POST accounts.end_others        302 302 302 302 302
POST accounts.end_session       302 302 404 302 302
GET  accounts.state             401 200 200 200 200
POST accounts.notify            302 302 302 302 302
GET  accounts.sign_in           200 302 302 302 302
POST accounts.sign_in           302 302 302 302 302
POST accounts.sign_out          302 302 302 302 302
POST appointments.add_client      302 403 403 200 200
POST appointments.cancel        302 302 404 302 302
GET  appointments.edit          302 200 404 200 200
POST appointments.edit          302 302 404 302 302
GET  appointments.find_clients    302 200 200 200 200
GET  appointments.new           302 200 200 200 200
POST appointments.new           302 302 422 302 302
GET  audit.entries              302 403 403 403 200
POST audit.export               302 403 403 403 200
POST backups.download           302 403 403 403 200
GET  backups.listed             302 403 403 403 200
POST backups.make               302 403 403 403 302
POST clients.archive            302 403 403 302 302
POST clients.change             302 403 403 302 302
GET  clients.listed             302 200 200 200 200
GET  clients.new                302 403 403 200 200
POST clients.new                302 403 403 302 302
POST clients.restore            302 403 403 302 302
GET  clients.show               302 200 404 200 200
POST connection.answer          302 302 404 302 302
GET  connection.begin           302 200 404 200 200
GET  connection.busy            302 200 404 200 200
POST connection.change          302 302 404 302 302
POST connection.choose_busy     302 302 404 302 302
POST connection.disconnect      302 302 404 302 302
POST connection.make_anew       302 302 404 302 302
POST connection.retry           302 302 404 302 302
GET  connection.show            302 200 404 200 200
POST connection.sign_in         302 302 404 302 302
POST connection.start           302 302 404 302 302
POST connection.sync_now        302 302 404 302 302
POST connections.connect        302 302 404 302 302
GET  connections.new            302 200 404 200 200
POST confirming.confirm         302 302 302 302 302
POST confirming.offer_passkey   302 200 200 200 200
POST doors.close_warning        302 403 403 403 302
GET  doors.show                 302 403 403 403 200
POST doors.show                 302 403 403 403 302
GET  duplicates.choose          302 403 403 200 200
GET  duplicates.merge           302 403 403 200 200
POST duplicates.merge           302 403 403 302 302
GET  duplicates.suggested       302 403 403 200 200
GET  exports.choose             302 200 200 200 200
POST exports.clients            302 403 403 200 200
POST exports.schedule           302 200 422 200 200
POST factor_rules.forget         302 403 403 403 302
GET  factor_rules.policy         302 403 403 403 200
POST factor_rules.policy         302 403 403 403 302
POST factors.add_passkey         302 422 422 422 422
GET  factors.app                 302 200 200 200 200
POST factors.begin_app           302 302 302 302 302
POST factors.confirm_app         302 422 422 422 422
POST factors.draw_codes          302 403 403 403 403
GET  factors.listed              302 200 200 200 200
POST factors.offer_passkey       302 200 200 200 200
GET  factors.passkey             302 200 200 200 200
POST factors.remove_app          302 302 302 302 302
POST factors.remove_passkey      302 404 404 404 404
GET  google.callback            302 302 302 302 302
POST google.notify              404 404 404 404 404
POST google.start               302 302 404 302 302
GET  health.health              200 200 200 200 200
POST imports.apply              302 403 403 302 302
GET  imports.columns            302 403 403 200 200
POST imports.columns            302 403 403 302 302
POST imports.discard            302 403 403 302 302
GET  holidays.listed             302 403 403 403 200
POST holidays.listed             302 403 403 403 302
POST holidays.remove             302 403 403 403 302
GET  imports.preview            302 403 403 200 200
POST imports.preview            302 403 403 200 200
GET  imports.progress           302 403 403 302 302
POST imports.take_back          302 403 403 302 302
GET  imports.upload             302 403 403 200 200
POST imports.upload             302 403 403 302 302
GET  keys.recovery              302 403 403 403 200
POST keys.show                  302 403 403 403 200
POST link.change                302 302 404 302 302
POST link.disable               302 302 404 302 302
POST link.known                 302 302 404 302 302
GET  link.preview               302 200 404 200 200
POST link.renew                 302 302 404 302 302
POST link.reset                 302 302 404 302 302
GET  link.show                  302 200 404 200 200
GET  leaks.show                 302 200 404 200 200
POST leaks.stop                 302 302 404 302 302
POST links.allow                302 302 404 302 302
GET  links.calendars            302 200 200 200 200
POST links.change_mode          302 302 404 302 302
POST links.create               302 302 404 302 302
POST links.disable              302 302 404 302 302
POST links.disallow             302 302 404 302 302
POST links.draw                 302 200 404 200 200
GET  links.preview              302 200 404 200 200
POST links.reset                302 302 404 302 302
POST links.reset_all            302 302 404 302 302
POST links.send                 302 200 404 200 200
GET  links.sync                 302 200 404 200 200
POST moves.move                   302 302 404 302 302
POST moves.restore                302 302 404 302 302
POST moves.undo                   302 302 404 302 302
GET  pages.home                 302 302 302 302 302
GET  pages.robots               200 200 200 200 200
POST people.archive             302 403 403 403 302
GET  people.clinician           302 403 403 403 200
POST people.clinician           302 403 403 403 302
POST people.code                302 403 403 403 200
POST people.end_all_sessions    302 403 403 403 302
POST people.end_sessions        302 403 403 403 302
POST people.invite              302 403 403 403 404
POST people.disable             302 403 403 403 302
POST people.enable              302 403 403 403 302
GET  people.listed              302 403 403 403 200
GET  people.new                 302 403 403 403 200
POST people.new                 302 403 403 403 302
GET  people.new_clinician       302 403 403 403 200
POST people.new_clinician       302 403 403 403 302
POST people.password            302 403 403 403 302
POST people.reset_known         302 403 403 403 302
GET  people.user                302 403 403 403 200
POST people.user                302 403 403 403 302
GET  phone.look                 200 200 200 200 200
POST phone.spend                200 200 200 200 200
POST practice.change_place       302 403 403 403 302
GET  practice.clients           302 403 403 403 200
POST practice.clients           302 403 403 403 302
GET  practice.google             302 403 403 403 200
GET  practice.places            302 403 403 403 200
POST practice.places            302 403 403 403 302
GET  practice.policy            302 403 403 403 200
POST practice.policy            302 403 403 403 302
POST practice.remove_place      302 403 403 403 302
POST practice.reset_links       302 403 403 403 302
GET  practice.settings          302 403 403 403 200
POST practice.settings          302 403 403 403 302
POST proposals.accept           302 302 404 302 302
GET  proposals.listed           302 200 200 200 200
POST proposals.put_back         302 302 404 302 302
POST reach.check                302 200 404 200 200
GET  schedule.events            302 200 404 200 200
GET  schedule.show              302 200 404 200 200
GET  search.find                302 200 200 200 200
GET  second_step.ask             302 302 302 302 302
POST second_step.offer_passkey   403 403 403 403 403
POST second_step.offer_sign_in   200 200 200 200 200
POST second_step.sign_in         422 422 422 422 422
POST second_step.take_code       302 302 302 302 302
POST second_step.take_passkey    302 302 302 302 302
GET  setup.begin                302 302 302 302 302
POST setup.begin                302 302 302 302 302
POST setup.fill                 302 302 302 302 302
GET  static                     200 200 200 200 200
GET  tickets.begin              200 200 200 200 200
POST tickets.begin              302 302 302 302 302
GET  tickets.enter              200 200 200 200 200
POST tickets.spend              302 302 302 302 302
GET  tickets.forgotten          200 200 200 200 200
POST tickets.forgotten          200 200 200 200 200
POST types.archive               302 403 403 403 302
GET  types.edit                  302 403 403 403 200
POST types.edit                  302 403 403 403 302
GET  types.listed                302 403 403 403 200
POST types.listed                302 403 403 403 302
"""

Route = tuple[str, str]

EXPECTED: dict[Route, dict[str, int]] = {
    (endpoint, method): dict(zip(COLUMNS, map(int, statuses), strict=True))
    for method, endpoint, *statuses in (line.split() for line in TABLE.strip().splitlines())
}

# Automatic answers, which say nothing of their own; they have tests of their own below.
AUTOMATIC = {"HEAD", "OPTIONS"}

CSV = b"""Subject,Start Date,Start Time,End Date,End Time
Staff,12/01/2026,9:00 AM,12/01/2026,10:00 AM
"""

KIND: dict[str, object] = {"minutes": "50", "colour": "blue", "ceiling": "busy"}

_numbers = count(1)


def routes(app: Flask) -> set[Route]:
    """Every (endpoint, method) that the application answers by itself."""
    return {
        (rule.endpoint, method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in AUTOMATIC
    }


class Things:
    """Objects of one clinician; whoever has changed any goes on with fresh ones."""

    def __init__(self, practice: Practice, book: Book, owner: Actor, uploader: Actor) -> None:
        number = next(_numbers)
        self._practice, self.editor = practice, owner
        own = owner == practice.unlu
        assert owner.clinician_id is not None
        self.clinician = owner.clinician_id
        self.client = practice.jane if own else practice.zoe
        self.key = practice.unlus_calendar if own else practice.annas_calendar
        self.appointment = book(self.client, actor=owner).id
        self.link = links.create(owner, self.key, f"Link {number}", DisplayMode.INITIALS)
        self.token = (links.address(self.link) or "").split("/")[4]
        self.code, _ = codes.make(owner, self.link.id)
        self.connection, self.proposal = self._connected(number)
        with transaction() as session:
            doors.emergency(session)
            # A user, a clinician and a place that nobody else needs.
            user = accounts.add_user(
                session, f"leaver{number}@example.com", "Lea Ver", Role.SCHEDULER, "no password"
            )
            leaver = people.add_clinician(session, "Dr. Leaver")
            place = Location(name=f"Room {number + 100}")
            day = date(2027, 1, 1)
            holiday = Holiday(name="New Year", first_day=day, last_day=day)
            kind = AppointmentType(name=f"Type {number}")
            assert uploader.user_id is not None
            file = ImportFile(
                user_id=uploader.user_id,
                clinician_id=self.clinician,
                content=CSV,
                created_at=clock.now(),
            )
            run = Import(
                clinician_id=self.clinician, source="CSV", applied_at=clock.now(), counts={"new": 1}
            )
            visit = Visit(
                link_id=self.link.id,
                token_id=self.link.tokens[0].id,
                reader=Reader.APP,
                name="Google Calendar",
                network="the internet, 203.0.113.0/24",
                first_at=clock.now(),
                last_at=clock.now(),
                seen_until=clock.now(),
            )
            twin = clients.add(session, "Lea", "Double")
            left = clients.add(session, "Lea", "Gone")
            left.archived_at = clock.now()
            session.add_all([place, holiday, kind, file, run, visit])
            session.flush()
            self.user, self.leaver, self.place = user.id, leaver.id, place.id
            self.holiday, self.type = holiday.id, kind.id
            self.file, self.run, self.number = file.id, run.id, number
            self.mark = file.mark
            self.twin, self.left, self.visit = twin.id, left.id, visit.id

    def _connected(self, number: int) -> tuple[int, int]:
        """A connection that works, and a proposal of it."""
        login = Login(
            ProviderName.CALDAV, f"user{number}", "https://dav.example.com", {"password": "x"}
        )
        account = providers.look_around(login)
        made = connections.connect(
            self.editor, self.key, account, Direction.TWO_WAY, DisplayMode.BUSY
        )
        with transaction() as session:
            connection = session.get_one(Connection, made.id)
            connection.state = ConnectionState.WORKING
            connection.next_at = clock.now() + timedelta(hours=1)
            found = session.get_one(Appointment, self.appointment)
            proposal = Proposal(
                connection_id=made.id,
                appointment_id=self.appointment,
                entry_id="an entry",
                kind=ProposalKind.REMOVAL,
                was_starts_at=found.starts_at,
                was_ends_at=found.ends_at,
                made_at=clock.now(),
            )
            session.add(proposal)
            session.flush()
            return made.id, proposal.id

    def path(self, endpoint: str) -> dict[str, object]:
        """The values of the endpoint's address, its query included."""
        values: dict[str, object] = {
            "appointment_id": self.appointment,
            "client_id": self.client,
            "clinician_id": self.leaver,
            "connection_id": self.connection,
            "code": self.code,
            "file_id": self.file,
            "filename": "css/base.css",
            "holiday_id": self.holiday,
            "import_id": self.run,
            "key": self.key,
            "link": f"{self.token}/calendar.ics",
            "link_id": self.link.id,
            "location_id": self.place,
            "other_id": self.twin,
            "passkey_id": 1,
            "proposal_id": self.proposal,
            "type_id": self.type,
            "user_id": self.user,
            "visit_id": self.visit,
        }
        if endpoint == "backups.download":
            values["backup_id"] = backups.make(self._practice.ada).id
        if endpoint == "accounts.end_session":
            values["session_id"] = self._session()
        if endpoint in {"tickets.enter", "tickets.spend"}:
            email = f"guest{next(_numbers)}@example.com"
            guest = accounts.create_user(COMMAND, email=email, name="", role=Role.SCHEDULER)
            values["code"], _ = tickets.make(COMMAND, guest.id)
        if endpoint == "moves.undo":
            values["change_id"] = self._change()
        if endpoint == "people.reset_known":
            with transaction() as session:
                session.get_one(User, self.user).disabled_at = clock.now()
        self._prepare(endpoint)
        query: dict[str, dict[str, object]] = {
            "connections.connect": {"direction": "two_way", "provider": "icloud"},
            "connections.new": {"direction": "two_way"},
            "clients.archive": {"client_id": self.twin},
            "clients.restore": {"client_id": self.left},
            "schedule.events": {
                "start": "2026-11-23",
                "end": "2026-11-30",
                "clinician": self.clinician,
            },
            "schedule.show": {"clinician": self.clinician},
            "link.preview": {"mode": "initials", "telehealth": "none"},
            "links.preview": {"mode": "initials"},
            "search.find": {"q": "ar"},
        }
        return values | query.get(endpoint, {})

    def _session(self) -> int:
        """One more session of whoever asks (or of Anna, of what is hers)."""
        with transaction() as session:
            secret = sessions.add(session, session.get_one(User, self.editor.user_id))
            found = select(Session.id).where(Session.digest == digest(secret))
            return session.scalars(found).one()

    def _prepare(self, endpoint: str) -> None:
        """Some things can be done to a connection, or to an app, in one state alone."""
        if endpoint in {"factors.app", "factors.confirm_app", "factors.remove_app"}:
            for user in (self._practice.ada, self._practice.sam, self._practice.unlu):
                enrolment.begin_app(user)
        state = {
            "connection.answer": ConnectionState.STOPPED,
            "connection.begin": ConnectionState.NEW,
            "connection.make_anew": ConnectionState.LOST,
            "connection.start": ConnectionState.NEW,
        }.get(endpoint)
        if state is not None:
            with transaction() as session:
                session.get_one(Connection, self.connection).state = state

    def _change(self) -> int:
        """A series that whoever asks (or Anna, of what is hers) has moved by an hour."""
        starts = datetime(2027, 6, 1, 10)
        plan = Plan(starts=starts, ends=starts + timedelta(hours=1), zone=ZONE)
        rule, despite = "FREQ=WEEKLY;COUNT=2", "Both agreed"
        made = series.create(self.editor, self.clinician, plan, rule, despite=despite)
        turn = db.session.scalars(select(Appointment.id).where(Appointment.series_id == made.id))
        first = turn.first()
        assert first is not None
        later = replace(plan, starts=starts.replace(hour=11), ends=starts.replace(hour=12))
        series.change(self.editor, first, later, Scope.ALL, despite=despite)
        found = changes.latest(self.editor, first)
        assert found is not None
        return found

    def form(self, endpoint: str) -> dict[str, object]:
        """What a person would send, of these objects."""
        appointment: dict[str, object] = {
            "clinician": self.clinician,
            "kind": "session",
            "clients": self.client,
            "date": "2026-12-02",
            "start": "10:00",
            "minutes": "50",
            "location": "",
            "status": "scheduled",
            "revision": "0",
            "despite": "Both agreed",
        }
        client: dict[str, object] = {
            "first_name": "Nora",
            "last_name": "Quist",
            "internal_id": f"N-{self.number}",
            "ceiling": "",
        }
        user: dict[str, object] = {"name": "Lea Ver", "role": "scheduler"}
        forms: dict[str, dict[str, object]] = {
            "accounts.account": {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD},
            "accounts.change_email": {"email": accounts.user(self.editor.user_id or 0).email},
            "tickets.begin": {"code": self.code},
            "tickets.forgotten": {"email": "unlu@example.com"},
            "tickets.spend": {"new": "an unusual new password", "again": "an unusual new password"},
            "accounts.sign_in": {"email": "sam@example.com", "password": PASSWORD},
            "appointments.add_client": {"name": "Nora Quist"},
            "appointments.edit": appointment,
            "moves.move": {"start": "2026-12-03T10:00", "despite": "Both agreed"},
            "appointments.new": appointment,
            "clients.change": client,
            "clients.new": client,
            "connection.answer": {"rule": "ask"},
            "connection.change": {"mode": "busy", "telehealth": "none"},
            "connection.sign_in": {"password": "secret"},
            "connections.connect": {
                "user": f"unlu{self.number}@example.com",
                "password": "secret",
                "mode": "busy",
            },
            "confirming.confirm": {"confirm_password": PASSWORD, "next": "/account"},
            "duplicates.merge": {"kept": self.client},
            "exports.schedule": {
                "clinician": self.clinician,
                "first": "2026-11-01",
                "last": "2026-12-31",
                "format": "csv",
            },
            "factor_rules.policy": {"idle_minutes": 10 + self.number % 40},
            "factors.confirm_app": {"code": "a wrong one"},
            "google.start": {"calendar": self.key, "direction": "two_way"},
            "holidays.listed": {"name": "Winter", "first_day": "2026-12-24"},
            "imports.apply": {"upload": self.mark},
            "imports.columns": {
                "upload": self.mark,
                "columns": ["Title", "Start Date", "Start Time", "End Date", "End Time"],
            },
            "imports.discard": {"upload": self.mark},
            "imports.preview": {"upload": self.mark},
            "imports.upload": {
                "clinician": self.clinician,
                "file": (BytesIO(CSV), "calendar.csv"),
            },
            "link.change": {"label": "Work phone", "mode": "busy", "telehealth": "none"},
            "link.renew": {"hours": "24"},
            "leaks.stop": {"how": "reset"},
            "links.allow": {"allowed": "y"},
            "links.change_mode": {"mode": "busy"},
            "links.create": {"label": "Work phone", "mode": "initials"},
            "people.clinician": {"name": "Dr. Leaver-Smith", "colour": "blue"},
            "people.new": user
            | {"email": f"new{self.number}@example.com", "password": "a first password of hers"},
            "people.new_clinician": {"name": "Dr. Comer"},
            "people.password": {"password": "an unusual new password"},
            "people.user": user,
            "practice.places": {"name": f"Attic {self.number}"},
            "practice.settings": {
                "name": "Riverside",
                "zone": ZONE,
                "days_back": "30",
                "months_ahead": "12",
            },
            "practice.policy": {"ceiling": "initials", "schedulers_share_practice": "y"},
            "practice.reset_links": {"reason": "routine"},
            "types.edit": {"name": f"Kind {self.number}"} | KIND,
            "types.listed": {"name": f"Sort {self.number}"} | KIND,
        }
        return forms.get(endpoint, {})


EMAILS = {
    "stranger": "",
    "own": "unlu@example.com",
    "anothers": "unlu@example.com",
    "anna": "anna@example.com",
    "scheduler": "sam@example.com",
    "administrator": "ada@example.com",
}


# What is asked of these has something done to their things beforehand.
CHANGED_FIRST = {"moves.undo", "people.reset_known"}


class Asker:
    """One column of the table, at a browser."""

    def __init__(
        self, app: Flask, practice: Practice, book: Book, column: str, browser_of: BrowserOf
    ) -> None:
        self._app, self._practice, self._book = app, practice, book
        self._owner = practice.anna if column in {"anothers", "anna"} else practice.unlu
        self._uploader = practice.ada if column == "administrator" else practice.sam
        self._email = EMAILS[column]
        self._browser_of = browser_of
        self._browser = browser_of(self._email)
        self._things: Things | None = None

    def ask(self, route: Route) -> TestResponse:
        return self.prepared(route)()

    def prepared(self, route: Route, *, with_token: bool = True) -> Callable[[], TestResponse]:
        """The request, ready to be sent."""
        endpoint, method = route
        if self._things is None:
            self._renew()
        things = self._things
        assert things is not None
        form = things.form(endpoint)
        if with_token and method == "POST":
            page = "/account" if self._email else "/sign-in"
            form["csrf_token"] = csrf_token(self._browser, page)
        with self._app.test_request_context():
            address = url_for(endpoint, **things.path(endpoint))  # type: ignore[arg-type]
        data = form if method == "POST" else None
        # A calendar app's reading would be noted as a visit, some time later.
        headers = {"User-Agent": "Mozilla/5.0"}

        def send() -> TestResponse:
            answer = self._browser.open(address, method=method, data=data, headers=headers)
            if endpoint in CHANGED_FIRST or not self._left_as_it_was(method, answer):
                self._things = None
            return answer

        return send

    def _renew(self) -> None:
        """Some requests begin or end a session; the next one finds it as it should be."""
        self._things = Things(self._practice, self._book, self._owner, self._uploader)
        if self._email in {EMAILS["scheduler"], EMAILS["administrator"]}:
            self._things.editor = self._uploader
        if not self._email or self._browser.get("/account").status_code == 302:
            self._browser = self._browser_of(self._email)

    def _left_as_it_was(self, method: str, answer: TestResponse) -> bool:
        """The request only read, or was refused, so that its things will do for the next one."""
        refused = {400, 403, 404} if self._email else {302, 400, 403, 404}
        sent_away = "/sign-in" in answer.headers.get("Location", "/sign-in")
        return method != "POST" or (answer.status_code in refused and sent_away)


@pytest.fixture
def app(app: Flask) -> Flask:
    keep_in_memory(app)
    return app


@pytest.fixture
def asker(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf
) -> Callable[[str], Asker]:
    return lambda column: Asker(app, practice, book, column, browser_of)


def every_row() -> dict[str, list[tuple[object, ...]]]:
    """What is stored, by table."""
    db.session.rollback()
    return {
        table.name: [tuple(row) for row in db.session.execute(select(table))]
        for table in Row.metadata.sorted_tables
    }


@pytest.mark.bar("Z1")
def test_every_route_has_a_row_in_the_table(app: Flask) -> None:
    assert routes(app) == set(EXPECTED)


@pytest.mark.bar("Z1")
def test_a_route_without_a_row_is_reported(app: Flask) -> None:
    app.add_url_rule("/export", "clients.export", view_func=lambda: "every client")

    assert routes(app) - set(EXPECTED) == {("clients.export", "GET")}


@pytest.mark.bar("Z1")
@pytest.mark.parametrize("column", COLUMNS)
def test_every_route_answers_each_role_as_the_table_says(
    asker: Callable[[str], Asker], column: str
) -> None:
    asking = asker(column)

    found = {route: asking.ask(route).status_code for route in EXPECTED}

    assert found == {route: statuses[column] for route, statuses in EXPECTED.items()}


@pytest.mark.bar("Z1", "Z3", "A2")
def test_a_disabled_user_is_a_stranger_on_every_route(
    app: Flask, book: Book, practice: Practice, browser_of: BrowserOf
) -> None:
    browser = browser_of("anna@example.com")
    assert browser.get("/calendar").status_code == 200
    cookie = browser.get_cookie(COOKIE)
    assert cookie is not None
    assert practice.anna.user_id is not None
    accounts.disable_user(practice.ada, practice.anna.user_id)

    def disabled(_: str) -> FlaskClient:
        again = app.test_client()
        again.set_cookie(COOKIE, cookie.value)
        return again

    asking = Asker(app, practice, book, "stranger", disabled)

    found = {route: asking.ask(route).status_code for route in EXPECTED}

    assert found == {route: statuses["stranger"] for route, statuses in EXPECTED.items()}


@pytest.mark.bar("Z1", "Z5")
def test_a_colleague_sees_no_name_of_another_clinicians_client(
    asker: Callable[[str], Asker],
) -> None:
    names = ("Zoë", "Brien", "García")
    # Whoever holds a link or a code is shown what it opens.
    asked = [route for route in EXPECTED if route[0].partition(".")[0] not in {"feeds", "phone"}]
    anna, colleague = asker("anna"), asker("anothers")
    answers = [anna.ask(route).text for route in asked]
    assert all(any(name in text for text in answers) for name in names)

    seen = {route: colleague.ask(route).text for route in asked}

    assert {route for route, text in seen.items() if any(name in text for name in names)} == set()


@pytest.mark.bar("Z5")
def test_a_colleague_finds_no_client_of_another_clinician(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    book(practice.zoe, actor=practice.anna)
    assert "García" in browser_of("anna@example.com").get("/clients?q=Zo").text

    assert "García" not in browser_of("unlu@example.com").get("/clients?q=Zo").text


@pytest.mark.bar("Z1")
def test_another_clinicians_client_cannot_be_booked(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    things = Things(practice, book, practice.unlu, practice.sam)
    book(practice.zoe, actor=practice.anna)
    browser = browser_of("unlu@example.com")
    form = things.form("appointments.new") | {"csrf_token": csrf_token(browser, "/account")}

    refused = browser.post("/calendar/new", data=form | {"clients": practice.zoe})
    taken = browser.post("/calendar/new", data=form)

    assert (refused.status_code, taken.status_code) == (422, 302)


@pytest.mark.bar("Z1")
def test_an_upload_is_its_uploaders_alone(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    sams = Things(practice, book, practice.unlu, practice.sam).file
    ada, sam = browser_of("ada@example.com"), browser_of("sam@example.com")
    token = {"csrf_token": csrf_token(ada, "/account")}

    assert sam.get(f"/import/{sams}").status_code == 200
    assert ada.get(f"/import/{sams}").status_code == 404
    for action in ("", "/apply", "/discard"):
        assert ada.post(f"/import/{sams}{action}", data=token).status_code == 404


@pytest.mark.bar("Z1")
def test_another_clinicians_link_is_not_found_under_ones_own_calendar(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    annas = Things(practice, book, practice.anna, practice.sam).link.id
    browser = browser_of("unlu@example.com")
    form = {"csrf_token": csrf_token(browser, "/account"), "mode": "busy", "hours": "24"}
    before = every_row()

    own_page = ("", "/access/fresh", "/access/reset", "/access/disable")
    for action in ("/mode", "/qr", "/email", "/reset", "/disable", *own_page):
        address = f"/calendars/{practice.unlus_calendar}/links/{annas}{action}"
        assert browser.post(address, data=form).status_code == 404
    assert every_row() == before


@pytest.mark.bar("Z2")
def test_no_role_is_taken_from_a_form(practice: Practice, browser_of: BrowserOf) -> None:
    browser = browser_of("unlu@example.com")
    more = {"role": "administrator", "user_id": practice.ada.user_id, "id": 1, "email": "x@y.zz"}
    form = {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD} | more
    before = _users()

    form["csrf_token"] = csrf_token(browser, "/account")
    assert browser.post("/account", data=form).status_code == 302

    assert _users() == before


def _users() -> list[tuple[int, str, str]]:
    db.session.rollback()
    found = db.session.scalars(select(User).order_by(User.id))
    return [(user.id, user.email, user.role.value) for user in found]


# Called by no browser: no page can send it in somebody's name.
MACHINES = {"google.notify"}

POSTS = [route for route in EXPECTED if route[1] == "POST" and route[0] not in MACHINES]

# Signed in, shared and set up already, only looking, or without a second factor to speak of.
NOTHING_TO_CHANGE = set(
    "factors.add_passkey factors.confirm_app factors.draw_codes factors.remove_passkey "
    "second_step.offer_passkey second_step.take_code second_step.take_passkey "
    "accounts.change_email accounts.keep_email tickets.begin tickets.forgotten people.invite "
    "accounts.sign_in confirming.confirm google.start moves.restore imports.preview links.allow "
    "reach.check setup.begin setup.fill".split()
)


@pytest.mark.bar("A5")
def test_no_form_is_taken_without_its_token(asker: Callable[[str], Asker]) -> None:
    asking = asker("administrator")
    taken = {route for route in POSTS if _sent(asking.prepared(route))[1]}
    assert taken == {route for route in POSTS if route[0] not in NOTHING_TO_CHANGE}

    refused = {route: _sent(asking.prepared(route, with_token=False)) for route in POSTS}

    assert refused == dict.fromkeys(POSTS, (400, set()))


# Two things happen, one after the other; or nothing does but that a machine is asked earlier, or
# that a passkey's question is remembered.
OTHERWISE = {
    "accounts.account": 2,  # the password is changed, and the browser signed in anew
    "imports.apply": 2,  # accepted, and brought in
    "proposals.accept": 2,  # decided on, and the appointment moved
    "tickets.spend": 2,  # spent, and signed in
    "connection.retry": 0,
    "connection.sync_now": 0,
    "confirming.offer_passkey": 0,
    "factors.offer_passkey": 0,
    "second_step.offer_sign_in": 0,
}


@pytest.mark.bar("O1")
def test_every_form_that_changes_anything_leaves_one_entry(asker: Callable[[str], Asker]) -> None:
    asking = asker("administrator")
    left: dict[str, int] = {}
    for route in POSTS:
        request, before = asking.prepared(route), entries()
        if _sent(request)[1]:
            left[route[0]] = entries() - before

    assert {endpoint: number for endpoint, number in left.items() if number != 1} == OTHERWISE


def entries() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(AuditEntry.id))) or 0


@pytest.mark.bar("A5")
def test_no_form_is_taken_with_another_sessions_token(
    practice: Practice, browser_of: BrowserOf
) -> None:
    browser = browser_of("ada@example.com")
    foreign = csrf_token(browser_of("sam@example.com"), "/account")
    own = csrf_token(browser, "/account")

    def add(token: str) -> TestResponse:
        return browser.post("/settings/places", data={"name": "Attic", "csrf_token": token})

    assert (add(foreign).status_code, add(own).status_code) == (400, 302)


def _sent(request: Callable[[], TestResponse]) -> tuple[int, set[str]]:
    """The answer's status, and the tables that the request has changed."""
    before = every_row()
    status = request().status_code
    after = every_row()
    return status, {table for table in after if after[table] != before[table]}


@pytest.mark.bar("A5", "L14")
def test_reading_changes_nothing(asker: Callable[[str], Asker]) -> None:
    asking = asker("administrator")
    reads = [route for route in EXPECTED if route[1] == "GET"]

    assert {route: _sent(asking.prepared(route))[1] for route in reads} == {
        route: set() for route in reads
    }


PROTECTION = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Strict-Transport-Security": "max-age=31536000",
    "Cache-Control": "no-store",
}


@pytest.mark.bar("L10", "M4", "M5")
@pytest.mark.parametrize("column", ["stranger", "administrator"])
def test_every_answer_keeps_referers_robots_and_caches_away(
    asker: Callable[[str], Asker], column: str
) -> None:
    """SECURITY L10: whatever is asked, and whoever asks."""
    asking = asker(column)
    for route in EXPECTED.keys() - {("static", "GET")}:  # whose files may be kept
        headers = asking.ask(route).headers

        assert (route, {name: headers.get(name) for name in PROTECTION}) == (route, PROTECTION)


@pytest.mark.bar("A5", "L14")
def test_what_is_posted_cannot_be_got(
    app: Flask, asker: Callable[[str], Asker], practice: Practice, book: Book
) -> None:
    readable = {endpoint for endpoint, method in EXPECTED if method == "GET"}
    things = Things(practice, book, practice.unlu, practice.ada)
    asking = asker("administrator")
    found = {}
    for endpoint, _ in POSTS:
        with app.test_request_context():
            address = url_for(endpoint, **things.path(endpoint))  # type: ignore[arg-type]
        if endpoint not in readable and not _also_read(app, address):
            answer = asking._browser.get(address)
            found[endpoint] = (answer.status_code, "POST" in answer.headers.get("Allow", ""))

    assert "links.reset" in found
    assert found == dict.fromkeys(found, (405, True))


def _also_read(app: Flask, address: str) -> bool:
    """Another endpoint answers a GET of this address."""
    return "GET" in app.url_map.bind("localhost").allowed_methods(address.partition("?")[0])


@pytest.mark.bar("L14")
def test_head_answers_as_get_does(asker: Callable[[str], Asker]) -> None:
    for column in ("stranger", "anothers"):
        asking = asker(column)
        for endpoint, method in EXPECTED:
            if method == "GET":
                answer = asking.ask((endpoint, "HEAD"))
                assert (endpoint, answer.status_code, answer.data) == (
                    endpoint,
                    EXPECTED[endpoint, "GET"][column],
                    b"",
                )


@pytest.mark.bar("O6")
def test_before_the_set_up_every_page_leads_to_it(app: Flask) -> None:
    browser = app.test_client()
    for page in ("/", "/sign-in", "/calendar", "/clients", "/people", "/settings", "/account"):
        assert browser.get(page).headers["Location"] == "/setup"
