"""Account Settings > Backups, as an administrator sees it."""

from collections.abc import Callable

from flask.testing import FlaskClient

from sync_ui.models import copying, db
from sync_ui.models.installation import current
from sync_ui.services import backups
from tests.practice import Clock, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

PAGE = "/settings/backups"
WARNING = "The newest backup is older than two days"


def test_ada_backs_up_and_carries_the_file_away(practice: Practice, browser_of: BrowserOf) -> None:
    ada = browser_of("ada@example.com")
    token = csrf_token(ada, PAGE)
    assert "No backup yet" in ada.get(PAGE).text

    made = ada.post(PAGE, data={"csrf_token": token}, follow_redirects=True)
    assert "read back whole" in made.text
    answer = ada.post(f"{PAGE}/1/download", data={"csrf_token": token})

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.data.startswith(b"SyncBkp1")
    [path] = current().config.backups.iterdir()
    assert answer.data == path.read_bytes()
    assert path.name in answer.headers["Content-Disposition"]
    assert copying.check(path, current().keys.database).rows["client"] == 3


def test_a_download_asks_for_the_password_after_five_minutes(
    practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    ada = browser_of("ada@example.com")
    backups.make(practice.ada)
    db.session.rollback()
    token = csrf_token(ada, PAGE)
    assert ada.post(f"{PAGE}/1/download", data={"csrf_token": token}).status_code == 200

    now.move(minutes=6)

    assert ada.post(f"{PAGE}/1/download", data={"csrf_token": token}).status_code == 403


def test_the_page_says_why_no_backup_was_made(practice: Practice, browser_of: BrowserOf) -> None:
    ada = browser_of("ada@example.com")
    current().config.backups.write_text("in the way")

    answer = ada.post(PAGE, data={"csrf_token": csrf_token(ada, PAGE)})

    assert answer.status_code == 503
    assert "folder for backups cannot be made" in answer.text


def test_administrators_alone_are_warned_while_the_newest_is_too_old(
    practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    now.move(days=3)
    ada, sam = browser_of("ada@example.com"), browser_of("sam@example.com")
    assert WARNING in ada.get("/clients").text
    assert WARNING not in sam.get("/clients").text

    backups.make(practice.ada)
    db.session.rollback()

    assert WARNING not in ada.get("/clients").text
