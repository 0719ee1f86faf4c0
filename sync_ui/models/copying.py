"""Copies of the whole database: what a backup is, how one is made, read back and put in place.

A backup is one SQLCipher file with every table as one moment saw it, whatever
database it comes from, and a note beside them. It is encrypted with
`database.key`; no key is in it. Its first bytes (the salt, which is no secret)
say that it is a backup and which key opens it.
"""

import errno
import glob
import hashlib
import json
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock
from sync_ui.config import ROOT
from sync_ui.errors import Conflict, Invalid, Unavailable
from sync_ui.models import database, keys, migrations, moving

FORMAT = 1
NOTE = "backup_note"
PARTIAL = ".part-"  # and 16 random digits: the name of nobody else's file
ENDING = ".backup"
RESTORING = "sync.db.restoring"
KEPT = "sync.db.before-restore-"

_MAGIC = b"SyncBkp1"
_SALT = 16

CUT = "The backup is damaged or was cut short. Nothing was changed; use another one."
NO_BACKUP = "This file is not a backup of Sync Calendar. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Note:
    """What a backup says of itself.

    `revision` is the shape of its tables, `version` the application's, `rows` how
    many each table has. `installation` tells installations apart. `journal` is
    revoked.log as it was, `audit` the number and digest of the latest entry.
    """

    made_at: datetime
    revision: str
    version: str
    rows: dict[str, int]
    installation: str
    journal: str
    audit: str


@dataclass(frozen=True, slots=True)
class Source:
    """What a backup is made of: a file, or PostgreSQL; and the journal beside it."""

    data_dir: Path
    database_url: str | None
    database_key: bytes

    @property
    def journal(self) -> Path:
        return self.data_dir / "revoked.log"


def fingerprint(database_key: bytes) -> str:
    """The beginning of the key's fingerprint; 16 hex digits."""
    return keys.fingerprint("database", database_key)[:16]


def version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def make(source: Source, target: Path) -> Note:
    """A backup stands at `target`, whole and read back; otherwise nothing is left there.

    Raises Conflict where another kind of file stands, Unavailable if it cannot
    be written or read back.
    """
    refuse_to_overwrite(target)
    for left in leftovers(target.parent, glob.escape(target.name)):
        left.unlink(missing_ok=True)
    partial = target.with_name(f"{target.name}{PARTIAL}{secrets.token_hex(8)}")
    with _clearing(partial):
        try:
            _write(source, partial)
            note = check(partial, source.database_key)
            _keep(partial)
            partial.replace(target)
            keep_directory(target.parent)
        except Invalid:
            raise Unavailable("The backup could not be read back. Nothing was kept.") from None
        except (OSError, sqlcipher.Error, SQLAlchemyError) as error:
            raise Unavailable(_why(error)) from None
    return note


def refuse_to_overwrite(target: Path) -> None:
    """Raises Conflict, and Invalid where no file can be."""
    if not target.parent.is_dir():
        raise Invalid("The folder for the backup does not exist.")
    if target.is_symlink() or (target.exists() and not is_backup(target)):
        raise Conflict("There is another kind of file in this place. Choose another name.")


def leftovers(folder: Path, name: str) -> list[Path]:
    """What a backup that was killed has left there; `name` is a pattern of its target's."""
    return list(folder.glob(f"{name}{PARTIAL}{'[0-9a-f]' * 16}*"))


def whose(path: Path, ring: Sequence[bytes]) -> str | None:
    """The installation that a backup is of; None if none of the keys opens it."""
    try:
        _check_opens(path, key := key_of(path, ring))
        with closing(_connect(path, key)) as connection:
            return _read_note(connection).installation
    except (Invalid, sqlcipher.Error, ValueError, KeyError, TypeError):
        return None


