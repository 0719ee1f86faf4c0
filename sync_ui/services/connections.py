"""Connections: a clinician's calendar kept up to date at Google or on a CalDAV server."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import display
from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.domain.outside import (
    Missing,
    OutsideCalendar,
    Provider,
    Rejected,
    SignedOut,
    Trouble,
)
from sync_ui.domain.reconcile import Rule
from sync_ui.errors import Conflict, Invalid, NotFound, Unavailable
from sync_ui.models import (
    BusyCalendar,
    Calendar,
    Connection,
    ConnectionState,
    Copy,
    Direction,
    ProviderName,
    db,
    transaction,
)
from sync_ui.models.database import owes_more
from sync_ui.services import (
    access,
    copies,
    farewells,
    leaving,
    limits,
    links,
    practice,
    providers,
)
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.providers import Account, Credentials, Login, ask
from sync_ui.services.push import duties

# What a connection shows beside names until somebody says otherwise.
USUAL = Choices(location=True, type=False, telehealth=Telehealth.NONE, time_off=True)

ALIVE = tuple(state for state in ConnectionState if state is not ConnectionState.ENDED)


def connect(
    actor: Actor,
    calendar_key: str,
    account: Account,
    direction: Direction,
    mode: DisplayMode,
    *,
    choices: Choices = USUAL,
    rule: Rule = Rule.ASK,
    outside_id: str = "",
    busy_ids: Collection[str] = (),
    agreement: str = "",
    confirmed: bool = False,
) -> Connection:
    """The connection is there, NEW: nothing is written before `start`.

    Without `outside_id` a calendar of its own is made at the provider. Raises
    NotFound, Invalid, Refused, ConfirmationNeeded, Conflict.
    """
    agreement = limits.checked_agreement(agreement)
    calendar = clinicians(actor, calendar_key)
    limits.check_mode(mode, agreement, confirmed=confirmed)
    place = _place(account, calendar, outside_id)
    if place.id in busy_ids:
        raise Invalid("The calendar that is written to cannot block time as well.")
    with transaction() as session:
        calendar = clinicians(actor, calendar_key)
        limits.check_mode(mode, agreement, confirmed=confirmed)
        _refuse_second(calendar, place)
        now = clock.now()
        connection = Connection(
            calendar_id=calendar.id,
            provider=account.login.provider,
            direction=direction,
            account=account.login.name,
            server=account.login.server,
            outside_id=place.id,
            outside_name=place.name,
            mode=mode,
            agreement=agreement,
            rule=rule,
            state=ConnectionState.NEW,
            created_at=now,
            created_by_id=actor.user_id,
            signed_in_at=now,
            next_at=now,
        )
        _choose(connection, choices)
        session.add(connection)
        session.flush()
        providers.seal(connection, account.login.credentials)
        if direction is Direction.TWO_WAY:
            _tick(connection, account.calendars, busy_ids)
        subject = f"connection:{connection.id}"
        detail = {"mode": mode.value, "direction": direction.value}
        record(session, actor, Action.CONNECTION_CREATED, subject, calendar=calendar.id, **detail)
    return connection


def start(actor: Actor, connection_id: int) -> Connection:
    """From now on every change is at the provider within moments."""
    with transaction() as session:
        connection = one(actor, connection_id)
        if connection.state is not ConnectionState.NEW:
            raise Conflict("This connection works already.")
        _resume(session, connection)
        record(session, actor, Action.CONNECTION_STARTED, f"connection:{connection_id}")
    return connection


def change(
    actor: Actor,
    connection_id: int,
    *,
    mode: DisplayMode,
    choices: Choices,
    rule: Rule,
    agreement: str = "",
    confirmed: bool = False,
) -> Connection:
    """It shows this from now on, also what is written already. Raises as `connect`."""
    agreement = limits.checked_agreement(agreement)
    with transaction() as session:
        connection = one(actor, connection_id)
        _require_alive(connection)
        mode = limits.changed_mode(
            connection.mode, connection.agreement, mode, agreement, confirmed=confirmed
        )
        connection.mode, connection.agreement, connection.rule = mode, agreement, rule
        _choose(connection, choices)
        owes_more(session)
        subject = f"connection:{connection_id}"
        record(session, actor, Action.CONNECTION_CHANGED, subject, mode=mode.value, rule=rule.value)
    return connection


def choose_busy(actor: Actor, connection_id: int, busy_ids: Collection[str]) -> Connection:
    """These outside calendars block time, and no others. Raises Unavailable, Conflict."""
    connection = one(actor, connection_id)
    found = outside_calendars(actor, connection_id)
    with transaction() as session:
        connection = one(actor, connection_id)
        _require_alive(connection)
        if connection.direction is not Direction.TWO_WAY:
            raise Conflict("A connection that only sends reads no other calendar.")
        _tick(connection, found, busy_ids)
        leaving.make_due(session, connection)
        count = len(connection.busy_calendars)
        subject = f"connection:{connection_id}"
        record(session, actor, Action.CONNECTION_CHANGED, subject, busy_calendars=count)
    return connection


def outside_calendars(actor: Actor, connection_id: int) -> list[OutsideCalendar]:
    """Those of the account that could block time."""
    connection = one(actor, connection_id)
    written = connection.outside_id
    with providers.calling(connection) as provider:
        return [found for found in ask(provider.calendars) if found.id != written]


def sign_in_again(actor: Actor, connection_id: int, secrets: Credentials) -> Connection:
    """The connection goes on with new credentials, which have to open the same account.

    Nothing comes twice: what is there already is found again. Raises Invalid.
    """
    connection = one(actor, connection_id)
    login = Login(connection.provider, connection.account, connection.server, secrets)
    provider, outside_id = providers.open_login(login), connection.outside_id
    db.session.rollback()
    if connection.state is ConnectionState.LOST:
        _look_around(login, connection.direction)
    elif not _is_there(provider, outside_id):
        google = login.provider is ProviderName.GOOGLE
        mend = "Sign in to the same one." if google else "Check the password."
        raise Invalid(f"This does not open the account that was connected. {mend}")
    with transaction() as session:
        connection = one(actor, connection_id)
        providers.seal(connection, secrets)
        if connection.state is not ConnectionState.ENDED:
            _resume(session, connection)
        connection.signed_in_at = clock.now()
        record(session, actor, Action.CONNECTION_SIGNED_IN, f"connection:{connection_id}")
    return connection


def answer(actor: Actor, connection_id: int, rule: Rule) -> Connection:
    """A stopped connection goes on: what was changed at once is asked about, or put back."""
    with transaction() as session:
        connection = one(actor, connection_id)
        if connection.state is not ConnectionState.STOPPED:
            raise Conflict("This connection is not stopped.")
        connection.answer = rule
        _resume(session, connection)
        subject = f"connection:{connection_id}"
        record(session, actor, Action.CONNECTION_STARTED, subject, rule=rule.value)
    return connection


def make_anew(actor: Actor, connection_id: int) -> Connection:
    """The outside calendar is gone: everything is written to a new one."""
    connection = one(actor, connection_id)
    if connection.state is not ConnectionState.LOST:
        raise Conflict("The outside calendar is still there.")
    name = _calendar_name(connection.calendar)
    with providers.calling(connection) as provider:
        place = ask(lambda: provider.make_calendar(name))
    with transaction() as session:
        connection = one(actor, connection_id)
        for copy in copies.known(session, connection_id).values():
            session.delete(copy)
        connection.outside_id, connection.outside_name = place.id, place.name
        connection.token = None
        _resume(session, connection)
        record(session, actor, Action.CONNECTION_STARTED, f"connection:{connection_id}")
    return connection


def sync_now(actor: Actor, connection_id: int) -> Connection:
    """It is due at once, whatever it was waiting for."""
    with transaction() as session:
        connection = one(actor, connection_id)
        _require_alive(connection)
        leaving.make_due(session, connection)
    return connection


def retry(actor: Actor, connection_id: int) -> int:
    """What was parked is tried again. Returns how many."""
    with transaction() as session:
        connection = one(actor, connection_id)
        stuck = [copy for copy in copies.known(session, connection_id).values() if copy.parked]
        for copy in stuck:
            copy.parked, copy.attempts, copy.restored, copy.next_at = False, 0, 0, None
            copy.trouble = ""
        connection.written = ""
        leaving.make_due(session, connection)
    return len(stuck)


def disconnect(actor: Actor, connection_id: int, *, remove: bool) -> Connection:
    """Nothing is written or read any more; what was written is removed first, if asked for.

    What stays can be removed later, with a new sign-in.
    """
    farewell = None if remove else farewells.prepared(one(actor, connection_id))
    with transaction() as session:
        connection = one(actor, connection_id)
        _require_alive(connection)
        leaving.leave(session, connection, remove=remove)
        subject = f"connection:{connection_id}"
        record(session, actor, Action.CONNECTION_ENDED, subject, removed=remove)
    if farewell is not None:
        farewell.say()
    return connection


def remove_written(actor: Actor, connection_id: int, secrets: Credentials) -> Connection:
    """An ended connection takes back what it left behind, with a new sign-in. Raises Invalid."""
    connection = sign_in_again(actor, connection_id, secrets)
    with transaction() as session:
        connection = one(actor, connection_id)
        if connection.state is not ConnectionState.ENDED:
            raise Conflict("Disconnect first.")
        leaving.leave(session, connection, remove=True)
        subject = f"connection:{connection_id}"
        record(session, actor, Action.CONNECTION_ENDED, subject, removed=True)
    return connection


def one(actor: Actor, connection_id: int) -> Connection:
    """Raises NotFound for one that is not the actor's to manage."""
    found = access.get(Connection, connection_id, "There is no such connection.")
    if not access.may_share(actor, found.calendar):
        raise NotFound("There is no such connection.")
    return found


