"""Backups: made, read back, thinned out, and never what fills the disk."""

import os
import shutil
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from sqlalchemy import select, update

from sync_ui.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from sync_ui.models import AuditEntry, Backup, Calendar, copying, db, former, transaction
from sync_ui.models.installation import current
from sync_ui.services import backups, keys
from sync_ui.services.access import COMMAND
from tests.practice import Clock, Practice


def files() -> list[str]:
    folder = current().config.backups
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def troubles() -> list[str | None]:
    db.session.rollback()
    return list(db.session.scalars(select(Backup.trouble).order_by(Backup.id)))


def audited() -> list[str]:
    db.session.rollback()
    wanted = select(AuditEntry.action).where(AuditEntry.subject.like("backup%"))
    return list(db.session.scalars(wanted.order_by(AuditEntry.id)))


def decrypted(path: Path, key: bytes) -> bytes:
    """Every byte of the file, without its encryption."""
    plain = path.with_name("plain.db")
    with closing(copying._connect(path, key)) as connection:
        connection.execute("ATTACH ? AS plain KEY ''", (str(plain),))
        connection.execute("SELECT sqlcipher_export('plain')").fetchall()
    found = plain.read_bytes()
    plain.unlink()
    return found


@pytest.mark.bar("B1")
def test_a_backup_by_hand_is_encrypted_read_back_and_for_its_owner_alone(
    practice: Practice,
) -> None:
    made = backups.make(practice.ada)

    [name] = files()
    path = current().config.backups / name
    assert (made.name, made.size) == (name, path.stat().st_size)
    assert made.verified_at is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().find(b"SQLite format 3") == -1
    assert b"Bergstr" not in path.read_bytes()
    assert audited() == ["backup.made"]
    assert copying.check(path, current().keys.database).rows["client"] == 3


def test_none_of_the_keys_is_in_a_backup(practice: Practice, tmp_path: Path) -> None:
    backups.write(COMMAND, tmp_path / "a.backup")
    found = current().keys
    inside = decrypted(tmp_path / "a.backup", found.database)

    assert b"Riverside" in inside
    for key in (found.database, found.token, found.secret):
        assert key.hex().encode() not in inside.lower()
        assert key not in inside


def test_another_kind_of_file_is_never_overwritten(practice: Practice, tmp_path: Path) -> None:
    letter = tmp_path / "letter.odt"
    letter.write_text("Dear Ada")
    link = tmp_path / "link"
    link.symlink_to(letter)

    for place in (letter, link, current().config.data_dir / "database.key"):
        with pytest.raises(Conflict, match="another kind of file"):
            backups.write(COMMAND, place)
    with pytest.raises(Invalid, match="does not exist"):
        backups.write(COMMAND, tmp_path / "nowhere" / "a.backup")
    assert letter.read_text() == "Dear Ada"

    earlier = tmp_path / "a.backup"
    backups.write(COMMAND, earlier)
    backups.write(COMMAND, earlier)
    assert copying.is_backup(earlier)


def test_schedulers_and_clinicians_make_none_and_see_none(practice: Practice) -> None:
    made = backups.make(practice.ada)

    for actor in (practice.sam, practice.unlu):
        for act in (backups.make, backups.listed, lambda who: backups.download(who, made.id)):
            with pytest.raises(Refused):
                act(actor)


def test_a_daily_backup_is_made_once_a_night_and_told_in_the_list(
    practice: Practice, now: Clock
) -> None:
    now.move(days=1)
    assert backups.make_daily() is not None
    assert backups.make_daily() is None
    now.move(days=1)
    assert backups.make_daily() is not None

    listed = backups.listed(practice.ada)
    assert [made.backup.kind.value for made in listed] == ["daily", "daily"]
    assert len(files()) == 2


def test_a_daily_backup_of_the_ninth_day_takes_the_place_of_an_older_one(
    practice: Practice, now: Clock
) -> None:
    by_hand = backups.make(practice.ada)
    for _ in range(16):
        now.move(days=1)
        assert backups.make_daily() is not None

    listed = backups.listed(practice.ada)
    assert all(made.path for made in listed)
    assert len(files()) == len(listed)
    assert 7 < len(listed) < 7 + 4 + 2
    assert by_hand.id in [made.backup.id for made in listed]


def former_names() -> list[set[str]]:
    return [{path.name for path in copies} for copies in former.found(current().config)]


def test_of_what_upgrades_and_restores_have_kept_the_latest_three_stay(
    practice: Practice, now: Clock
) -> None:
    """And whatever is of the last 30 days, or has another name."""
    config, made = current().config, list[list[Path]]()
    config.backups.mkdir()
    for number in range(6):
        upgrade = former.before_upgrade(config, f"000{number}", now())
        made.append([upgrade, former.before_restore(config, now())])
        now.move(days=10)
    ours = b"SyncBkp1" + bytes.fromhex(copying.fingerprint(current().keys.database))
    for path in [path for each in made for path in each]:
        path.write_bytes(ours)
    log = made[0][1].with_name(made[0][1].name + "-wal")
    adas = [config.backups / "before-the-move.backup", config.data_dir / f"{copying.KEPT}Christmas"]
    for path in [log, *adas]:
        path.write_bytes(b"as it was")
    backups.make(practice.ada)
    assert [len(names) for names in former_names()] == [6, 6]

    assert backups.thin_out(COMMAND) == 6  # those of 60, 50 and 40 days ago

    upgrades, restores = ({path.name for path in each} for each in zip(*made[3:], strict=True))
    assert former_names() == [upgrades, restores]
    assert [path.exists() for path in [log, *adas]] == [False, True, True]
    thinned = select(AuditEntry.detail).where(AuditEntry.action == "backup.thinned")
    assert [detail["count"] for detail in db.session.scalars(thinned)] == [6]
    assert backups.thin_out(COMMAND) == 0
    now.move(days=1000)
    assert backups.thin_out(COMMAND) == 0