def is_backup(path: Path) -> bool:
    """By its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def key_of(path: Path, ring: Sequence[bytes]) -> bytes:
    """Which of the keys opens the backup; the first one if none does."""
    with suppress(OSError), path.open("rb") as file:
        wanted = file.read(_SALT)[len(_MAGIC) :].hex()
        return next((key for key in ring if fingerprint(key) == wanted), ring[0])
    return ring[0]


def opens_with(path: Path, ring: Sequence[bytes]) -> bool:
    """Whether one of the keys opens it, by its first bytes."""
    try:
        with path.open("rb") as file:
            salt = file.read(_SALT)
    except OSError:
        return False
    return salt in {_MAGIC + bytes.fromhex(fingerprint(key)) for key in ring}


def check(path: Path, database_key: bytes) -> Note:
    """The backup is whole and of a shape that this version knows. Raises Invalid with a sentence.

    It is read as a restore reads it, every page and every row.
    """
    _check_opens(path, database_key)
    try:
        with closing(_connect(path, database_key)) as connection:
            note = _read_note(connection)
            if not migrations.is_known(note.revision):
                raise Invalid(
                    f"This backup was made by a newer Sync Calendar ({note.version}). "
                    "Install that version, then restore it. Nothing was changed."
                )
            if not is_whole(connection) or _rows(connection) != note.rows:
                raise Invalid(CUT)
    except (sqlcipher.Error, ValueError, KeyError, TypeError):
        raise Invalid(CUT) from None
    return note


def unpack(path: Path, database_key: bytes, target: Path, new_key: bytes) -> None:
    """The database of a backup that was checked stands at `target`, in this version's shape.

    It opens with `new_key`, whichever key the backup was made with. Raises
    Unavailable for a full disk, CannotStart if a migration fails.
    """
    discard(target)
    try:
        with closing(_connect(path, database_key)) as connection:
            _export(connection, target, new_key + os.urandom(_SALT))
        with closing(_connect(target, new_key)) as connection:
            connection.execute(f"DROP TABLE {NOTE}")
        engine = database.file_engine(target, new_key)
        try:
            migrations.upgrade(engine)
        finally:
            engine.dispose()
    except (OSError, sqlcipher.Error, SQLAlchemyError) as error:
        discard(target)
        raise Unavailable(_why(error)) from None


def settle(path: Path, database_key: bytes) -> None:
    """All of the database is in the one file, on disk and whole. Raises as `release`, Unavailable.

    Nobody else has it open.
    """
    release(path, database_key)
    with closing(_connect(path, database_key)) as connection:
        if not is_whole(connection):
            raise Unavailable("The database could not be read back.")
    _keep(path)


def release(path: Path, database_key: bytes) -> None:
    """All of the database is in the one file. Raises Conflict while somebody else has it open.

    Raises the driver's DatabaseError for one that does not open.
    """
    with closing(_connect(path, database_key)) as connection:
        try:
            [(mode,)] = connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        except sqlcipher.OperationalError as error:
            if "locked" not in str(error):
                raise
            mode = "locked"
    if mode != "delete":
        raise Conflict(
            "Another program has the database open. Stop the server and every worker first."
        )


def put_in_place(path: Path, current: Path, database_key: bytes, kept: Path) -> None:
    """The settled file is the database; the one that was is kept beside it, if there was one.

    At every moment one of the two stands there, whole. Raises Conflict while
    somebody has the old one open.
    """
    if current.exists() and current.stat().st_size:
        try:
            release(current, database_key)
        except sqlcipher.DatabaseError:
            _put_log_aside(current, kept)
        os.link(current, kept)
        keep_directory(current.parent)
    path.replace(current)
    with suppress(OSError):  # it is in place; whichever a power cut leaves there is whole
        keep_directory(current.parent)


def clear_up(data_dir: Path) -> None:
    """What a restore that was killed has left is gone. Nobody restores meanwhile."""
    current = database.sqlite_path(data_dir)
    discard(data_dir / RESTORING)
    for kept in data_dir.glob(f"{KEPT}*"):
        if current.exists() and kept.samefile(current):
            kept.unlink()


def _put_log_aside(current: Path, kept: Path) -> None:
    """Of a database that does not open: its log must not meet the new file."""
    for ending in ("-wal", "-journal"):
        log = current.with_name(current.name + ending)
        if log.exists():
            os.link(log, kept.with_name(kept.name + ending))
            log.unlink()
    current.with_name(current.name + "-shm").unlink(missing_ok=True)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether every page is as it was written, and every reference leads somewhere."""
    return (
        not connection.execute("PRAGMA cipher_integrity_check").fetchall()
        and connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        and not connection.execute("PRAGMA foreign_key_check").fetchall()
    )


def discard(path: Path) -> None:
    """The file is gone, with whatever SQLite keeps beside it."""
    for ending in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def keep_directory(directory: Path) -> None:
    """The names in it outlast a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(source: Source, target: Path) -> None:
    key = source.database_key + _MAGIC + bytes.fromhex(fingerprint(source.database_key))
    if source.database_url is None:
        path = database.sqlite_path(source.data_dir)
        with closing(_connect(path, source.database_key)) as connection:
            _export(connection, target, key)
    else:
        moving.fetch(source.database_url, target, key)
    # Read last: whatever the copy holds of dead links, the journal knows more.
    journal = source.journal.read_text(errors="replace") if source.journal.exists() else ""
    with closing(_connect(target, source.database_key)) as connection:
        _write_note(connection, journal)


def _export(connection: sqlite3.Connection, target: Path, key: bytes) -> None:
    """One reading transaction; whoever writes meanwhile is not held up."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection.execute(f"ATTACH ? AS copy KEY \"x'{key.hex()}'\"", (str(target),))
    connection.execute("PRAGMA copy.journal_mode=OFF")  # a copy that fails is thrown away
    connection.execute("PRAGMA copy.synchronous=OFF")  # and one that does not is kept at the end
    connection.execute("BEGIN")
    connection.execute("SELECT sqlcipher_export('copy')").fetchall()
    connection.execute("COMMIT")
    connection.execute("DETACH copy")