def of_calendar(calendar_id: int, *, ended: bool = False) -> list[Connection]:
    wanted = select(Connection).where(Connection.calendar_id == calendar_id)
    if not ended:
        wanted = wanted.where(Connection.state.in_(ALIVE))
    return list(db.session.scalars(wanted.order_by(Connection.id)))


def manageable(actor: Actor) -> list[Connection]:
    """Every connection of the calendars that are the actor's to share."""
    ids = [calendar.id for calendar in links.manageable(actor)]
    wanted = select(Connection).where(Connection.calendar_id.in_(ids))
    return list(db.session.scalars(wanted.order_by(Connection.id)))


def parked(connection_id: int) -> list[Copy]:
    wanted = select(Copy).where(Copy.connection_id == connection_id, Copy.parked.is_(True))
    return list(db.session.scalars(wanted.order_by(Copy.id)))


def queue(connection: Connection) -> int:
    """How many things are still to be written."""
    return len(duties(connection, copies.wanted(connection, clock.now())))


def usual_mode(direction: Direction) -> DisplayMode:
    """Until somebody chooses: only Busy where nothing is read, as those want who ask for it."""
    if direction is Direction.SEND_ONLY:
        return DisplayMode.BUSY
    return display.effective(DisplayMode.INITIALS, practice.get().ceiling)


