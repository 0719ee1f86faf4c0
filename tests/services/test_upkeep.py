"""The sweep finds whatever is owed, and doing it twice does nothing."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from sync_ui import clock
from sync_ui.domain.event import DisplayMode
from sync_ui.models import AuditEntry, Code, Row, Session, SignInFailure, db
from sync_ui.models.installation import current
from sync_ui.services import addresses, codes, links, mail, sessions, signing, upkeep
from tests.practice import NOW, PASSWORD, Clock, Practice, token_of


def count(table: type[Row]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.bar("B6")
def test_what_is_over_is_removed_and_what_is_not_stays(practice: Practice, now: Clock) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    codes.make(practice.unlu, link.id)
    signing.sign_in("anna@example.com", PASSWORD, "net")
    with pytest.raises(Exception, match="do not belong together"):
        signing.sign_in("anna@example.com", "wrong", "another net")
    assert upkeep.clean_up() == 0
    now.move(hours=23)
    codes.make(practice.unlu, link.id)

    now.move(hours=1, minutes=11)
    signing.sign_in("anna@example.com", PASSWORD, "net")

    # The first code, the first session, and both counts of the failure that no sign-in has
    # forgiven; the others are younger, such as the count of the network that is used again.
    assert upkeep.clean_up() == 4
    assert (count(Code), count(Session), count(SignInFailure)) == (1, 1, 1)
    assert upkeep.clean_up() == 0


@pytest.mark.bar("D9")
def test_a_sweep_changes_nothing_the_second_time(practice: Practice, now: Clock) -> None:
    links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.BUSY,
        expires_at=NOW + timedelta(hours=1),
    )
    now.move(hours=2)
    before = count(AuditEntry)
    upkeep.sweep()
    assert count(AuditEntry) == before + 1

    upkeep.sweep()

    assert count(AuditEntry) == before + 1


@pytest.mark.parametrize(
    ("part", "name"),
    [(links, "expire"), (addresses, "write_journal"), (mail, "send_due"), (upkeep, "clean_up")],
)
def test_a_part_that_fails_stops_no_other(
    practice: Practice,
    now: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: object,
    name: str,
) -> None:
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.BUSY,
        expires_at=NOW + timedelta(hours=1),
    )
    token = token_of(link)
    secret = signing.sign_in("anna@example.com", PASSWORD, "net")
    now.move(hours=13)

    def fail(*_: object) -> None:
        raise RuntimeError(token)

    monkeypatch.setattr(part, name, fail)
    caplog.set_level(logging.DEBUG)

    upkeep.sweep()

    assert set(caplog.messages) == {"A part of the sweep failed: RuntimeError"}
    ended = db.session.get_one(type(link), link.id).disabled_at is not None
    assert (ended, count(Session)) == (name != "expire", 1 if name == "clean_up" else 0)
    assert sessions.signed_in(secret) is None


@pytest.mark.bar("L3")
def test_a_death_that_missed_the_journal_gets_there(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    with monkeypatch.context() as killed:
        killed.setattr(addresses, "write_journal", lambda: None)
        links.disable(practice.unlu, link.id)
    digest = link.tokens[0].digest
    assert current().journal.died_at(digest) is None

    upkeep.sweep()

    assert current().journal.died_at(digest) == clock.now()
