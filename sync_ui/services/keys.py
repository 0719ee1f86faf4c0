"""The installation's keys: rotated, typed in from paper, printed for the day they are lost.

A rotation changes the file first (the new key, then the old ones), the
database next, in one transaction. Whatever stops it in between, both keys are
at hand, and `finish` does the rest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain import key_sheet
from sync_ui.domain.key_sheet import Line, Mistyped
from sync_ui.domain.roles import Permission
from sync_ui.errors import CannotStart, Conflict, Invalid, Unavailable
from sync_ui.models import (
    AuditEntry,
    Authenticator,
    Connection,
    KeyCheck,
    Token,
    database,
    db,
    installation,
    keys,
    transaction,
)
from sync_ui.services import access, factors, practice, providers, sealing
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

NOT_WRITTEN = (
    "The key files cannot be written: the disk is full or read-only. Nothing was changed; "
    "mend that and try again."
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column that holds what `sealing.seal` made, and what each of its values is bound to."""

    column: InstrumentedAttribute[Any]
    bound_to: Callable[[Any], str]


# Every one there is: what is left out is lost when the old key is forgotten.
SEALED = (
    Sealed(Token.sealed, lambda token: token.digest),
    Sealed(Connection.sealed, providers.bound_to),
    Sealed(Authenticator.secret, lambda app: factors.bound_to(app.user_id)),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is printed: each key's lines, in the order of `keys.NAMES`."""

    practice: str
    at: datetime
    keys: dict[str, list[Line]]


def rotate_token(actor: Actor) -> int:
    """What is sealed is sealed with a new key; no link changes. Returns how many values it was.

    The old key stays readable, for what older backups hold, until it is forgotten.
    """
    _begin("token")
    return finish(actor)["token"]


def rotate_secret(actor: Actor) -> None:
    """Everybody is signed out; links and connections do not notice."""
    _begin("secret")
    finish(actor)


def rotate_database(actor: Actor) -> None:
    """The file is encrypted with a new key; the old one stays for backups of its time.

    Nobody may serve meanwhile: raises CannotStart. On PostgreSQL, where the key is
    that of the backups alone, it holds from the next one on.
    """
    config = installation.current().config
    if config.database_url:
        _begin("database")
    else:
        _change_database(config)
    finish(actor)


def _change_database(config: Config) -> None:
    data_dir = config.data_dir
    with installation.hold_alone(config), keys.changing(data_dir):
        db.session.remove()
        db.engine.dispose()
        ring = keys.ring(data_dir, "database")
        new = keys.make()
        # Both open it from here on; which of them does is looked for at each start.
        _write("database", (*ring, new))
        _encrypt_anew(config, ring, new)
        _write("database", (new, *ring))
        installation.current().key_files.release()


def forget(actor: Actor, name: str) -> int:
    """The older keys are gone from the file, and backups of their time with them.

    Returns how many they were. Nothing in use needs them any more.
    """
    finish(actor)
    if name == "token":
        with transaction() as session:
            _seal_anew(session)  # what was sealed just before the file changed
    data_dir = installation.current().config.data_dir
    with keys.changing(data_dir):
        current, *older = keys.ring(data_dir, name)
        if not older:
            return 0
        with transaction() as session:
            record(session, actor, Action.KEY_FORGOTTEN, f"key:{name}", count=len(older))
        _write(name, (current,))
    return len(older)


def finish(actor: Actor) -> dict[str, int]:
    """The database knows the keys of the files: whatever a rotation has left is done.

    Returns how many values were sealed anew, by the key's name; 0 for the others.
    """
    found = installation.current().keys
    changed = dict.fromkeys(keys.NAMES, 0)
    if not _behind(found):
        return changed
    with transaction() as session:
        for check in _behind(found):
            if check.name == "token":
                changed["token"] = _seal_anew(session)
            check.fingerprint = _fingerprint(found, check.name)
            record(
                session, actor, Action.KEY_ROTATED, f"key:{check.name}", sealed=changed[check.name]
            )
    if found.older.get("secret"):
        _drop_older_secrets()
    return changed


def enter(config: Config, typed: Iterable[str], *, older: bool = False) -> list[str]:
    """The key files that are missing are written from the lines of a recovery sheet.

    With `older`, its keys are added behind those in use, for a backup of their time.
    Returns the names of the files written. Raises Invalid for a typing error,
    Conflict rather than to replace a key.
    """
    try:
        found = key_sheet.read(typed)
    except Mistyped as error:
        raise Invalid(f"{error} Nothing was changed.") from None
    if not found:
        raise Invalid("There is no line of a recovery sheet. Nothing was changed.")
    data_dir = installation.make_directory(config)
    with keys.changing(data_dir):
        rings = {name: _entered(config, name, key, older=older) for name, key in found.items()}
        written = [name for name, ring in rings.items() if ring]
        try:
            for name in written:
                keys.write(data_dir, name, rings[name])
        except OSError:
            raise Unavailable(NOT_WRITTEN) from None
    return [keys.path_of(data_dir, name).name for name in written]


def sheet(actor: Actor) -> Sheet:
    """The recovery sheet, for one who may see the practice's keys; each look is in the audit."""
    access.require(actor, Permission.SETTINGS)
    found = installation.current().keys
    with transaction() as session:
        record(session, actor, Action.RECOVERY_SHEET_SHOWN, _of(found))
    lines = {name: key_sheet.lines(name, found.ring(name)[0]) for name in keys.NAMES}
    return Sheet(practice.get().name, clock.now(), lines)


def needs_sheet(actor: Actor) -> bool:
    """Whether the actor is to look at the recovery sheet: nobody has since the keys changed."""
    if not actor.may(Permission.SETTINGS):
        return False
    shown = select(AuditEntry.id).where(
        AuditEntry.action == Action.RECOVERY_SHEET_SHOWN.value,
        AuditEntry.subject == _of(installation.current().keys),
    )
    return db.session.scalar(shown.limit(1)) is None


def _of(found: keys.Keys) -> str:
    """These three keys, told from others and from nothing else."""
    return "keys:" + "".join(_fingerprint(found, name)[:8] for name in keys.NAMES)


def _fingerprint(found: keys.Keys, name: str) -> str:
    return keys.fingerprint(name, found.ring(name)[0])


def _behind(found: keys.Keys) -> list[KeyCheck]:
    """The keys that the database does not know to be in use yet."""
    checks = db.session.scalars(select(KeyCheck).order_by(KeyCheck.name))
    return [check for check in checks if check.fingerprint != _fingerprint(found, check.name)]


def _begin(name: str) -> None:
    """The file has a new key before those that it had."""
    data_dir = installation.current().config.data_dir
    with keys.changing(data_dir):
        _write(name, (keys.make(), *keys.ring(data_dir, name)))


def _write(name: str, ring: tuple[bytes, ...]) -> None:
    try:
        keys.write(installation.current().config.data_dir, name, ring)
    except OSError:
        raise Unavailable(NOT_WRITTEN) from None


def _drop_older_secrets() -> None:
    data_dir = installation.current().config.data_dir
    with keys.changing(data_dir):
        _write("secret", keys.ring(data_dir, "secret")[:1])


def _seal_anew(session: Session) -> int:
    """Within the transaction: whatever an older key has sealed is sealed with that in use."""
    return sum(_seal_column(session, sealed) for sealed in SEALED)


def _seal_column(session: Session, sealed: Sealed) -> int:
    column = sealed.column
    number = 0
    for row in session.scalars(select(column.class_).where(column.is_not(None))):
        bound_to, value = sealed.bound_to(row), getattr(row, column.key)
        if not sealing.is_current(value, bound_to):
            setattr(row, column.key, sealing.seal(sealing.unseal(value, bound_to), bound_to))
            number += 1
    return number


def _encrypt_anew(config: Config, ring: tuple[bytes, ...], new: bytes) -> None:
    """SQLCipher does it in one transaction: after a crash the old key opens the file."""
    engine = database.make_engine(config.data_dir, None, ring[0])
    connection = engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        [(busy, *_)] = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise CannotStart("another process is using the database. End it first.")
        driver.execute(f"PRAGMA rekey=\"x'{new.hex()}'\"")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.detach()
        driver.close()
    except sqlcipher.Error:
        _write("database", ring)
        raise Unavailable(
            "The database could not be encrypted anew: is the disk full? Nothing was changed."
        ) from None
    finally:
        engine.dispose()


def _entered(config: Config, name: str, key: bytes, *, older: bool) -> tuple[bytes, ...]:
    """What the file is to hold; nothing if it holds this key already."""
    file = keys.path_of(config.data_dir, name)
    if not file.exists():
        return (key,)
    if name == "secret":
        return ()  # another one does no harm, and no backup needs an older one
    ring = keys.ring(config.data_dir, name)
    if key in ring:
        return ()
    if older:
        return *ring, key
    raise Conflict(
        f"{file.name} holds another key, and nothing was changed. If this sheet belongs to an "
        "older backup, add its keys with --older."
    )
