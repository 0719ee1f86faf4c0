"""The three secrets of an installation: `database.key`, `token.key`, `secret.key`.

Each file is in the data directory with mode 0600 and holds 256 random bits as
64 hex digits; blanks and line breaks do not matter. Behind the key in use stand
those that came before it, as long as older backups, or a rotation that was cut
short, need them. Keys are made together with the database and never by
themselves afterwards: a database without its keys refuses to start rather than
go on with new ones. Only `secret.key`, with which nothing is sealed, is: it is
made anew, and everybody signs in again.
"""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from sync_ui.errors import CannotStart

NAMES = ("database", "token", "secret")

DIGITS = 64

# When a file was changed, which one it is, and its size.
_Stamp = tuple[int, int, int]
_Stamps = tuple[_Stamp | None, ...]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keys:
    """`database` opens the file, `token` the sealed columns, `secret` signs cookies.

    `older` are the keys that stood in the place of each before, the latest first.
    """

    database: bytes = field(repr=False)
    token: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    older: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)

    def ring(self, name: str) -> tuple[bytes, ...]:
        """The key in use, then the older ones."""
        key: bytes = getattr(self, name)
        return key, *self.older.get(name, ())


class KeyFiles:
    """The keys as the files say now: read again when another process has changed them.

    Those in `fixed` stay what they were at the start.
    """

    def __init__(self, data_dir: Path, found: Keys, fixed: tuple[str, ...] = ()) -> None:
        self._data_dir = data_dir
        self._fixed = {name: found.ring(name) for name in fixed}
        self._known: tuple[Keys, _Stamps] = found, self._stamps()

    def read(self) -> Keys:
        keys, stamps = self._known
        now = self._stamps()
        if now == stamps:
            return keys
        try:
            rings = {name: ring(self._data_dir, name) for name in NAMES}
        except CannotStart:
            log.error("The key files cannot be read; those that are known stay in use.")
            return keys
        # Stamped before they were read: what changes in between is read once more.
        self._known = of_rings(rings | self._fixed), now
        return self._known[0]

    def release(self) -> None:
        """Whoever changes a fixed key goes on with the new one."""
        self._fixed = {}
        self._known = self._known[0], ()

    def _stamps(self) -> _Stamps:
        return tuple(_stamp(path_of(self._data_dir, name)) for name in NAMES)


def path_of(data_dir: Path, name: str) -> Path:
    return data_dir / f"{name}.key"


def fingerprint(name: str, key: bytes) -> str:
    """Tells keys apart and gives nothing away; 64 hex digits."""
    return hmac.new(key, f"{name}.key".encode(), hashlib.sha256).hexdigest()


def load(data_dir: Path) -> Keys:
    """Read the keys. Raises CannotStart for a missing, short or malformed one."""
    return of_rings({name: ring(data_dir, name) for name in NAMES})


def of_rings(rings: Mapping[str, tuple[bytes, ...]]) -> Keys:
    return Keys(
        **{name: rings[name][0] for name in NAMES},
        older={name: rings[name][1:] for name in NAMES},
    )


def create(data_dir: Path) -> Keys:
    """Make those keys that do not exist yet; existing ones are kept."""
    for name in NAMES:
        if not path_of(data_dir, name).exists():
            write(data_dir, name, (make(),))
    return load(data_dir)


def renew_secret(data_dir: Path) -> None:
    """A lost `secret.key` is made anew beside the others: all it costs is that people sign in."""
    lost = [name for name in NAMES if not path_of(data_dir, name).exists()]
    if lost != ["secret"]:
        return
    try:
        write(data_dir, "secret", (make(),))
        log.warning("secret.key was missing. A new one was made; everybody has to sign in again.")
    except OSError as error:
        log.error("A new secret.key cannot be written: %s", type(error).__name__)


def make() -> bytes:
    return secrets.token_bytes(DIGITS // 2)


def ring(data_dir: Path, name: str) -> tuple[bytes, ...]:
    """The keys in the file, the one in use first. Raises CannotStart with a sentence."""
    path = path_of(data_dir, name)
    try:
        if path.stat().st_mode & 0o077:
            with suppress(OSError):  # of another's file or a read-only disk; `check` tells
                path.chmod(0o600)  # a copy put back may have come with wider rights
        text = "".join(path.read_text().split())
    except FileNotFoundError:
        raise CannotStart(
            f"the key file {path.name} is missing from the data directory. Put it back from your "
            "recovery copy, or type in the recovery sheet with `flask keys enter`; the data "
            "cannot be read without it."
        ) from None
    except (OSError, UnicodeDecodeError):
        raise CannotStart(
            f"the key file {path.name} cannot be read. Give it back to the user that runs the "
            "server, or put it back from your recovery copy."
        ) from None
    if name == "secret" and _is_damaged(text):
        raise CannotStart(
            f"the key file {path.name} is damaged. Remove it: a new one is made at the next start, "
            "and everybody signs in again; nothing else was protected by it. Or put it back from "
            "your recovery copy."
        )
    if _is_damaged(text):
        raise CannotStart(
            f"the key file {path.name} is damaged: it must hold {DIGITS} hexadecimal digits. "
            "Put it back from your recovery copy, or remove it and type in the recovery sheet "
            "with `flask keys enter`."
        )
    keys = (bytes.fromhex(text[at : at + DIGITS]) for at in range(0, len(text), DIGITS))
    return tuple(dict.fromkeys(keys))


def _is_damaged(text: str) -> bool:
    return not text or len(text) % DIGITS > 0 or not set(text.lower()) <= set("0123456789abcdef")


def write(data_dir: Path, name: str, keys: tuple[bytes, ...]) -> None:
    """The file holds these keys, the one in use first; at no moment it holds less than before.

    Raises OSError.
    """
    path = path_of(data_dir, name)
    new = path.with_suffix(".key.new")
    with suppress(FileNotFoundError):
        new.unlink()  # left by a crash, perhaps cut short
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{key.hex()}\n" for key in dict.fromkeys(keys))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    directory = os.open(data_dir, os.O_RDONLY)
    try:
        os.fsync(directory)  # or the old name comes back after a power cut
    finally:
        os.close(directory)


@contextmanager
def changing(data_dir: Path) -> Iterator[None]:
    """One change of the key files at a time."""
    with FileLock(data_dir / "keys.lock"):
        yield


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a third of Path's time
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
