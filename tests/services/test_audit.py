from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import func, select, update

from sync_ui import clock
from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import SyncError
from sync_ui.models import Appointment, AuditEntry, Link, Reason, Session, User, db, transaction
from sync_ui.services import (
    accounts,
    appointments,
    changes,
    clients,
    codes,
    imports,
    links,
    mail,
    mappings,
    own_email,
    people,
    series,
    sessions,
    signing,
    tickets,
    types,
    undo,
    upkeep,
    uploads,
)
from sync_ui.services import practice as practices
from sync_ui.services.audit import Action
from sync_ui.services.series import Scope
from tests.practice import PASSWORD, ZONE, Book, Clock, Practice
from tests.services.test_appointments import plan
from tests.services.test_imports import PAULA, calendar
from tests.services.test_links import change as change_link
from tests.services.test_links import lower_ceiling

Use = Callable[[Practice, Book], object]


def own_link(practice: Practice) -> int:
    return links.allow(practice.unlu, practice.unlus_calendar).id


def user_id(actor: object) -> int:
    found: int = actor.user_id  # type: ignore[attr-defined]
    return found


def session_of_unlu(practice: Practice) -> int:
    signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7")
    return db.session.scalars(select(Session.id)).one()


def clinician_id(actor: object) -> int:
    found: int = actor.clinician_id  # type: ignore[attr-defined]
    return found


def first_of_a_series(practice: Practice) -> int:
    found = series.create(practice.unlu, clinician_id(practice.unlu), plan(), "FREQ=WEEKLY")
    first = select(Appointment.id).where(Appointment.series_id == found.id)
    return db.session.scalars(first.order_by(Appointment.starts_at)).first() or 0


def changed_series(practice: Practice) -> int:
    first = first_of_a_series(practice)
    series.change(practice.unlu, first, plan(minutes=80), Scope.ALL)
    return changes.latest(practice.unlu, first) or 0


def address_wanted(practice: Practice) -> str:
    """A ticket that proves it."""
    with transaction() as session:
        user = accounts.user(user_id(practice.unlu))
        tickets.owe_proof(session, user, "canary@example.com")
    return tickets.make_proof(user.id, "canary@example.com")