def _connect(path: Path, database_key: bytes) -> sqlite3.Connection:
    connection: sqlite3.Connection = sqlcipher.connect(path, isolation_level=None, timeout=10)
    connection.execute("PRAGMA cipher_log_level=NONE")
    connection.execute(f"PRAGMA key=\"x'{database_key.hex()}'\"")
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _check_opens(path: Path, database_key: bytes) -> None:
    try:
        with path.open("rb") as file:
            salt = file.read(_SALT)
    except OSError:
        raise Invalid("There is no such file, or it cannot be read.") from None
    if not salt.startswith(_MAGIC):
        raise Invalid(NO_BACKUP)
    wanted, found = salt[len(_MAGIC) :].hex(), fingerprint(database_key)
    if wanted != found:
        raise Invalid(
            f"This backup opens with the database.key whose fingerprint is {wanted}; the one in "
            f"the data directory has {found}. Put the key files of the installation that made it "
            "there (its recovery sheet has them). Nothing was changed."
        )


def _tables(connection: sqlite3.Connection) -> list[str]:
    wanted = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [name for (name,) in connection.execute(f"{wanted} ORDER BY name") if name != NOTE]


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    counted = "SELECT count(*) FROM "
    return {
        name: connection.execute(f'{counted}"{name}"').fetchone()[0] for name in _tables(connection)
    }


def _installation(connection: sqlite3.Connection) -> str:
    """The same for an installation's life, whatever keys, names and databases it has."""
    wanted = "SELECT uid FROM calendar WHERE clinician_id IS NULL ORDER BY id"
    return installation_of(connection.execute(wanted).fetchone()[0])


def installation_of(uid: str) -> str:
    """By the practice's calendar, whose UID is drawn once."""
    return hashlib.sha256(f"installation:{uid}".encode()).hexdigest()[:16]


def _write_note(connection: sqlite3.Connection, journal: str) -> None:
    [(revision,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    facts: dict[str, Any] = {
        "format": FORMAT,
        "made_at": clock.now().isoformat(),
        "revision": revision,
        "version": version(),
        "rows": _rows(connection),
        "installation": _installation(connection),
        "journal": journal,
        "audit": _audit(connection),
    }
    connection.execute("BEGIN")
    connection.execute(f"CREATE TABLE {NOTE} (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    rows = [(name, json.dumps(value)) for name, value in facts.items()]
    connection.executemany(f"INSERT INTO {NOTE} VALUES (?, ?)", rows)  # noqa: S608 - our own name
    connection.execute("COMMIT")


def _audit(connection: sqlite3.Connection) -> str:
    """Empty for a shape that did not chain its audit yet."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(audit_entry)")]
    if "digest" not in columns:
        return ""
    newest = "SELECT id, digest FROM audit_entry ORDER BY id DESC LIMIT 1"
    found = connection.execute(newest).fetchone()
    return f"{found[0]} {found[1]}" if found else ""


def _read_note(connection: sqlite3.Connection) -> Note:
    """Raises Invalid, ValueError, KeyError."""
    if not connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (NOTE,)
    ).fetchall():
        raise Invalid(CUT)
    rows = connection.execute(f"SELECT name, value FROM {NOTE}")  # noqa: S608 - our own name
    facts = {name: json.loads(value) for name, value in rows}
    if facts.pop("format") != FORMAT:
        raise Invalid(
            f"This backup was made by a newer Sync Calendar ({facts['version']}). "
            "Install that version, then restore it. Nothing was changed."
        )
    note = Note(**facts)
    return replace(note, made_at=datetime.fromisoformat(str(note.made_at)))


def _keep(path: Path) -> None:
    """The file outlasts a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _clearing(path: Path) -> Iterator[None]:
    """Whatever is left there, from before or by a failure, is gone."""
    with suppress(OSError):
        discard(path)
    try:
        yield
    finally:
        with suppress(OSError):
            discard(path)


def _why(error: Exception) -> str:
    words = str(getattr(error, "orig", None) or error)
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if full or "full" in words or "No space" in words:
        return "There is no room on the disk for the copy. Nothing was kept; make room, try again."
    if isinstance(error, PermissionError | OSError) or "unable to open" in words:
        return "The copy cannot be written there. Check the folder and its rights."
    return "The database could not be copied. `flask check` says more about its health."
