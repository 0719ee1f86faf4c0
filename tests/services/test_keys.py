"""Keys: rotated, forgotten, typed in, wrong."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import LargeBinary, select

from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.domain import key_sheet
from sync_ui.domain.event import DisplayMode
from sync_ui.models import (
    AuditEntry,
    Authenticator,
    Connection,
    KeyCheck,
    Row,
    Token,
    db,
    installation,
    keys,
    transaction,
)
from sync_ui.services import factors, links, sealing
from sync_ui.services import keys as service
from sync_ui.services.access import COMMAND
from tests.practice import NOW, Book, Practice, running, token_of

BrowserOf = Callable[[str], FlaskClient]

NAMES = ["database", "token", "secret"]

# Large columns that `sealing.seal` does not make: a public key, and a file for the import.
NOT_SEALED = {"passkey.public_key", "import_file.content"}


def ring(config: Config, name: str) -> tuple[bytes, ...]:
    return keys.ring(config.data_dir, name)


def fill(practice: Practice) -> list[str]:
    """A link of each clinician and an app that makes codes; the links' secrets."""
    made = [
        links.create(practice.ada, calendar, "Phone", DisplayMode.INITIALS)
        for calendar in (practice.annas_calendar, practice.unlus_calendar)
    ]
    assert practice.ada.user_id is not None
    with transaction() as session:
        session.add(
            Authenticator(
                user_id=practice.ada.user_id,
                secret=sealing.seal("JBSWY3DP", factors.bound_to(practice.ada.user_id)),
                created_at=NOW,
            )
        )
    return [token_of(link) for link in made]


def actions() -> list[tuple[str, str]]:
    db.session.rollback()
    entries = db.session.scalars(
        select(AuditEntry).where(AuditEntry.action.startswith("key.")).order_by(AuditEntry.id)
    )
    return [(entry.action, entry.subject) for entry in entries]


def app_secret() -> str:
    return factors.secret_of(db.session.scalars(select(Authenticator)).one())