# Each writing service: what leads up to it, the call, and what the audit says.
USES: dict[str, tuple[Callable[[Practice, Book], object], Callable[..., object], Action]] = {
    "links.allow": (
        lambda _, __: None,
        lambda p, _: links.allow(p.unlu, p.unlus_calendar),
        Action.LINK_CREATED,
    ),
    "links.create": (
        lambda _, __: None,
        lambda p, _: links.create(p.unlu, p.unlus_calendar, "Phone", DisplayMode.BUSY),
        Action.LINK_CREATED,
    ),
    "links.change_mode": (
        lambda p, _: own_link(p),
        lambda p, link: links.change_mode(p.unlu, link, DisplayMode.BUSY),
        Action.LINK_MODE_CHANGED,
    ),
    "links.change": (
        lambda p, _: db.session.get_one(Link, own_link(p)),
        lambda p, link: change_link(p, link, label="Canary", agreement="Canary", days_back=1),
        Action.LINK_CHANGED,
    ),
    "links.renew": (
        lambda p, _: own_link(p),
        lambda p, link: links.renew(p.unlu, link, 24),
        Action.LINK_RENEWED,
    ),
    "links.reset_practice": (
        lambda p, _: own_link(p),
        lambda p, _: links.reset_practice(p.ada, Reason.LEAKED),
        Action.LINKS_RESET,
    ),
    "links.reset": (
        lambda p, _: own_link(p),
        lambda p, link: links.reset(p.unlu, link),
        Action.LINK_RESET,
    ),
    "links.disable": (
        lambda p, _: own_link(p),
        lambda p, link: links.disable(p.unlu, link),
        Action.LINK_DISABLED,
    ),
    "links.reset_all": (
        lambda p, _: own_link(p),
        lambda p, _: links.reset_all(p.unlu, p.unlus_calendar),
        Action.LINKS_RESET,
    ),
    "links.disallow": (
        lambda p, _: own_link(p),
        lambda p, _: links.disallow(p.unlu, p.unlus_calendar),
        Action.LINKS_DISABLED,
    ),
    "codes.make": (
        lambda p, _: own_link(p),
        lambda p, link: codes.make(p.unlu, link),
        Action.CODE_MADE,
    ),
    "codes.spend": (
        lambda p, _: codes.make(p.unlu, own_link(p))[0],
        lambda _, code: codes.spend(code, None),
        Action.CODE_SPENT,
    ),
    "mail.owe_link": (
        lambda p, _: own_link(p),
        lambda p, link: mail.owe_link(p.unlu, link),
        Action.LINK_MAILED,
    ),
    "appointments.create": (
        lambda _, __: None,
        lambda p, _: appointments.create(p.unlu, clinician_id(p.unlu), plan()),
        Action.APPOINTMENT_CREATED,
    ),
    "appointments.change": (
        lambda p, book: book(p.jane).id,
        lambda p, found: appointments.change(p.unlu, found, plan(minutes=80)),
        Action.APPOINTMENT_CHANGED,
    ),
    "appointments.cancel": (
        lambda p, book: book(p.jane).id,
        lambda p, found: appointments.cancel(p.unlu, found),
        Action.APPOINTMENT_CANCELLED,
    ),
    "series.create": (
        lambda _, __: None,
        lambda p, _: series.create(p.unlu, clinician_id(p.unlu), plan(), "FREQ=WEEKLY"),
        Action.SERIES_CREATED,
    ),
    "series.change": (
        lambda p, _: first_of_a_series(p),
        lambda p, found: series.change(p.unlu, found, plan(minutes=80), Scope.ALL),
        Action.SERIES_CHANGED,
    ),
    "series.change of one": (
        lambda p, _: first_of_a_series(p),
        lambda p, found: series.change(p.unlu, found, plan(minutes=80), Scope.THIS),
        Action.APPOINTMENT_CHANGED,
    ),
    "series.cancel": (
        lambda p, _: first_of_a_series(p),
        lambda p, found: series.cancel(p.unlu, found, Scope.FOLLOWING),
        Action.SERIES_CANCELLED,
    ),
    "changes.undo": (
        lambda p, _: changed_series(p),
        lambda p, found: changes.undo(p.unlu, found),
        Action.CHANGE_UNDONE,
    ),
    "clients.create": (
        lambda _, __: None,
        lambda p, _: clients.create(p.sam, first_name="Ravi", last_name="Canary"),
        Action.CLIENT_CREATED,
    ),
    "clients.change": (
        lambda _, __: None,
        lambda p, _: clients.change(
            p.sam,
            p.jane,
            first_name="Canary",
            last_name="",
            preferred_name="",
            internal_id="1042",
            ceiling=None,
        ),
        Action.CLIENT_CHANGED,
    ),
    "people.create": (
        lambda _, __: None,
        lambda p, _: people.create(p.ada, "Canary"),
        Action.CLINICIAN_CREATED,
    ),
    "people.change": (
        lambda _, __: None,
        lambda p, _: people.change(p.ada, clinician_id(p.unlu), "Canary"),
        Action.CLINICIAN_CHANGED,
    ),
    "people.archive": (
        lambda p, _: own_link(p),
        lambda p, _: people.archive(p.ada, clinician_id(p.unlu)),
        Action.CLINICIAN_ARCHIVED,
    ),
    "accounts.create_user": (
        lambda _, __: None,
        lambda p, _: accounts.create_user(
            p.ada,
            email="canary@example.com",
            name="Canary",
            role=Role.CLINICIAN,
            password=PASSWORD,
        ),
        Action.USER_CREATED,
    ),
    "accounts.change_user": (
        lambda _, __: None,
        lambda p, _: accounts.change_user(
            p.ada, user_id(p.sam), name="Canary", role=Role.SCHEDULER
        ),
        Action.USER_CHANGED,
    ),
    "accounts.disable_user": (
        lambda p, _: own_link(p),
        lambda p, _: accounts.disable_user(p.ada, user_id(p.unlu)),
        Action.USER_DISABLED,
    ),
    "accounts.enable_user": (
        lambda p, _: accounts.disable_user(p.ada, user_id(p.unlu)),
        lambda p, _: accounts.enable_user(p.ada, user_id(p.unlu)),
        Action.USER_ENABLED,
    ),
    "accounts.set_password": (
        lambda _, __: None,
        lambda p, _: accounts.set_password(p.ada, user_id(p.unlu), "canary pond and quiet hill"),
        Action.PASSWORD_CHANGED,
    ),
    "accounts.sign_in": (
        lambda _, __: None,
        lambda _, __: signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7"),
        Action.SIGNED_IN,
    ),
    "accounts.sign_out": (
        lambda _, __: signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7"),
        lambda _, secret: sessions.sign_out(secret),
        Action.SIGNED_OUT,
    ),
    "sessions.confirmed": (
        lambda _, __: signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7"),
        lambda _, secret: signing.confirm(secret, PASSWORD),
        Action.CONFIRMED,
    ),
    "sessions.end": (
        lambda p, _: session_of_unlu(p),
        lambda p, found: sessions.end(p.unlu, found),
        Action.SESSION_ENDED,
    ),
    "sessions.end_others": (
        lambda _, __: signing.sign_in("unlu@example.com", PASSWORD, "203.0.113.7"),
        lambda p, secret: sessions.end_others(p.unlu, secret),
        Action.SESSIONS_ENDED,
    ),
    "sessions.end_of_user": (
        lambda _, __: None,
        lambda p, _: sessions.end_of_user(p.ada, user_id(p.unlu)),
        Action.SESSIONS_ENDED,
    ),
    "sessions.end_of_everyone": (
        lambda _, __: None,
        lambda p, _: sessions.end_of_everyone(p.ada),
        Action.ALL_SESSIONS_ENDED,
    ),
    "own_email.change": (
        lambda _, __: None,
        lambda p, _: own_email.change(p.unlu, "canary@example.com"),
        Action.EMAIL_CHANGED,
    ),
    "own_email.keep": (
        lambda p, _: address_wanted(p),
        lambda p, _: own_email.keep(p.unlu),
        Action.EMAIL_KEPT,
    ),
    "own_email.prove": (
        lambda p, _: address_wanted(p),
        lambda p, text: own_email.prove(p.unlu, text),
        Action.EMAIL_CHANGED,
    ),
    "tickets.make": (
        lambda _, __: None,
        lambda p, _: tickets.make(p.ada, user_id(p.unlu)),
        Action.TICKET_MADE,
    ),
    "tickets.invite": (
        lambda _, __: None,
        lambda p, _: tickets.invite(p.ada, user_id(p.unlu)),
        Action.TICKET_MAILED,
    ),
    "tickets.spend": (
        lambda p, _: tickets.make(p.ada, user_id(p.unlu))[0],
        lambda _, text: tickets.spend(text, "canary pond and quiet hill"),
        Action.TICKET_SPENT,
    ),
    "tickets.forgotten": (
        lambda _, __: None,
        lambda _, __: tickets.forgotten("unlu@example.com", "203.0.113.7"),
        Action.PASSWORD_FORGOTTEN,
    ),
    "practice.change": (
        lambda _, __: None,
        lambda p, _: practices.change(p.ada, name="Canary", zone=ZONE, days_back=1, months_ahead=1),
        Action.PRACTICE_CHANGED,
    ),
    "practice.change_policy": (
        lambda p, _: own_link(p),
        lambda p, _: lower_ceiling(p, DisplayMode.BUSY),
        Action.POLICY_CHANGED,
    ),
    "types.change": (
        lambda p, _: types.create(p.ada, name="Intake", minutes=90, colour=Colour.BLUE).id,
        lambda p, kind: types.change(
            p.ada, kind, name="Canary", minutes=90, colour=Colour.RED, ceiling=DisplayMode.BUSY
        ),
        Action.TYPE_CHANGED,
    ),
    "practice.show_internal_ids": (
        lambda _, __: None,
        lambda p, _: practices.show_internal_ids(p.ada, shown=True),
        Action.CLIENT_SETTINGS_CHANGED,
    ),
    "practice.add_location": (
        lambda _, __: None,
        lambda p, _: practices.add_location(p.ada, "Canary Wharf"),
        Action.LOCATION_CREATED,
    ),
    "practice.remove_location": (
        lambda _, __: practices.locations()[0].id,
        lambda p, found: practices.remove_location(p.ada, found),
        Action.LOCATION_REMOVED,
    ),
    "imports.apply": (
        lambda _, __: None,
        lambda p, _: imports.apply(p.sam, clinician_id(p.unlu), calendar(PAULA)),
        Action.IMPORT_APPLIED,
    ),
    "uploads.keep": (
        lambda _, __: None,
        lambda p, _: uploads.keep(p.sam, clinician_id(p.unlu), calendar(PAULA)),
        Action.IMPORT_UPLOADED,
    ),
    "undo.undo": (
        lambda p, _: imports.apply(p.sam, clinician_id(p.unlu), calendar(PAULA)),
        lambda p, _: undo.undo(p.sam, imports.listed(p.sam)[0].id),
        Action.IMPORT_UNDONE,
    ),
    "mappings.remember": (
        lambda _, __: None,
        lambda p, _: mappings.remember(p.sam, "0" * 32, ["Client", "Start"]),
        Action.IMPORT_COLUMNS_SAID,
    ),
}