def clinicians(actor: Actor, calendar_key: str) -> Calendar:
    """Raises NotFound, and Invalid for the practice's, which nobody's account can hold."""
    found = access.calendar(actor, calendar_key)
    if found.clinician_id is None:
        raise Invalid("Only a clinician's own calendar can be connected. Share a link instead.")
    return found


def _refuse_second(calendar: Calendar, place: OutsideCalendar) -> None:
    """Two that write to one calendar would take each other's entries for changes outside."""
    if any(other.outside_id == place.id for other in of_calendar(calendar.id)):
        raise Conflict("This account is connected already. Change or disconnect it first.")


def _place(account: Account, calendar: Calendar, outside_id: str) -> OutsideCalendar:
    """Where to write: the one that was chosen, else the one that was written to before, else a
    new one.
    """
    if outside_id:
        for found in account.calendars:
            if found.id == outside_id and found.writable:
                return found
        raise Invalid("Choose a calendar of the list, or let a new one be made.")
    name = _calendar_name(calendar)
    earlier = [
        OutsideCalendar(each.outside_id, each.outside_name, writable=True)
        for each in of_calendar(calendar.id, ended=True)
        if (each.provider, each.server) == (account.login.provider, account.login.server)
    ]
    provider = providers.open_login(account.login)
    db.session.rollback()
    for found in reversed(earlier):
        if _is_there(provider, found.id):
            return found
    for found in account.calendars:
        if found.name == name and found.writable:
            return found
    return ask(lambda: provider.make_calendar(name))


def _is_there(provider: Provider, outside_id: str) -> bool:
    try:
        provider.changes(outside_id, None)
    except (Missing, Rejected, SignedOut):
        return False
    except Trouble as trouble:
        raise Unavailable(str(trouble)) from None
    return True


def _look_around(login: Login, direction: Direction) -> None:
    """Raises Invalid and Unavailable, where the permission is for more than our own calendars."""
    if login.provider is not ProviderName.GOOGLE or direction is Direction.TWO_WAY:
        providers.look_around(login)


def _calendar_name(calendar: Calendar) -> str:
    return practice.one_line(f"{links.name(calendar)} – {practice.get().name}")[:80]


def _tick(
    connection: Connection, found: Collection[OutsideCalendar], busy_ids: Collection[str]
) -> None:
    names = {each.id: each.name for each in found if each.id != connection.outside_id}
    wanted = [each for each in dict.fromkeys(busy_ids) if each in names]
    kept = {each.outside_id: each for each in connection.busy_calendars}
    connection.busy_calendars = [
        kept.get(each) or BusyCalendar(outside_id=each, name=names[each]) for each in wanted
    ]


def _choose(connection: Connection, choices: Choices) -> None:
    connection.shows_location, connection.shows_type = choices.location, choices.type
    connection.telehealth, connection.shows_time_off = choices.telehealth, choices.time_off


def _resume(session: Session, connection: Connection) -> None:
    connection.state, connection.trouble = ConnectionState.WORKING, ""
    connection.failures = 0
    connection.channel_ends_at = None  # it may have died with the sign-in: another one is made
    leaving.make_due(session, connection)


def _require_alive(connection: Connection) -> None:
    if connection.state in leaving.OVER:
        raise Conflict("This connection has ended. Connect again.")