def test_every_sealed_column_is_in_the_list() -> None:
    """SECURITY L6: what the list forgets is lost with the old key."""
    large = {
        f"{table.name}.{column.name}"
        for table in Row.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    listed = {str(sealed.column.expression) for sealed in service.SEALED}

    assert listed | NOT_SEALED == large


@pytest.mark.bar("L6")
def test_a_new_token_key_changes_no_link(
    app: Flask, config: Config, practice: Practice, book: Book
) -> None:
    book(practice.jane)
    tokens = fill(practice)
    [old] = ring(config, "token")
    before = [app.test_client().get(f"/cal/{token}/x.ics").data for token in tokens]

    assert service.rotate_token(COMMAND) == 3

    new, kept = ring(config, "token")
    assert (kept, new != old) == (old, True)
    assert service.forget(COMMAND, "token") == 1
    assert ring(config, "token") == (new,)
    found = [link for calendar in links.manageable(practice.ada) for link in calendar.links]
    assert {token_of(link) for link in found} == set(tokens)
    assert app_secret() == "JBSWY3DP"
    assert [app.test_client().get(f"/cal/{token}/x.ics").data for token in tokens] == before
    assert actions() == [("key.rotated", "key:token"), ("key.forgotten", "key:token")]
    assert create_app(config).test_client().get(f"/cal/{tokens[0]}/x.ics").status_code == 200


def test_before_the_rotation_the_new_key_opened_nothing(config: Config, practice: Practice) -> None:
    """That the values are sealed anew shows: without it they would be lost."""
    fill(practice)
    keys.write(config.data_dir, "token", (keys.make(),))
    token = db.session.scalars(select(Token).limit(1)).one()

    assert token.sealed is not None
    assert not sealing.is_current(token.sealed, token.digest)


@pytest.mark.bar("L6")
@pytest.mark.parametrize("name", ["token", "secret"])
def test_a_rotation_cut_short_is_finished_by_whoever_comes_next(
    config: Config, practice: Practice, name: str
) -> None:
    tokens = fill(practice)
    [old] = ring(config, name)
    new = keys.make()
    keys.write(config.data_dir, name, (new, old))  # and then the power failed

    for app in running(config):
        assert token_of(links.manageable(practice.ada)[1].links[0]) == tokens[0]
        service.finish(COMMAND)
        service.finish(COMMAND)
        with app.app_context():
            assert all(
                sealing.is_current(token.sealed, token.digest)
                for token in db.session.scalars(select(Token))
                if token.sealed is not None
            )
    assert actions() == [("key.rotated", f"key:{name}")]
    assert ring(config, name) == ((new, old) if name == "token" else (new,))


@pytest.mark.bar("L6")
def test_a_backup_made_before_a_rotation_still_opens_its_copies(
    config: Config, practice: Practice
) -> None:
    tokens = fill(practice)
    sealed = {row.digest: row.sealed for row in db.session.scalars(select(Token))}
    check = db.session.get_one(KeyCheck, "token").fingerprint
    service.rotate_token(COMMAND)
    with transaction() as session:  # as a restore would
        for row in session.scalars(select(Token)):
            row.sealed = sealed[row.digest]
        session.get_one(KeyCheck, "token").fingerprint = check

    for _ in running(config):
        assert service.finish(COMMAND)["token"] == 2
        service.forget(COMMAND, "token")
        found = [link for calendar in links.manageable(practice.ada) for link in calendar.links]
        assert {token_of(link) for link in found} == set(tokens)


@pytest.mark.bar("L6")
def test_a_new_secret_signs_out_at_once_and_feeds_go_on(
    app: Flask, config: Config, practice: Practice, browser_of: BrowserOf
) -> None:
    tokens = fill(practice)
    cookie = browser_of("unlu@example.com").get_cookie("__Host-session")
    assert cookie is not None
    served = create_app(config)  # another process, running all the while
    browser = served.test_client()
    browser.set_cookie("__Host-session", cookie.value)
    assert browser.get("/account").status_code == 200
    [old] = ring(config, "secret")

    service.rotate_secret(COMMAND)

    assert browser.get("/account").headers["Location"].startswith("/sign-in")
    assert browser.get(f"/cal/{tokens[0]}/x.ics").status_code == 200
    assert browser.get("/sign-in").status_code == 200
    [new] = ring(config, "secret")
    assert new != old
    with served.app_context():
        db.engine.dispose()


@pytest.mark.bar("L6", "O6")
def test_another_secret_signs_everybody_out_and_is_noted(
    config: Config, practice: Practice, browser_of: BrowserOf
) -> None:
    cookie = browser_of("unlu@example.com").get_cookie("__Host-session")
    assert cookie is not None
    tokens = fill(practice)
    keys.write(config.data_dir, "secret", (keys.make(),))  # as an older backup's, or another's

    for app in running(config):
        browser = app.test_client()
        browser.set_cookie("__Host-session", cookie.value)
        assert browser.get("/account").headers["Location"].startswith("/sign-in")
        assert browser.get(f"/cal/{tokens[0]}/x.ics").status_code == 200
        service.finish(COMMAND)
        service.finish(COMMAND)
        now = keys.fingerprint("secret", ring(config, "secret")[0])
        assert db.session.get_one(KeyCheck, "secret").fingerprint == now
    assert actions() == [("key.rotated", "key:secret")]


@pytest.mark.bar("B3")
def test_a_sheet_with_a_former_secret_brings_back_the_other_keys(
    config: Config, practice: Practice
) -> None:
    sheet = [str(line) for n in NAMES for line in key_sheet.lines(n, ring(config, n)[0])]
    service.rotate_secret(COMMAND)
    [secret] = ring(config, "secret")
    (config.data_dir / "token.key").unlink()

    assert service.enter(config, sheet) == ["token.key"]
    assert service.enter(config, sheet, older=True) == []
    assert ring(config, "secret") == (secret,)


def test_a_new_key_that_finds_no_room_leaves_no_file_behind(config: Config) -> None:
    """The system's own limit of a file's size stands for a full disk."""
    before = ring(config, "token")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        try:
            keys.write(config.data_dir, "token", (keys.make(), *before))
        except OSError:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    assert ring(config, "token") == before
    assert not (config.data_dir / "token.key.new").exists()


def test_the_key_of_backups_is_a_new_one(config: Config, practice: Practice) -> None:
    """On PostgreSQL that is all that it does."""
    [old] = ring(config, "database")

    service.rotate_database(COMMAND)

    new, kept = ring(config, "database")
    assert (kept, new != old) == (old, True)
    assert installation.current().keys.database == new
    assert service.forget(COMMAND, "database") == 1
    assert ring(config, "database") == (new,)
    assert actions() == [("key.rotated", "key:database"), ("key.forgotten", "key:database")]


def test_connections_are_sealed_by_their_id() -> None:
    """The list and whoever seals agree on what a value is bound to."""
    [column] = [s for s in service.SEALED if s.column.class_ is Connection]

    assert column.bound_to(Connection(id=7)) == "connection:7"


def test_a_process_that_cannot_read_the_files_keeps_what_it_knows(
    config: Config, practice: Practice
) -> None:
    tokens = fill(practice)
    path: Path = config.data_dir / "token.key"
    path.write_text("half a k")

    assert token_of(links.manageable(practice.ada)[1].links[0]) == tokens[0]
