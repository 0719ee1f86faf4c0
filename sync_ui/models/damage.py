"""What keeps the database from taking changes: its own damage, or a disk that takes nothing.

Damage is remembered by a file beside the database, since a row in it could
not: every process sees it, a restart does not forget it, and the next look at
a database that is whole again removes it.
"""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from sync_ui.errors import CannotStart
from sync_ui.models import keys

DAMAGED = (
    "The database is damaged. Nothing is changed any more, so that it gets no worse: whoever runs "
    "the server stops it and restores a backup. What can still be read is shown."
)
FULL = "The disk is full. Nothing was changed; make room and try again."
READ_ONLY = (
    "The disk of the server takes no changes just now. Nothing was changed; whoever runs the "
    "server has to make it writable again."
)
FAULTY = (
    "The disk of the server reports a fault. Nothing was changed; whoever runs the server looks "
    "at the disk and its room."
)
CORRUPT = "malformed"

# SQLITE_CORRUPT and SQLITE_NOTADB, which an encrypted page says that does not decrypt.
_DAMAGE = {11, 26}

# What SQLite and PostgreSQL say, and what it means for whoever wanted to save something.
_SENTENCES = {
    "disk is full": FULL,
    "No space left": FULL,
    "readonly": READ_ONLY,
    "read-only": READ_ONLY,
    "disk I/O error": FAULTY,
    CORRUPT: DAMAGED,
    "not a database": DAMAGED,
}


def sentence_for(error: DBAPIError) -> str | None:
    """What to tell people, if it is the disk or the file that is at fault."""
    return DAMAGED if _is_damage(error.orig) else _told(str(error.orig))


def _told(words: str) -> str | None:
    return next((told for found, told in _SENTENCES.items() if found in words), None)


def _is_damage(error: BaseException | None) -> bool:
    """Neither a lock nor a connection is the trouble: the file is."""
    code = getattr(error, "sqlite_errorcode", 0)  # its lowest byte; more tells it closer
    return code & 0xFF in _DAMAGE or _told(str(error)) == DAMAGED


class Damage:
    """Whether the database in this directory is known to be damaged.

    `ring`: the keys as they were when this process began. After a rotation whoever
    still has the old one can read nothing, and that is no damage.
    """

    def __init__(self, data_dir: Path, ring: tuple[bytes, ...]) -> None:
        self._path = data_dir / "damaged"
        self._data_dir, self._ring = data_dir, frozenset(ring)

    def is_known(self) -> bool:
        return self._path.exists()

    def note(self) -> None:
        if self._has_another_key():
            return
        with suppress(OSError):  # a disk that takes nothing needs no sign against changes
            self._path.touch(mode=0o600)

    def notice(self, error: Exception) -> None:
        """As `note`, if that is what the error of a database tells."""
        if isinstance(error, DBAPIError) and sentence_for(error) == DAMAGED:
            self.note()

    def _has_another_key(self) -> bool:
        try:
            return frozenset(keys.ring(self._data_dir, "database")) != self._ring
        except CannotStart:  # the key file is gone meanwhile: that is another trouble
            return False

    def forget(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def is_whole(engine: Engine) -> bool:
    """Reads every page. Raises OperationalError if it cannot be read for another reason."""
    if engine.dialect.name != "sqlite":
        return True  # PostgreSQL looks after its own files
    try:
        with engine.connect() as connection:
            broken = connection.execute(text("PRAGMA cipher_integrity_check")).all()
            return not broken and connection.scalar(text("PRAGMA quick_check")) == "ok"
    except OperationalError as error:
        if sentence_for(error) != DAMAGED:
            raise
        return False
    except DatabaseError:
        return False
