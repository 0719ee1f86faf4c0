"""What is deleted is gone: from every byte of the database's files, decrypted."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sync_ui.config import Config
from sync_ui.models import db
from sync_ui.models.database import sqlite_path
from sync_ui.models.installation import current
from sync_ui.services import upkeep, uploads
from tests.practice import Clock, Practice
from tests.services.test_imports import PAULA, calendar

# Of a page of SQLCipher: what is encrypted, its vector, and a digest.
PAGE, VECTOR, TAIL = 4096, 16, 80
SALT = 16
LOG_HEAD, FRAME_HEAD = 32, 24

CANARY = "Canary-Quillfeather"


@pytest.fixture
def config(data_dir: Path) -> Config:
    """The file alone: what PostgreSQL keeps is its own affair."""
    return Config(data_dir=data_dir, base_url="https://calendar.example.com")


def opened(page: bytes, *, first: bool = False) -> bytes:
    vector = page[-TAIL : -TAIL + VECTOR]
    cipher = Cipher(algorithms.AES(current().keys.database), modes.CBC(vector)).decryptor()
    return cipher.update(page[SALT if first else 0 : -TAIL])


def every_byte() -> bytes:
    """Of the file and its log, pages that nobody uses any more included."""
    path = sqlite_path(current().config.data_dir)
    text = path.read_bytes()
    pages = [opened(text[at : at + PAGE], first=at == 0) for at in range(0, len(text), PAGE)]
    log = path.with_name(f"{path.name}-wal")
    frames = log.read_bytes()[LOG_HEAD:] if log.exists() else b""
    whole = FRAME_HEAD + PAGE
    for at in range(0, len(frames) - whole + 1, whole):
        page = frames[at + FRAME_HEAD : at + whole]
        number = int.from_bytes(frames[at : at + 4], "big")
        pages.append(opened(page, first=number == 1))
    return b"".join(pages)


def test_the_pages_are_opened_rightly(practice: Practice) -> None:
    assert b"CREATE TABLE" in every_byte()
    assert "Bergström".encode() in every_byte()


def upload(practice: Practice, name: str) -> int:
    """A calendar of 200 events of this client waits to be accepted."""
    event = PAULA.replace("Paula Brown", name)
    events = [event.replace("paula@", f"{number}@") for number in range(200)]
    assert practice.unlu.clinician_id is not None
    kept = uploads.keep(practice.ada, practice.unlu.clinician_id, calendar(*events)).id
    db.session.rollback()
    return kept


@pytest.mark.bar("B6")
def test_an_upload_that_was_forgotten_leaves_no_byte(practice: Practice, now: Clock) -> None:
    upload(practice, CANARY)
    assert CANARY.encode() in every_byte()

    now.move(days=1, minutes=1)
    assert upkeep.clean_up() > 0

    assert CANARY.encode() not in every_byte()


@pytest.mark.bar("B6")
def test_what_was_discarded_by_hand_is_gone_from_the_log_within_a_day(practice: Practice) -> None:
    file_id = upload(practice, CANARY)

    uploads.discard(practice.ada, file_id)
    db.session.rollback()
    assert CANARY.encode() in every_byte()  # the log remembers
    upkeep.look_daily()

    assert CANARY.encode() not in every_byte()
