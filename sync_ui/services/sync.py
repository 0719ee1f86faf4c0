"""A pass: what was changed outside is read, what is owed is written, and how it went is noted.

What is owed is no list of tasks that could be lost: it is the difference between
the schedule and what is known to stand at the provider. A calendar's version,
which grows in each change's own transaction, tells that there may be one.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain.outside import Later, Missing, Provider, Rejected, SignedOut, Trouble
from sync_ui.errors import SyncError
from sync_ui.models import (
    Connection,
    ConnectionState,
    Copy,
    Direction,
    ProviderName,
    Step,
    db,
)
from sync_ui.services import (
    busy,
    channels,
    cleaning,
    copies,
    leases,
    leaving,
    mail,
    proposals,
    providers,
    steps,
)
from sync_ui.services.access import WORKER
from sync_ui.services.leases import Lease, LeaseLost
from sync_ui.services.providers import Credentials
from sync_ui.services.pull import pull
from sync_ui.services.push import Push
from sync_ui.services.steps import Did

WORKED_ON = (ConnectionState.WORKING, ConnectionState.LEAVING)
NEED_SOMEBODY = (ConnectionState.STOPPED, ConnectionState.SIGNED_OUT, ConnectionState.LOST)

# So often is looked what was changed outside, where nobody tells.
POLLED = {ProviderName.CALDAV: timedelta(minutes=1), ProviderName.GOOGLE: timedelta(minutes=2)}
LONGEST_WAIT = timedelta(hours=1)

# A provider that asks for more patience is asked again all the same.
LONGEST_ASKED = timedelta(days=1)

# A channel that tells needs to be asked only in case a message was lost. Busy calendars have none.
POLLED_BESIDE_CHANNEL = timedelta(minutes=10)

# Google ends the permissions of such a project when they are a week old.
TESTING = (
    "It was a week old: if your practice’s project at Google is still in “Testing”, "
    "ask your administrator to publish it, or this comes back every week."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass came to: `moved` by word of the log; `more` if it is to go on at once."""

    moved: dict[str, int]
    more: bool = False
    trouble: str = ""


def is_needed() -> bool:
    """Whether there is any connection to work on."""
    wanted = select(Connection.id).where(Connection.state.in_(WORKED_ON)).limit(1)
    # On a line of its own: who has just written may read on as if nobody had asked.
    with db.engine.connect() as line:
        return line.scalar(wanted) is not None


def due() -> list[int]:
    """The connections that there is something to do for."""
    now = clock.now()
    found = db.session.scalars(select(Connection).where(Connection.state.in_(WORKED_ON)))
    return [connection.id for connection in found if _is_due(connection, now)]


def _is_due(connection: Connection, now: datetime) -> bool:
    if connection.leased_until is not None:
        return not leases.is_held(connection, now)  # whoever worked on it has died
    if not now < connection.next_at <= now + LONGEST_ASKED:  # or the clock was set back
        return True
    return not connection.failures and connection.written != copies.state(connection, now)


def run(connection_id: int) -> Passed | None:
    """One pass over the connection; None if somebody else works on it, or nobody is to."""
    lease = leases.take(connection_id)
    if lease is None:
        return None
    connection = db.session.get_one(Connection, connection_id)
    if connection.state not in WORKED_ON:
        lease.give_back()
        return None
    last = db.session.scalar(select(Step.id).order_by(Step.id.desc()).limit(1)) or 0
    trouble, more = "", False
    try:
        more = _work(lease, connection)
        more = _succeed(lease, more=more)
    except LeaseLost:
        return None
    except Trouble as error:
        db.session.rollback()
        trouble = str(error)
        _fail(lease, error)
    return Passed(_moved(connection_id, last), more, trouble)


def run_until_done(connection_id: int) -> Passed | None:
    """Passes until nothing more is owed, as one."""
    moved: dict[str, int] = {}
    while True:
        passed = run(connection_id)
        if passed is None:
            return None
        for word, count in passed.moved.items():
            moved[word] = moved.get(word, 0) + count
        if not passed.more:
            return Passed(moved, trouble=passed.trouble)


