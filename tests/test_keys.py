"""The keys of an encrypted file: rotated by commands, typed in from paper, wrong."""

import os
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy import text

from sync_ui import create_app
from sync_ui.config import ROOT, Config
from sync_ui.domain import key_sheet
from sync_ui.domain import tokens as tokens_
from sync_ui.errors import CannotStart, Conflict, Invalid
from sync_ui.models import db, installation, keys, transaction
from sync_ui.models.installation import hold
from sync_ui.services import backups, links
from sync_ui.services import keys as service
from sync_ui.services.access import COMMAND
from tests.practice import Practice, running, token_of
from tests.services.test_keys import actions, app_secret, fill, ring

NAMES = ["database", "token", "secret"]


@pytest.mark.bar("L6")
def test_the_database_is_encrypted_with_a_new_key(config: Config, practice: Practice) -> None:
    tokens = fill(practice)
    [old] = ring(config, "database")

    service.rotate_database(COMMAND)

    new, kept = ring(config, "database")
    assert (kept, new != old) == (old, True)
    assert token_of(links.manageable(practice.ada)[1].links[0]) == tokens[0]
    assert service.forget(COMMAND, "database") == 1
    db.engine.dispose()
    for app in running(config):
        assert app.test_client().get(f"/cal/{tokens[0]}/x.ics").status_code == 200
    assert actions() == [("key.rotated", "key:database"), ("key.forgotten", "key:database")]
    db.engine.dispose()
    keys.write(config.data_dir, "database", (old,))
    with pytest.raises(CannotStart, match=r"does not open with the key in database\.key"):
        create_app(config)


def test_the_database_keeps_its_key_while_somebody_serves(
    config: Config, practice: Practice
) -> None:
    before = ring(config, "database")

    with hold(config.data_dir), pytest.raises(CannotStart, match="Stop it first"):
        service.rotate_database(COMMAND)

    assert ring(config, "database") == before


# The n-th time that a rotation puts something on the disk, the power fails.
POWER_CUT = """
import os, signal, sys
left = int(sys.argv[1])
def failing(function):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
from sync_ui import create_app
from sync_ui.services import keys
from sync_ui.services.access import COMMAND
with create_app().app_context():
    os.fsync, os.replace, os.unlink = map(failing, (os.fsync, os.replace, os.unlink))
    {"database": keys.rotate_database, "token": keys.rotate_token}[sys.argv[2]](COMMAND)
"""


