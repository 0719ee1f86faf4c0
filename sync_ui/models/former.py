"""The database as it was, which an upgrade or a restore keeps: what it is called, found again."""

import re
from datetime import UTC, datetime
from pathlib import Path

from sync_ui.config import Config
from sync_ui.models import copying

_UPGRADE = re.compile(r"before-\d{4}-(\d{8}T\d{6})Z\.backup", re.ASCII)
_FILE = re.compile(re.escape(copying.KEPT) + r"(\d{8}T\d{12})Z", re.ASCII)
_POSTGRESQL = re.compile(r"before-restore-(\d{8}T\d{12})Z\.backup", re.ASCII)

Copies = dict[Path, datetime]


def before_upgrade(config: Config, revision: str, at: datetime) -> Path:
    """Where a backup of the earlier shape stands, made before it is brought to a later one."""
    return config.backups / f"before-{revision}-{at:%Y%m%dT%H%M%SZ}{copying.ENDING}"


def before_restore(config: Config, at: datetime) -> Path:
    """Where the database that a restore replaces stands: its file, or a backup of PostgreSQL's."""
    moment = f"{at:%Y%m%dT%H%M%S%fZ}"
    if config.database_url is None:
        return config.data_dir / f"{copying.KEPT}{moment}"
    return config.data_dir / f"before-restore-{moment}{copying.ENDING}"


def found(config: Config) -> tuple[Copies, Copies]:
    """Those from before upgrades and those from before restores, and when each was made.

    Only what has exactly these names: what somebody has renamed is theirs.
    """
    upgrades = _named(config.backups, _UPGRADE)
    return upgrades, _named(config.data_dir, _FILE) | _named(config.data_dir, _POSTGRESQL)


def _named(folder: Path, name: re.Pattern[str]) -> Copies:
    """By the moment in the name: the file itself may be much older."""
    copies = {}
    for path in folder.glob("*before-*"):
        told = name.fullmatch(path.name)
        at = _moment(told[1]) if told and path.is_file() else None
        if at is not None:
            copies[path] = at
    return copies


def _moment(digits: str) -> datetime | None:
    """To the second; None for digits that are no moment."""
    try:
        return datetime.strptime(digits[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
