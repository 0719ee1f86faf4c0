"""A backup put in the database's place: all of it or nothing, and no dead link comes back."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.errors import Invalid, Unavailable
from sync_ui.models import (
    AuditEntry,
    BusyCalendar,
    Challenge,
    Code,
    Connection,
    ConnectionState,
    KeyCheck,
    Link,
    Reason,
    Session,
    Ticket,
    Token,
    copying,
    database,
    former,
    keys,
    migrations,
    moving,
)
from sync_ui.models.copying import Note
from sync_ui.models.head import Newest
from sync_ui.models.installation import Installation
from sync_ui.models.journal import Journal
from sync_ui.services import addresses, backups, calendars, channels, leases, leaving
from sync_ui.services import standing as standings
from sync_ui.services.access import COMMAND
from sync_ui.services.audit import Action, record
from sync_ui.services.standing import Standing

# What stood outside when the backup was made says nothing about today.
_LOOK_FIRST = (
    ConnectionState.WORKING,
    ConnectionState.STOPPED,
    ConnectionState.SIGNED_OUT,
)
STOPPED = (
    "A backup of {day:%d %B %Y} was restored. What was booked since then may still stand in this "
    "calendar: copy what you need before you go on. Nothing is written or removed until then."
)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a restore would do, said before anything is touched.

    `same`: the database that stands there is of the same installation; None if
    there is none, or none that opens. `knows_the_dead`: whether the journal of
    dead links that stands there is the one of this installation.
    """

    note: Note
    same: bool | None
    knows_the_dead: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """`kept` is what stood there before. `ended` links were dead already, by the journal.

    `doubtful` are those that may have been dead, which nobody here knows;
    `reset` got new addresses. `unsure` may live longer than was promised since
    the backup, for no database was there that tells. `renewed` are the numbers
    of links with one more address, for the one they had ends soon; `lost` the
    names of links whose every address is younger than the backup.
    """

    note: Note
    kept: Path | None
    ended: int
    doubtful: int
    reset: int
    connections: int
    unsure: int = 0
    renewed: tuple[int, ...] = ()
    lost: tuple[str, ...] = ()


def look(found: Installation, path: Path) -> Outlook:
    """Raises Invalid with a sentence for whatever cannot be restored; touches nothing."""
    return _outlook(found, path, standings.look(found))


def _outlook(found: Installation, path: Path, standing: Standing) -> Outlook:
    note = copying.check(path, copying.key_of(path, found.keys.ring("database")))
    there = standing.installation
    same = None if there is None else there == note.installation
    return Outlook(note, same, _knows_the_dead(found.journal, standing, note))


def restore(found: Installation, path: Path, *, reset_links: bool = False) -> Restored:
    """The database is as the backup has it, in this version's shape; what it was is kept.

    Sign-ins, codes, tickets and challenges are over, every dead link stays dead
    and every connection waits for somebody to look. The caller keeps everybody
    else away. Raises as `look`, Conflict while somebody has the database open,
    Unavailable.
    """
    standing = standings.look(found)
    outlook = _outlook(found, path, standing)
    note, key = outlook.note, found.keys.database
    fresh = found.config.data_dir / copying.RESTORING
    copying.unpack(path, copying.key_of(path, found.keys.ring("database")), fresh, key)
    try:
        engine = database.file_engine(fresh, key)
        try:
            with engine.connect() as connection, Transaction(connection) as session:
                _check_keys(session, found)
            # Then the journal: whatever comes between, what it knows is true.
            found.journal.unite(note.journal)
            found.journal.add(standing.dead, clock.now())
            _plan_ends(found.journal, standing)
            newest, done = _change(engine, found, outlook, standing, reset_links=reset_links)
        finally:
            engine.dispose()
        copying.settle(fresh, key)
        found.head.intend(newest)
        kept = _put_in_place(found, fresh)
    except (OSError, SQLAlchemyError):
        raise Unavailable(
            "The backup could not be put in place. Look for room on the disk, and try again."
        ) from None
    finally:
        copying.discard(fresh)
    # It is in place: what cannot be written now is done by the next start.
    with suppress(OSError):
        found.head.restart(newest)
    found.damage.forget()
    return replace(done, kept=kept)


def _plan_ends(journal: Journal, standing: Standing) -> None:
    journal.plan((each.digest, each.ends_at) for each in standing.addresses if each.ends_at)