def cut_short(config: Config, step: int, name: str) -> bool:
    """Whether the power failed before the rotation was done."""
    settings = {"SYNC_DATA_DIR": str(config.data_dir), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", POWER_CUT, str(step), name],
        env=os.environ | settings,
        check=False,
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode == -9


@pytest.mark.bar("L6", "D2")
@pytest.mark.parametrize("name", ["database", "token"])
def test_a_power_cut_at_any_step_of_a_rotation_costs_nothing(
    config: Config, practice: Practice, name: str
) -> None:
    tokens = fill(practice)
    db.session.remove()
    db.engine.dispose()
    step = 1
    while cut_short(config, step, name):
        for app in running(config):
            service.finish(COMMAND)
            assert app.test_client().get(f"/cal/{tokens[0]}/x.ics").status_code == 200
            assert token_of(links.manageable(practice.ada)[1].links[0]) == tokens[0]
            assert app_secret() == "JBSWY3DP"
        step += 1

    assert step > 4
    for _ in running(config):
        service.forget(COMMAND, name)
        assert token_of(links.manageable(practice.ada)[1].links[0]) == tokens[0]
    assert len(ring(config, name)) == 1


def written(config: Config) -> int:
    """What of the new encryption is on the disk."""
    try:
        return (config.data_dir / "sync.db-wal").stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.bar("L6", "D2")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_power_cut_while_the_file_is_encrypted_anew_costs_nothing(
    config: Config, practice: Practice, share: float
) -> None:
    tokens = fill(practice)
    with transaction() as session:
        session.connection().exec_driver_sql("CREATE TABLE ballast (x BLOB)")
        session.connection().exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) "
            "INSERT INTO ballast SELECT randomblob(4000) FROM n"
        )
    db.session.remove()
    db.engine.dispose()
    size = (config.data_dir / "sync.db").stat().st_size
    assert size > 30_000_000
    changing = subprocess.Popen(
        [sys.executable, "-c", POWER_CUT, "1000", "database"],
        env=os.environ | {"SYNC_DATA_DIR": str(config.data_dir), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    try:
        while changing.poll() is None and written(config) < size * share:
            pass
    finally:
        changing.kill()

    assert changing.wait() == -9
    for app in running(config):
        assert app.test_client().get(f"/cal/{tokens[0]}/x.ics").status_code == 200
        assert db.session.scalar(text("SELECT count(*) FROM ballast")) == 8000


# Paper


def paper(config: Config, *names: str) -> list[str]:
    return [
        str(line)
        for name in names or NAMES
        for line in key_sheet.lines(name, ring(config, name)[0])
    ]


@pytest.mark.bar("B3", "L6")
@pytest.mark.parametrize("names", [["database"], ["token", "secret"], NAMES])
def test_lost_keys_come_back_from_paper(config: Config, names: list[str]) -> None:
    typed = paper(config)
    before = {name: ring(config, name) for name in NAMES}
    for name in names:
        keys.path_of(config.data_dir, name).unlink()
    with pytest.raises(CannotStart, match=rf"{names[0]}\.key is missing"):
        installation.prepare(config)

    assert service.enter(config, typed) == [f"{name}.key" for name in names]

    assert {name: ring(config, name) for name in NAMES} == before
    assert keys.path_of(config.data_dir, names[0]).stat().st_mode & 0o777 == 0o600
    installation.prepare(config)
    assert service.enter(config, typed) == []


def test_a_typing_error_writes_nothing(config: Config) -> None:
    typed = paper(config)
    for name in NAMES:
        keys.path_of(config.data_dir, name).unlink()
    wrong = [*typed[:-1], typed[-1][:-1] + ("0" if typed[-1][-1] != "0" else "1")]

    with pytest.raises(Invalid, match=r"Line S4 has a typing error.*Nothing was changed"):
        service.enter(config, wrong)

    assert list(config.data_dir.glob("*.key")) == []
    service.enter(config, typed)


def test_a_key_that_is_there_is_never_replaced(config: Config) -> None:
    own = ring(config, "token")
    other = [str(line) for line in key_sheet.lines("token", keys.make())]

    with pytest.raises(Conflict, match=r"token\.key holds another key"):
        service.enter(config, other)

    assert ring(config, "token") == own
    assert service.enter(config, other, older=True) == ["token.key"]
    assert ring(config, "token")[:1] == own
    assert len(ring(config, "token")) == 2


@pytest.mark.bar("L6", "B3")
@pytest.mark.parametrize("form", ["groups", "lines", "capitals"])
def test_a_key_file_typed_by_hand_may_have_blanks_and_lines(config: Config, form: str) -> None:
    path = config.data_dir / "token.key"
    digits = path.read_text().strip()
    groups = re.findall("....", digits)
    text = {
        "groups": " ".join(groups),
        "lines": "\r\n".join(" ".join(groups[at : at + 4]) for at in range(0, 16, 4)) + "\n\n",
        "capitals": f"\t{digits.upper()} ",
    }[form]
    path.write_text(text)

    assert installation.prepare(config).keys.token.hex() == digits


# What a thief finds


def forms(token: str) -> list[bytes]:
    """As text, in hexadecimal, and in base64 wherever it may begin."""
    plain = token.encode()
    found = [plain, plain.hex().encode(), plain.hex().upper().encode()]
    # Without the ends, which depend on what stands beside it.
    return found + [b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)]


def decrypted(path: Path, key: bytes) -> bytes:
    """Every byte of the pages below the encryption."""
    plain = path.with_name(f"{path.name}.plain")
    connection = sqlcipher.connect(str(path))
    connection.execute(f"PRAGMA key=\"x'{key.hex()}'\"")
    connection.execute(f"ATTACH DATABASE '{plain}' AS plain KEY ''")
    connection.execute("SELECT sqlcipher_export('plain')").fetchall()
    connection.close()
    content = plain.read_bytes()
    plain.unlink()
    return content


@pytest.mark.bar("L5")
def test_no_byte_of_files_or_backups_opens_a_feed_not_even_decrypted(
    config: Config, practice: Practice, tmp_path: Path
) -> None:
    tokens = fill(practice)
    renewed = links.manageable(practice.ada)[1].links[0]
    links.renew(practice.ada, renewed.id, 24)
    tokens.append(token_of(renewed))
    backups.write(COMMAND, tmp_path / "copy.backup")
    [key] = ring(config, "database")
    files = {path.name: path.read_bytes() for path in config.data_dir.iterdir() if path.is_file()}
    assert files["sync.db-wal"]
    files["backup"] = (tmp_path / "copy.backup").read_bytes()
    files["backup, decrypted"] = decrypted(tmp_path / "copy.backup", key)
    db.session.remove()
    db.engine.dispose()
    files["database, decrypted"] = decrypted(config.data_dir / "sync.db", key)

    found = {
        name
        for name, content in files.items()
        for token in tokens
        if any(form in content for form in forms(token))
    }

    assert found == set()
    digests = [tokens_.digest(token).encode() for token in tokens]
    for name in ("database, decrypted", "backup, decrypted"):  # where they could have stood
        assert all(digest in files[name] for digest in digests)
    assert b"Anna Bergstr" in files["database, decrypted"]
    assert b"Anna Bergstr" not in files["sync.db"] + files["sync.db-wal"] + files["backup"]


def test_every_form_of_a_token_would_be_found() -> None:
    token = "2" * 16 + "abcdefghjkmnpqrst"

    for shift in range(3):
        for content in (token.encode(), token.encode().hex().encode()):
            assert any(form in b"x" * shift + content for form in forms(token))
        assert any(form in b64encode(b"y" * shift + token.encode() + b"z") for form in forms(token))
