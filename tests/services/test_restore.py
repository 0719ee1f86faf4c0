"""A backup put back: all of it, on either database, and no dead link with it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.ics_write import NOTICE
from sync_ui.domain.reconcile import Rule
from sync_ui.errors import Invalid, NotFound
from sync_ui.gateways.memory import Memory
from sync_ui.models import (
    Appointment,
    AuditEntry,
    Code,
    Connection,
    ConnectionState,
    Link,
    Row,
    Session,
    copying,
    database,
    db,
    installation,
    keys,
)
from sync_ui.models.installation import Installation, current
from sync_ui.services import (
    appointments,
    backups,
    codes,
    connections,
    doubts,
    feeds,
    links,
    restore,
    signing,
    steps,
    sync,
    trail,
)
from sync_ui.services import keys as rotation
from sync_ui.services.access import COMMAND
from sync_ui.services.restore import Restored
from tests.outside import Outside
from tests.practice import PASSWORD, Book, Clock, Practice, token_of
from tests.services.conftest import for_sqlalchemy
from tests.services.test_feeds import summaries

Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def backup(app: Flask, tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        path = tmp_path / "kept.backup"
        backups.write(COMMAND, path)
        return path

    return make


def put_back(path: Path, *, reset_links: bool = False) -> Restored:
    """As the command does, with the server stopped."""
    db.session.remove()
    db.engine.dispose()
    return restore.restore(current(), path, reset_links=reset_links)


def rows_of(engine: Engine) -> Rows:
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*key))]
            for table in Row.metadata.sorted_tables
            if (key := list(table.primary_key))
        }


def all_rows() -> Rows:
    db.session.rollback()
    return rows_of(db.engine)


def changed(before: Rows, after: Rows) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.mark.bar("B1")
def test_the_schedule_is_as_it_was_when_the_backup_was_made(
    practice: Practice, book: Book, backup: Callable[[], Path]
) -> None:
    first = book(practice.jane).id
    before = all_rows()
    path = backup()
    appointments.cancel(practice.unlu, first)
    book(practice.mark, at="2026-11-25 10:00")
    assert "appointment" in changed(before, all_rows())

    put_back(path)

    # The backup's own row came after it; the feeds move on, and the audit says why.
    assert changed(before, all_rows()) == {"practice", "audit_entry"}
    latest = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()[-1]
    assert (latest.actor, latest.action) == ("command", "backup.restored")


@pytest.mark.bar("L4")
@pytest.mark.parametrize("end", ["reset", "disable"])
def test_a_link_that_was_ended_after_the_backup_stays_dead(
    practice: Practice, book: Book, backup: Callable[[], Path], end: str
) -> None:
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    old, link_id = token_of(link), link.id
    assert summaries(feeds.read(old)) == ["J.S."]
    path = backup()
    getattr(links, end)(practice.unlu, link_id)

    done = put_back(path)

    assert (done.ended, done.doubtful) == (1, 0)
    assert summaries(feeds.read(old)) == [NOTICE]
    found = db.session.get_one(Link, link_id)
    assert found.disabled_at is not None
    assert [token.sealed for token in found.tokens] == [None]


@pytest.mark.bar("L4")
def test_a_journal_that_was_lost_is_made_good_from_the_database_that_stood_there(
    practice: Practice, book: Book, backup: Callable[[], Path], data_dir: Path
) -> None:
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    old, link_id = token_of(link), link.id
    path = backup()
    links.reset(practice.unlu, link_id)
    (data_dir / "revoked.log").write_text("")

    put_back(path)

    assert summaries(feeds.read(old)) == [NOTICE]


@pytest.fixture
def elsewhere(app: Flask, config: Config, tmp_path: Path) -> Iterator[Installation]:
    """A new machine, onto which the keys were put and nothing else."""
    data_dir = tmp_path / "elsewhere"
    data_dir.mkdir()
    for key in config.data_dir.glob("*.key"):
        (data_dir / key.name).write_bytes(key.read_bytes())
    mine = current()
    found = installation.lend(app, replace(config, data_dir=data_dir, database_url=None))
    app.extensions["installation"] = mine
    yield found
    app.extensions["installation"] = mine


def rows_elsewhere(elsewhere: Installation) -> Rows:
    path = database.sqlite_path(elsewhere.config.data_dir)
    engine = database.file_engine(path, elsewhere.keys.database)
    try:
        return rows_of(engine)
    finally:
        engine.dispose()


@pytest.mark.bar("B1", "L4")
def test_on_a_machine_without_the_journal_it_says_which_links_are_in_doubt(
    practice: Practice, book: Book, backup: Callable[[], Path], elsewhere: Installation, app: Flask
) -> None:
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    before = all_rows()
    path = backup()
    links.reset(practice.unlu, link.id)

    outlook = restore.look(elsewhere, path)
    done = restore.restore(elsewhere, path)

    assert (outlook.same, outlook.knows_the_dead) == (None, False)
    assert (done.doubtful, done.ended, done.reset, done.kept) == (1, 0, 0, None)
    assert changed(before, rows_elsewhere(elsewhere)) == {"practice", "audit_entry"}


@pytest.mark.bar("L4")
def test_whoever_is_in_doubt_gives_every_link_a_new_address(
    practice: Practice, backup: Callable[[], Path], elsewhere: Installation, app: Flask
) -> None:
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    [[digest, *_]] = [[token.digest] for token in link.tokens]
    path = backup()
    app.extensions["installation"] = elsewhere  # new addresses are sealed with its keys

    done = restore.restore(elsewhere, path, reset_links=True)

    assert (done.doubtful, done.reset) == (0, 1)
    assert digest in elsewhere.journal
    tokens = rows_elsewhere(elsewhere)["token"]
    assert len(tokens) == 2


def test_whoever_was_signed_in_or_held_a_code_starts_anew(
    practice: Practice, backup: Callable[[], Path]
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    codes.make(practice.unlu, link.id)
    signing.sign_in("ada@example.com", PASSWORD, "192.0.2.7")
    path = backup()
    counted = [select(table.id) for table in (Session, Code)]
    assert [len(db.session.scalars(each).all()) for each in counted] == [1, 1]

    put_back(path)

    assert [len(db.session.scalars(each).all()) for each in counted] == [0, 0]


def test_a_feed_read_before_the_restore_is_never_said_to_be_unchanged(
    practice: Practice, book: Book, backup: Callable[[], Path], now: Clock
) -> None:
    book(practice.jane)
    token = token_of(links.allow(practice.unlu, practice.unlus_calendar))
    path = backup()
    now.move(minutes=1)
    book(practice.mark, at="2026-11-25 10:00")
    now.move(minutes=1)
    newer = feeds.read(token)

    put_back(path)
    now.move(minutes=1)
    book(practice.mark, at="2026-11-26 10:00")  # as many changes as before

    found = feeds.read(token, if_none_match=newer.etag)
    assert found.status == 200
    assert len(summaries(found)) == 2


def test_nothing_outside_is_written_or_removed_before_somebody_has_looked(
    practice: Practice, book: Book, backup: Callable[[], Path], there: Memory, outside: Outside
) -> None:
    book(practice.jane)
    outside.pass_()
    path = backup()
    book(practice.mark, at="2026-11-25 10:00")  # of which the backup knows nothing
    outside.pass_()
    assert outside.summaries() == ["J.S.", "M.S."]

    done = put_back(path)

    connection = db.session.get_one(Connection, outside.id)
    assert (done.connections, connection.state) == (1, ConnectionState.STOPPED)
    assert "was restored" in connection.trouble
    assert sync.run(outside.id) is None
    assert outside.summaries() == ["J.S.", "M.S."]

    connections.answer(practice.unlu, outside.id, Rule.ASK)
    outside.pass_()

    words = [step.word for step in steps.of(outside.id)]
    assert "read_whole" in words


@pytest.mark.bar("B1")
def test_what_is_no_whole_backup_is_refused_before_anything_is_touched(
    practice: Practice, backup: Callable[[], Path], tmp_path: Path
) -> None:
    path = backup()
    whole = path.read_bytes()
    before = all_rows()
    bad = tmp_path / "bad.backup"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1

    for content in (b"", b"no backup", whole[:4096], whole[:-1], bytes(flipped)):
        bad.write_bytes(content)
        with pytest.raises(Invalid, match=r"not a backup|damaged or was cut short"):
            put_back(bad)
    with pytest.raises(Invalid, match="no such file"):
        put_back(tmp_path / "nowhere")

    assert all_rows() == before


def test_the_sentence_says_which_key_a_backup_needs(
    practice: Practice, backup: Callable[[], Path], elsewhere: Installation
) -> None:
    path = backup()
    data_dir, right = elsewhere.config.data_dir, elsewhere.keys

    keys.write(data_dir, "database", (bytes(32),))
    with pytest.raises(Invalid, match=copying.fingerprint(right.database)):
        restore.restore(elsewhere, path)
    keys.write(data_dir, "database", (right.database,))
    keys.write(data_dir, "token", (bytes(32),))
    with pytest.raises(Invalid, match=r"token\.key"):
        restore.restore(elsewhere, path)
    assert not database.sqlite_path(elsewhere.config.data_dir).exists()


def test_a_backup_of_before_a_rotation_opens_with_the_older_keys(
    practice: Practice, book: Book, backup: Callable[[], Path], elsewhere: Installation
) -> None:
    book(practice.jane)
    path = backup()
    data_dir, old = elsewhere.config.data_dir, elsewhere.keys
    for name in keys.NAMES:
        keys.write(data_dir, name, (bytes(range(32)), old.ring(name)[0]))

    restore.restore(elsewhere, path)

    assert elsewhere.keys.database == bytes(range(32))
    assert len(rows_elsewhere(elsewhere)["appointment"]) == 1


@pytest.mark.bar("B1", "L6")
def test_a_backup_of_before_a_new_secret_goes_back_and_the_server_starts(
    app: Flask, config: Config, practice: Practice, book: Book, backup: Callable[[], Path]
) -> None:
    first = book(practice.jane)
    path = backup()
    rotation.rotate_secret(COMMAND)
    appointments.cancel(practice.unlu, first.id)

    put_back(path)

    installation.prepare(config)
    assert [row.status.value for row in db.session.scalars(select(Appointment))] == ["scheduled"]


@pytest.mark.bar("B1", "O2")
def test_the_audit_is_whole_after_a_restore(
    practice: Practice, book: Book, backup: Callable[[], Path]
) -> None:
    path = backup()
    for day in (24, 25, 26):
        book(practice.jane, at=f"2026-11-{day} 10:00")
    assert trail.verify().wrong == ""

    put_back(path)

    assert trail.verify().wrong == ""


@pytest.mark.bar("B5")
def test_a_backup_of_a_newer_version_says_to_install_that(
    practice: Practice, backup: Callable[[], Path]
) -> None:
    path = backup()
    with closing(copying._connect(path, current().keys.database)) as connection:
        connection.execute("UPDATE backup_note SET value = '\"9999\"' WHERE name = 'revision'")

    with pytest.raises(Invalid, match="Install that version"):
        put_back(path)


@pytest.mark.bar("B1")
def test_a_practice_moves_from_the_file_to_postgresql_and_back(
    practice: Practice,
    book: Book,
    backup: Callable[[], Path],
    elsewhere: Installation,
    empty_postgresql_url: str,
    tmp_path: Path,
) -> None:
    book(practice.jane, practice.mark)
    links.allow(practice.unlu, practice.unlus_calendar)
    before = all_rows()
    url = for_sqlalchemy(empty_postgresql_url)
    server = replace(elsewhere, config=replace(elsewhere.config, database_url=url))

    restore.restore(server, backup())
    back = tmp_path / "back.backup"
    copying.make(copying.Source(server.config.data_dir, url, server.keys.database), back)
    restore.restore(elsewhere, back)

    after = rows_elsewhere(elsewhere)
    assert changed(before, after) == {"practice", "audit_entry"}
    assert len(after["audit_entry"]) == len(before["audit_entry"]) + 2


@pytest.mark.bar("L4")
@pytest.mark.parametrize("journal", ["there", "lost"])
def test_an_address_that_was_replaced_after_the_backup_ends_when_it_was_to(
    practice: Practice,
    book: Book,
    backup: Callable[[], Path],
    now: Clock,
    data_dir: Path,
    journal: str,
) -> None:
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    old, link_id = token_of(link), link.id
    path = backup()
    fresh = token_of(links.renew(practice.unlu, link_id, 24))
    assert summaries(feeds.read(fresh)) == ["J.S."]
    if journal == "lost":
        (data_dir / "revoked.log").write_text("")

    done = put_back(path)

    assert (done.renewed, done.lost, done.ended, done.unsure) == ((link_id,), (), 0, 0)
    assert [summaries(feeds.read(token)) for token in (old, fresh)] == [["J.S."], [NOTICE]]
    shown = token_of(db.session.get_one(Link, link_id))
    assert shown not in {old, fresh}
    assert summaries(feeds.read(shown)) == ["J.S."]
    now.move(hours=24)
    assert summaries(feeds.read(old)) == [NOTICE]


@pytest.mark.bar("L4")
def test_a_planned_end_stands_in_the_journal_if_the_database_is_lost(
    practice: Practice, book: Book, backup: Callable[[], Path], now: Clock, elsewhere: Installation
) -> None:
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    path = backup()
    links.renew(practice.unlu, link.id, 24)
    journal = current().config.data_dir / "revoked.log"
    (elsewhere.config.data_dir / "revoked.log").write_text(journal.read_text())

    done = restore.restore(elsewhere, path)

    assert (done.unsure, done.renewed) == (1, (link.id,))
    column = list(Row.metadata.tables["token"].columns.keys()).index("ends_at")
    ends = [row[column] for row in rows_elsewhere(elsewhere)["token"]]
    assert ends == [now() + timedelta(hours=24), None]


@pytest.mark.bar("L4")
def test_a_link_that_was_to_expire_earlier_since_the_backup_does(
    practice: Practice, book: Book, backup: Callable[[], Path], now: Clock
) -> None:
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    token, link_id = token_of(link), link.id
    path = backup()
    links.change(
        practice.unlu,
        link_id,
        label="Phone",
        mode=DisplayMode.INITIALS,
        choices=link.choices,
        days_back=None,
        months_ahead=None,
        expires_at=now() + timedelta(days=2),
    )

    put_back(path)

    assert summaries(feeds.read(token)) == ["J.S."]
    now.move(days=2)
    assert summaries(feeds.read(token)) == [NOTICE]


@pytest.mark.bar("L4", "L15")
def test_an_address_younger_than_the_backup_shows_the_notice_and_then_is_gone(
    practice: Practice, book: Book, backup: Callable[[], Path], now: Clock
) -> None:
    book(practice.jane)
    path = backup()
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    token = token_of(link)
    assert summaries(feeds.read(token)) == ["J.S."]

    done = put_back(path)

    assert done.lost == ("Phone (Dr. Ünlü)",)
    notice = feeds.read(token)
    assert (notice.status, summaries(notice), notice.token_id) == (200, [NOTICE], None)
    assert feeds.read(token, if_none_match=notice.etag).status == 304
    now.move(days=30, minutes=1)
    assert feeds.read(token).status == 410
    with pytest.raises(NotFound):
        feeds.read("never issued")


def test_the_younger_address_lives_again_when_its_own_database_comes_back(
    practice: Practice, book: Book, backup: Callable[[], Path], tmp_path: Path, now: Clock
) -> None:
    book(practice.jane)
    wrong = backup()
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    token = token_of(link)
    right = tmp_path / "right.backup"
    backups.write(COMMAND, right)
    put_back(wrong)
    assert summaries(feeds.read(token)) == [NOTICE]
    now.move(minutes=1)

    put_back(right)

    assert summaries(feeds.read(token)) == ["J.S."]


@pytest.mark.bar("B2", "O2")
def test_whoever_is_killed_before_the_head_is_written_leaves_that_to_the_next_start(
    practice: Practice, book: Book, backup: Callable[[], Path], config: Config
) -> None:
    path = backup()
    for day in (24, 25, 26):
        book(practice.jane, at=f"2026-11-{day} 10:00")
    old = current().head.read()
    put_back(path)
    newest = current().head.read()
    assert old is not None
    assert newest is not None
    current().head.restart(old)
    assert trail.verify().wrong != ""
    current().head.intend(newest)

    installation.prepare(config)

    assert trail.verify().wrong == ""
    assert not (config.data_dir / "audit.head.intent").exists()


@pytest.mark.bar("B2", "O2")
def test_whoever_is_killed_before_the_database_is_replaced_leaves_the_head_as_it_was(
    practice: Practice, config: Config
) -> None:
    before = current().head.read()
    assert before is not None
    current().head.intend(before._replace(digest="0" * 64))

    installation.prepare(config)

    assert current().head.read() == before
    assert not (config.data_dir / "audit.head.intent").exists()


@pytest.mark.bar("B1")
def test_backups_that_the_restored_one_does_not_know_are_listed_and_handed_over(
    practice: Practice, now: Clock
) -> None:
    first = backups.make(practice.ada).name
    now.move(days=1)
    later = backups.make(practice.ada).name
    folder = current().config.backups
    (folder / "sync-20261101T000000000000Z.backup").write_bytes(b"of somebody else")

    put_back(folder / first)

    listed = backups.listed(practice.ada)
    assert [(made.backup.name, made.backup.verified_at) for made in listed] == [
        (later, None),
        (first, None),
    ]
    assert backups.download(practice.ada, listed[0].backup.id) == folder / later
    backups.thin_out(COMMAND)
    assert len(backups.listed(practice.ada)) == 2


@pytest.mark.bar("L4")
def test_links_in_doubt_are_named_until_each_is_reset_or_ended(
    practice: Practice, backup: Callable[[], Path], data_dir: Path, now: Clock
) -> None:
    phone = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS).id
    desk = links.create(practice.unlu, practice.unlus_calendar, "Desk", DisplayMode.INITIALS).id
    lost = links.create(practice.unlu, practice.unlus_calendar, "Lost", DisplayMode.INITIALS).id
    links.disable(practice.unlu, lost)
    path = backup()
    assert doubts.count() == 0
    (data_dir / "revoked.log").write_text("")

    done = put_back(path)

    now.move(minutes=1)
    assert (done.doubtful, doubts.count(), backups.finding()[0]) == (2, 2, False)
    links.reset(practice.unlu, phone)
    assert doubts.count() == 1
    links.disable(practice.unlu, desk)
    assert doubts.count() == 0
