"""The three secrets of an installation: `database.key`, `token.key`, `secret.key`.

Each is 256 random bits as 64 hex digits, in a file of its own in the data
directory with mode 0600. They are made together with the database and never
by themselves afterwards: a database without its keys refuses to start rather
than go on with new ones.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from sync_ui.errors import CannotStart

NAMES = ("database", "token", "secret")


@dataclass(frozen=True, slots=True)
class Keys:
    """`database` opens the file, `token` the stored links, `secret` signs cookies."""

    database: bytes = field(repr=False)
    token: bytes = field(repr=False)
    secret: bytes = field(repr=False)


def path_of(data_dir: Path, name: str) -> Path:
    return data_dir / f"{name}.key"


def load(data_dir: Path) -> Keys:
    """Read the keys. Raises CannotStart for a missing, short or malformed one."""
    return Keys(**{name: _read(path_of(data_dir, name)) for name in NAMES})


def create(data_dir: Path) -> Keys:
    """Make those keys that do not exist yet; existing ones are kept."""
    for name in NAMES:
        _write(path_of(data_dir, name), secrets.token_hex(32))
    return load(data_dir)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)  # a copy put back may have come with wider rights
        text = path.read_text().strip()
    except FileNotFoundError:
        raise CannotStart(
            f"the key file {path.name} is missing from the data directory. "
            "Put it back from your recovery copy; the data cannot be read without it."
        ) from None
    except (OSError, UnicodeDecodeError):
        raise CannotStart(f"the key file {path.name} cannot be read.") from None
    if len(text) != 64 or any(digit not in "0123456789abcdef" for digit in text.lower()):
        raise CannotStart(
            f"the key file {path.name} is damaged: it must hold 64 hexadecimal digits. "
            "Put it back from your recovery copy."
        )
    return bytes.fromhex(text)


def _write(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