def entries() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(AuditEntry.id))) or 0


@pytest.mark.bar("O1")
@pytest.mark.parametrize("name", USES)
def test_every_change_writes_one_entry(practice: Practice, book: Book, name: str) -> None:
    lead_up, use, action = USES[name]
    led = lead_up(practice, book)
    before = entries()

    use(practice, led)

    assert entries() == before + 1
    last = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last is not None
    assert last.action == action
    said = f"{last.subject} {last.detail}".lower()
    assert [word for word in ("canary", "jane", "smith", "@", PASSWORD) if word in said] == []


@pytest.mark.bar("O1")
def put_everybody_out() -> None:
    with db.engine.connect().execution_options(writing=True) as connection:
        connection.execute(update(User).values(disabled_at=clock.now()))
        connection.commit()
    db.session.rollback()


@pytest.mark.bar("A2", "Z3")
@pytest.mark.parametrize("name", USES)
def test_whoever_is_put_out_while_asking_changes_nothing(
    practice: Practice, book: Book, name: str
) -> None:
    lead_up, use, _ = USES[name]
    led = lead_up(practice, book)
    before = entries()
    put_everybody_out()

    with suppress(SyncError):
        use(practice, led)

    db.session.rollback()
    later = db.session.scalars(select(AuditEntry).where(AuditEntry.id > before))
    of_users = [entry for entry in later if entry.actor.startswith("user:")]
    assert [entry.action for entry in of_users if entry.subject != entry.actor] == []


def test_a_refused_change_writes_none(practice: Practice, book: Book) -> None:
    book(practice.jane)
    before = entries()

    for use in (
        lambda: appointments.create(practice.unlu, clinician_id(practice.unlu), plan()),
        lambda: practices.change(
            practice.unlu,
            name="Mine",
            zone=ZONE,
            days_back=1,
            months_ahead=1,
        ),
        lambda: links.disallow(practice.unlu, practice.annas_calendar),
        lambda: clients.create(practice.sam, first_name="Ravi", internal_id="1042"),
    ):
        with pytest.raises(SyncError):
            use()

    assert entries() == before


def test_the_worker_says_what_it_removed_and_nothing_otherwise(
    practice: Practice, now: Clock
) -> None:
    codes.make(practice.unlu, own_link(practice))
    before = entries()
    assert upkeep.clean_up() == 0
    assert entries() == before

    now.move(days=2)

    assert upkeep.clean_up() == 1
    assert entries() == before + 1