def test_what_an_upgrade_of_another_installation_has_kept_in_the_same_folder_stays(
    practice: Practice, now: Clock
) -> None:
    config, theirs = current().config, list[Path]()
    config.backups.mkdir()
    for number in range(5):
        theirs.append(former.before_upgrade(config, f"000{number}", now()))
        theirs[-1].write_bytes(b"SyncBkp1 and a key that is not here")
        now.move(days=20)

    assert backups.thin_out(COMMAND) == 0
    assert [path.exists() for path in theirs] == [True] * 5


def test_a_folder_that_cannot_be_written_is_told_and_tried_again_in_an_hour(
    practice: Practice, now: Clock, data_dir: Path
) -> None:
    (data_dir / "backups").write_text("in the way")
    now.move(days=1)

    assert backups.make_daily() is None
    assert backups.make_daily() is None
    assert len(troubles()) == 1
    assert "cannot be made" in (troubles()[0] or "")

    (data_dir / "backups").unlink()
    now.move(hours=1)
    assert backups.make_daily() is not None
    assert audited() == ["backup.failed", "backup.made"]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_no_backup_is_made_where_it_would_fill_the_disk(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 1000, 1000))

    with pytest.raises(Unavailable, match="too little room"):
        backups.make(practice.ada)

    assert files() == []
    assert "too little room" in (troubles()[0] or "")


def test_a_full_disk_leaves_nothing_behind(practice: Practice, tmp_path: Path) -> None:
    """The system's own limit of a file's size stands for it."""
    source = copying.Source(
        current().config.data_dir, current().config.database_url, current().keys.database
    )
    target = tmp_path / "a.backup"
    child = os.fork()
    if child == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            copying.make(source, target)
        except Unavailable:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    assert list(tmp_path.glob("*.backup*")) == []


def test_what_a_killed_backup_left_behind_is_gone_after_the_next(practice: Practice) -> None:
    backups.make(practice.ada)
    left = current().config.backups / f"sync-2026.backup{copying.PARTIAL}{'0a' * 8}"
    left.write_bytes(b"half")

    backups.make(practice.ada)

    assert not left.exists()


def test_a_file_that_is_named_like_half_a_backup_stays_its_owners(
    practice: Practice, tmp_path: Path
) -> None:
    own, elsewhere = current().config.backups / "a.backup.part", tmp_path / "a.backup.part"
    backups.make(practice.ada)
    for path in (own, elsewhere):
        path.write_text("Dear Ada")

    backups.write(COMMAND, tmp_path / "a.backup")
    backups.make(practice.ada)

    assert [path.read_text() for path in (own, elsewhere)] == ["Dear Ada", "Dear Ada"]
    assert sorted(path.name for path in tmp_path.glob("a.*")) == ["a.backup", "a.backup.part"]


def test_the_backup_of_another_installation_is_never_overwritten(
    practice: Practice, tmp_path: Path
) -> None:
    """Another's keys, the same keys with another practice, and keys that were rotated."""
    path = tmp_path / "a.backup"
    backups.write(COMMAND, path)
    keys.rotate_database(COMMAND)
    backups.write(COMMAND, path)  # that of the older key is our own, too

    with transaction() as session:
        session.execute(
            update(Calendar).where(Calendar.clinician_id.is_(None)).values(uid="another's")
        )
    ours = path.read_bytes()
    with pytest.raises(Conflict, match="of another installation"):
        backups.write(COMMAND, path)

    foreign = b"SyncBkp1" + bytes(8) + ours[16:]
    (tmp_path / "foreign.backup").write_bytes(foreign)
    with pytest.raises(Conflict, match="opens with none of the keys"):
        backups.write(COMMAND, tmp_path / "foreign.backup")
    assert (path.read_bytes(), (tmp_path / "foreign.backup").read_bytes()) == (ours, foreign)


def test_before_there_is_a_practice_nothing_is_backed_up(app: Flask, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="not set up"):
        backups.write(COMMAND, tmp_path / "a.backup")
    with pytest.raises(Conflict, match="not set up"):
        backups.make(COMMAND)

    assert list(tmp_path.glob("*.backup")) == []


def test_a_file_that_was_carried_away_is_not_handed_over(practice: Practice) -> None:
    made = backups.make(practice.ada)
    assert backups.download(practice.ada, made.id).is_file()
    (current().config.backups / made.name).unlink()

    with pytest.raises(NotFound):
        backups.download(practice.ada, made.id)


def test_after_two_days_without_a_backup_administrators_are_warned(
    practice: Practice, now: Clock, app: Flask
) -> None:
    assert backups.is_too_old() is False
    now.move(days=2, minutes=1)
    assert backups.is_too_old() is True

    backups.make(practice.ada)
    assert backups.is_too_old() is False
    now.moment += timedelta(days=3)
    assert backups.is_too_old() is True