def _change(
    engine: Engine,
    found: Installation,
    outlook: Outlook,
    standing: Standing,
    *,
    reset_links: bool,
) -> tuple[Newest, Restored]:
    """In the copy, before it is put in place: what must not be as it was."""
    with (
        engine.connect().execution_options(writing=True) as connection,
        Transaction(connection) as session,
    ):
        for table in (Session, Code, Ticket, Challenge):
            session.execute(delete(table))
        _know_the_secret(session, found)
        ended = _bury(session, found.journal)
        lost = _lost(session, found.journal, standing)
        standings.shorten(session, standing, found.journal)
        living = session.scalars(addresses.alive()).all()
        renewed = [] if reset_links else _issue_where_none_stays(living)
        if reset_links:
            for link in living:
                addresses.reset(session, link, Reason.ROUTINE)
        waiting = _stop_connections(session, outlook.note.made_at)
        # The same versions will come again with other appointments: no reader may hold on.
        calendars.raise_policy(session, calendars.stamp(session))
        backups.adopt(session, found)
        head = found.head.read()
        doubtful = 0 if reset_links or outlook.knows_the_dead else len(living)
        reset = len(living) if reset_links else 0
        told = outlook.same and standing.living is not None
        unsure = 0 if reset_links or told else len(living)
        record(
            session,
            COMMAND,
            Action.BACKUP_RESTORED,
            "practice",
            made_at=outlook.note.made_at.isoformat(timespec="seconds"),
            head_was=head.number if head else None,
            ended=ended,
            doubtful=doubtful,
            reset=reset,
            unsure=unsure,
            renewed=len(renewed),
            lost=len(lost),
        )
        session.commit()
        dead = session.scalars(select(Token.digest).where(Token.retired_at.is_not(None)))
        found.journal.add(dead, clock.now())
        newest = select(AuditEntry.id, AuditEntry.digest).order_by(AuditEntry.id.desc()).limit(1)
        counted = (ended, doubtful, reset, waiting, unsure)
        done = Restored(outlook.note, None, *counted, tuple(renewed), lost)
        return Newest(*session.execute(newest).one()), done


def _lost(session: Transaction, journal: Journal, standing: Standing) -> tuple[str, ...]:
    """The links that lose every address; whatever holds one of these shows a notice from now on."""
    known = set(session.scalars(select(Token.digest)))
    journal.lose(
        (each.digest for each in standing.addresses if each.digest not in known), clock.now()
    )
    alive = session.scalars(select(Token.digest).where(Token.retired_at.is_(None)))
    return standing.lost(set(alive))


def _issue_where_none_stays(living: Sequence[Link]) -> list[int]:
    """Links whose only address ends by itself have one to show again. Returns their numbers."""
    without = [link for link in living if addresses.current(link) is None]
    for link in without:
        addresses.issue(link)
    return [link.id for link in without]


def _bury(session: Transaction, journal: Journal) -> int:
    """Tokens that the journal knows to be dead are; links without another one end. How many."""
    touched: dict[int, Link] = {}
    for token in session.scalars(select(Token).where(Token.retired_at.is_(None))).all():
        died_at = journal.died_at(token.digest)
        if died_at is not None:
            token.retired_at, token.sealed = died_at, None
            touched[token.link_id] = token.link
    ended = 0
    for link in touched.values():
        if link.disabled_at is None and addresses.current(link) is None:
            addresses.end(session, link)
            ended += 1
    return ended


def _stop_connections(session: Transaction, made_at: datetime) -> int:
    """Every connection reads everything anew, once somebody has looked. Returns how many wait."""
    waiting = 0
    for connection in session.scalars(select(Connection)):
        leases.break_(connection)
        channels.forget(connection)
        connection.token, connection.written, connection.answer = None, "", None
        if connection.state is ConnectionState.LEAVING:
            # It may have been connected again since: nothing is taken back behind anybody's back.
            leaving.end(connection)
        elif connection.state in _LOOK_FIRST:
            connection.state = ConnectionState.STOPPED
            connection.trouble = STOPPED.format(day=made_at)
            waiting += 1
    session.execute(update(BusyCalendar).values(token=None, whole_at=None))
    return waiting


def _check_keys(session: Transaction, found: Installation) -> None:
    """Raises Invalid unless `token.key` is the one that the backup's links are sealed with.

    Another `secret.key` does no harm: all it does is sign everybody out.
    """
    check = session.get(KeyCheck, "token")
    known = [keys.fingerprint("token", key) for key in found.keys.ring("token")]
    if check is not None and check.fingerprint not in known:
        raise Invalid(
            "token.key in the data directory is not the one that belongs to this backup "
            f"(its fingerprint there begins with {check.fingerprint[:16]}, here with "
            f"{known[0][:16]}). Put the right key files back from the recovery sheet; add an "
            "older key with `flask keys enter --older`. Nothing was changed."
        )


def _know_the_secret(session: Transaction, found: Installation) -> None:
    """The secret may have been changed since: nobody keeps older ones."""
    check = session.get(KeyCheck, "secret")
    if check is not None:
        check.fingerprint = keys.fingerprint("secret", found.keys.secret)


def _knows_the_dead(journal: Journal, standing: Standing, note: Note) -> bool:
    """Whether the journal that stands here is this installation's, and no younger one."""
    if standing.installation is not None:
        return standing.installation == note.installation and journal.knows(note.journal)
    # The database is lost, but its journal was there before.
    return len(journal) > 0 and journal.knows(note.journal)


def _put_in_place(found: Installation, fresh: Path) -> Path | None:
    config, key = found.config, found.keys.database
    kept = former.before_restore(config, clock.now())
    if config.database_url is None:
        current = database.sqlite_path(config.data_dir)
        copying.put_in_place(fresh, current, key, kept)
        return kept if kept.exists() else None
    return _put_into_postgresql(config, key, fresh, kept)


def _put_into_postgresql(config: Config, key: bytes, fresh: Path, kept: Path) -> Path | None:
    """All rows in one transaction; what was there is kept as a backup."""
    engine = database.make_engine(config.data_dir, config.database_url, key)
    try:
        if there := migrations.exists(engine):
            copying.make(copying.Source(config.data_dir, config.database_url, key), kept)
        migrations.upgrade(engine)
        with (
            engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            moving.replace_rows(connection, fresh, key)
    finally:
        engine.dispose()
    return kept if there else None