def _work(lease: Lease, connection: Connection) -> bool:
    """Whether more is left to do at once."""
    login = providers.login_of(connection)
    state, direction = connection.state, connection.direction
    db.session.rollback()
    provider = providers.open_login(login)
    try:
        if state is ConnectionState.LEAVING:
            return cleaning.clean(lease, provider)
        if direction is Direction.TWO_WAY and _read(lease, provider):
            return False
        more = Push(lease, provider).push()
        if not more:
            channels.keep(lease, provider)
        return more
    finally:
        _keep(lease, providers.renewed(provider, login.credentials))


def _keep(lease: Lease, renewed: Credentials | None) -> None:
    if renewed is not None:
        with lease.writing() as (_, connection):
            if connection.sealed is not None:
                providers.seal(connection, renewed)


def _read(lease: Lease, provider: Provider) -> bool:
    """Whether the connection was stopped."""
    pulled = pull(lease, provider)
    if pulled.stopped:
        return True
    for proposal_id in pulled.proposals:
        try:
            proposals.accept(WORKER, proposal_id)
        except SyncError:
            continue  # the time is taken, say: somebody is asked
    busy.read(lease, provider)
    return False


def _moved(connection_id: int, last: int) -> dict[str, int]:
    moved: dict[str, int] = {}
    of_pass = select(Step).where(Step.connection_id == connection_id, Step.id > last)
    for step in db.session.scalars(of_pass):
        moved[step.word] = moved.get(step.word, 0) + step.count
    return moved


def _succeed(lease: Lease, *, more: bool) -> bool:
    """Whether the pass is to go on at once: something may have changed during it."""
    with lease.writing() as (session, connection):
        now = clock.now()
        changed = connection.written != copies.state(connection, now) or connection.next_at <= now
        more = more or (changed and connection.state is ConnectionState.WORKING)
        connection.tried_at = connection.succeeded_at = now
        connection.failures = 0
        if connection.state is not ConnectionState.STOPPED:
            connection.trouble = ""
        put_off = session.scalar(
            select(Copy.next_at)
            .where(Copy.connection_id == connection.id, Copy.next_at.is_not(None))
            .where(Copy.parked.is_(False))
            .order_by(Copy.next_at)
            .limit(1)
        )
        waits = now if more else min(now + _pause(connection, now), connection.next_at)
        connection.next_at = min(waits, max(put_off, now)) if put_off else waits
        connection.leased_until = None
    return more


def _pause(connection: Connection, now: datetime) -> timedelta:
    """Until it is time to look again, though nothing was changed here."""
    if connection.direction is Direction.SEND_ONLY:
        return LONGEST_WAIT
    if channels.is_open(connection, now) and not connection.busy_calendars:
        return POLLED_BESIDE_CHANNEL
    return POLLED[connection.provider]


def _fail(lease: Lease, trouble: Trouble) -> None:
    """Later again, each time twice as late; or not before somebody has helped."""
    try:
        with lease.writing() as (session, connection):
            now = clock.now()
            sentence = _sentence(connection, trouble, now)
            connection.tried_at, connection.trouble = now, sentence
            connection.failures += 1
            connection.leased_until = None
            asked = trouble.seconds if isinstance(trouble, Later) else None
            connection.next_at = now + _backoff(connection.failures, asked)
            stops = _STOPS.get(type(trouble))
            if stops is not None and connection.state is ConnectionState.LEAVING:
                leaving.end(connection)  # what it wrote can be removed with a new sign-in
            elif stops is not None:
                connection.state = stops
                mail.owe_connection_notice(session, connection)
            steps.note(session, connection.id, Did.FAILED, 1, sentence)
    except LeaseLost:
        log.info("A pass ended late; another one has taken its place.")


def _sentence(connection: Connection, trouble: Trouble, now: datetime) -> str:
    age = now - connection.signed_in_at
    google = connection.provider is ProviderName.GOOGLE and isinstance(trouble, SignedOut)
    if google and timedelta(days=6, hours=12) <= age <= timedelta(days=7, hours=12):
        return f"{trouble} {TESTING}"
    return str(trouble)


_STOPS = {
    SignedOut: ConnectionState.SIGNED_OUT,
    Missing: ConnectionState.LOST,
    Rejected: ConnectionState.STOPPED,
}


def _backoff(failures: int, asked: float | None) -> timedelta:
    """Spread by chance, so that many accounts do not come back at once."""
    wait = min(timedelta(seconds=30 * 2 ** min(failures - 1, 10)), LONGEST_WAIT)
    wait *= random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    return max(wait, min(timedelta(seconds=asked or 0), LONGEST_ASKED))
