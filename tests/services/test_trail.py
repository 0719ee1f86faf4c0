"""The audit as a whole: what was done to it behind the application's back shows."""

import csv
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update

from sync_ui.domain import chain
from sync_ui.errors import Refused
from sync_ui.models import AuditEntry, db, transaction
from sync_ui.models.head import Newest
from sync_ui.models.installation import current
from sync_ui.services import check, trail, upkeep
from sync_ui.services.access import COMMAND
from sync_ui.services.audit import Action, record
from sync_ui.services.trail import Asked
from tests.practice import NOW, Clock, Practice

Execute = Callable[..., None]


def enter(number: int = 1) -> None:
    for _ in range(number):
        with transaction() as session:
            record(session, COMMAND, Action.LINK_CHANGED, "link:1", days_back=3)


def execute(*statements: object) -> None:
    """As somebody does who has the database, and not the application."""
    with db.engine.connect().execution_options(writing=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
        connection.commit()
    db.session.rollback()


def newest() -> Newest:
    found = select(AuditEntry.id, AuditEntry.digest).order_by(AuditEntry.id.desc()).limit(1)
    return Newest(*db.session.execute(found).one())


def chained_anew(first: int) -> Iterable[object]:
    """Every digest from `first` on is right again."""
    rows = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    before = rows[first - 2].digest if first > 1 else chain.START
    for row in rows[first - 1 :]:
        subject = "link:2" if row.id == first else row.subject
        before = chain.digest(before, row.id, row.at, row.actor, row.action, subject, row.detail)
        values = {"subject": subject, "digest": before}
        yield update(AuditEntry).where(AuditEntry.id == row.id).values(**values)


def moved(number: int, to: int) -> object:
    return update(AuditEntry).where(AuditEntry.id == number).values(id=to)


def changed(number: int, **values: object) -> object:
    return update(AuditEntry).where(AuditEntry.id == number).values(**values)


def gone(*numbers: int) -> object:
    return delete(AuditEntry).where(AuditEntry.id.in_(numbers))


def put_in(number: int, digest: str = "0" * 64) -> object:
    values = {"actor": "command", "action": "link.changed", "subject": "", "detail": {}}
    return insert(AuditEntry).values(id=number, at=NOW, digest=digest, **values)


TAMPERED: dict[str, tuple[Callable[[], Iterable[object]], str]] = {
    "an actor": (lambda: [changed(4, actor="user:1")], "entry 4 was changed."),
    "a moment": (lambda: [changed(4, at=NOW + timedelta(microseconds=1))], "entry 4 was changed."),
    "an action": (lambda: [changed(4, action="link.reset")], "entry 4 was changed."),
    "a subject": (lambda: [changed(1, subject="link:2")], "entry 1 was changed."),
    "a detail": (lambda: [changed(4, detail={"days_back": 4})], "entry 4 was changed."),
    "no detail": (lambda: [changed(4, detail=[1])], "entry 4 was changed."),
    "a digest": (lambda: [changed(4, digest="0" * 64)], "entry 4 was changed."),
    "the first": (lambda: [gone(1)], "entry 1 is missing."),
    "one in the midst": (lambda: [gone(4)], "entry 4 is missing."),
    "one, and the gap closed": (
        lambda: [gone(4), moved(5, 4), moved(6, 5)],
        "entry 4 was changed.",
    ),
    "two that change places": (
        lambda: [moved(4, 40), moved(5, 4), moved(40, 5)],
        "entry 4 was changed.",
    ),
    "one more at the end": (lambda: [put_in(7)], "entry 7 was changed."),
    "one more at the beginning": (lambda: [put_in(0)], "entry 0 was put in."),
    "one below the beginning": (lambda: [put_in(-3)], "entry -3 was put in."),
    "the last moved on": (lambda: [moved(6, 60)], "entry 6 is missing."),
    "the last": (lambda: [gone(6)], "entry 6 is missing: the end was cut off."),
    "the last two": (
        lambda: [gone(5, 6)],
        "entry 5 is missing, and all up to 6: the end was cut off.",
    ),
    "all": (
        lambda: [delete(AuditEntry)],
        "entry 1 is missing, and all up to 6: the end was cut off.",
    ),
    "one, and all after it chained anew": (
        lambda: chained_anew(3),
        "entry 6 is not the one that was written: the audit was made anew.",
    ),
    "the last, made anew": (
        lambda: chained_anew(6),
        "entry 6 is not the one that was written: the audit was made anew.",
    ),
}


@pytest.mark.bar("O2")
@pytest.mark.parametrize("what", TAMPERED)
@pytest.mark.parametrize("batch", [2, 1000])
def test_whatever_is_tampered_with_is_named(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch, what: str, batch: int
) -> None:
    monkeypatch.setattr(trail, "BATCH", batch)
    enter(6)
    assert trail.verify().words == "whole: 6 entries"
    tamper, sentence = TAMPERED[what]

    execute(*list(tamper()))

    assert trail.verify().words == sentence


@pytest.mark.bar("O2")
@pytest.mark.parametrize("column", ["at", "detail"])
def test_what_is_no_moment_and_no_json_is_named_too(app: Flask, now: Clock, column: str) -> None:
    if db.engine.dialect.name != "sqlite":
        return  # the other database takes no such thing
    enter(4)

    execute(text(f"UPDATE audit_entry SET {column} = 'rhubarb' WHERE id = 3"))

    assert trail.verify().words == "entry 3 was changed."


@pytest.mark.bar("O2")
def test_what_goes_on_after_the_end_was_cut_off_does_not_hide_it(app: Flask, now: Clock) -> None:
    enter(6)
    head = current().head.read()

    execute(gone(5, 6))
    now.move(seconds=1)
    enter(4)

    assert current().head.read() == head
    assert trail.verify().words == (
        "entry 6 is not the one that was written: the audit was made anew."
    )


@pytest.mark.bar("O2")
def test_a_crash_before_the_head_is_written_is_no_tampering(app: Flask, now: Clock) -> None:
    enter(2)
    behind = current().head.read()
    enter(2)
    assert behind is not None
    current().head.restart(behind)

    assert trail.verify().words == "whole: 4 entries, 2 of them after audit.head"
    enter()
    assert current().head.read() == newest()
    assert trail.verify().words == "whole: 5 entries"


@pytest.mark.bar("O2")
def test_what_is_added_at_the_end_with_its_right_digest_is_told_from_what_the_head_knows(
    app: Flask, practice: Practice, now: Clock
) -> None:
    enter(3)
    entry = (4, NOW, "user:1", "link.reset", "link:1")
    digest = chain.digest(newest().digest, *entry, {})
    values = dict(zip(("id", "at", "actor", "action", "subject"), entry, strict=True))

    execute(insert(AuditEntry).values(detail={}, digest=digest, **values))

    assert trail.verify().words == "whole: 4 entries, 1 of them after audit.head"
    upkeep.look_daily()
    told_words = "verified 2026-11-23 17:00 UTC, whole: 4 entries, 1 of them after audit.head."
    assert told() == (True, told_words)


@pytest.mark.bar("O2")
@pytest.mark.parametrize("head", ["0 x", "-7 x", "0 " + "7" * 64, "-7 " + chain.START])
def test_a_head_that_was_written_over_hides_no_missing_end(
    app: Flask, now: Clock, head: str
) -> None:
    enter(6)
    (current().config.data_dir / "audit.head").write_text(head)
    execute(gone(5, 6))

    assert trail.verify().words.startswith("audit.head is missing or damaged,")


@pytest.mark.bar("O2")
@pytest.mark.parametrize("number", [1, 5, 6])
def test_a_head_whose_digest_is_not_in_the_chain_is_wrong(
    app: Flask, now: Clock, number: int
) -> None:
    enter(6)
    current().head.restart(Newest(number, "7" * 64))

    assert trail.verify().words == (
        f"entry {number} is not the one that was written: the audit was made anew."
    )


@pytest.mark.bar("O2")
def test_a_missing_table_is_said(app: Flask, now: Clock) -> None:
    enter(2)

    execute(text("DROP TABLE audit_entry"))

    assert trail.verify().words == "the table of the entries is missing. Restore a backup."


@pytest.mark.bar("O1", "O2")
def test_what_is_rolled_back_leaves_chain_and_head_alone(app: Flask, now: Clock) -> None:
    enter(2)
    head = current().head.read()

    def fail() -> None:
        with transaction() as session:
            record(session, COMMAND, Action.LINK_CHANGED, "link:1")
            raise Refused("Not this one.")

    with pytest.raises(Refused):
        fail()

    assert current().head.read() == head == newest()
    enter()
    assert trail.verify().words == "whole: 3 entries"


@pytest.mark.bar("O2")
def test_several_entries_of_one_transaction_are_chained(app: Flask, now: Clock) -> None:
    with transaction() as session:
        for number in range(3):
            record(session, COMMAND, Action.LINK_CHANGED, f"link:{number}")

    assert trail.verify().words == "whole: 3 entries"
    assert current().head.read() == newest() == (3, newest().digest)


@pytest.mark.bar("O2")
def test_a_lost_head_is_noticed_until_a_new_one_is_begun(app: Flask, now: Clock) -> None:
    enter(2)
    path = current().config.data_dir / "audit.head"
    path.unlink()
    enter()
    assert trail.verify().words.startswith("audit.head is missing or damaged,")

    trail.restart_head(COMMAND)

    assert trail.verify().words == "whole: 4 entries"
    assert path.stat().st_mode & 0o777 == 0o600
    enter()
    assert current().head.read() == newest()


@pytest.mark.bar("O2", "O1")
def test_a_restore_says_so_in_the_audit_and_begins_a_new_head(app: Flask, now: Clock) -> None:
    enter(6)
    execute(gone(5, 6))

    trail.restart_head(COMMAND, restored_from=NOW - timedelta(hours=3))

    assert trail.verify().words == "whole: 5 entries"
    last = db.session.get_one(AuditEntry, 5)
    assert (last.action, last.detail) == (
        "audit.head_restarted",
        {"restored_from": "2026-11-23T14:00:00+00:00", "head_was": 6},
    )


def test_nobody_but_an_administrator_begins_a_new_head_or_reads(
    app: Flask, practice: Practice
) -> None:
    for use in (
        lambda: trail.restart_head(practice.sam),
        lambda: trail.page(practice.sam, Asked(), None, 9),
        lambda: trail.export(practice.sam, Asked()),
    ):
        with pytest.raises(Refused):
            use()


@pytest.mark.bar("O2", "D1")
def test_twelve_writers_at_once_make_one_chain(app: Flask, now: Clock) -> None:
    def work(_: int) -> None:
        with app.app_context():
            enter(20)
            db.session.remove()

    with ThreadPoolExecutor(12) as threads:
        futures = [threads.submit(copy_context().run, work, number) for number in range(12)]
    assert [future.result() for future in futures] == [None] * 12

    assert trail.verify().words == "whole: 240 entries"
    assert current().head.read() == newest()


@pytest.mark.bar("O2")
def test_it_is_verified_once_a_day_and_says_so(app: Flask, practice: Practice, now: Clock) -> None:
    enter(3)
    assert told() == (True, "not verified yet; the worker does once a day.")
    upkeep.look_daily()
    upkeep.look_daily()
    before = newest().number
    assert told() == (True, "verified 2026-11-23 17:00 UTC, whole: 3 entries.")

    execute(changed(2, subject="link:2"))
    now.move(hours=23)
    upkeep.look_daily()
    assert newest().number == before
    now.move(hours=1)
    upkeep.look_daily()

    assert newest().number == before + 1
    assert told() == (False, "verified 2026-11-24 17:00 UTC: entry 2 was changed.")


def test_a_worker_that_does_not_verify_is_missed(
    app: Flask, practice: Practice, now: Clock
) -> None:
    upkeep.look_daily()

    now.move(days=2, seconds=1)

    assert told()[0] is False


def told() -> tuple[bool, str]:
    db.session.rollback()
    (found,) = [one for one in check.findings() if one.subject == "audit"]
    return found.ok, found.words


@pytest.mark.bar("O2")
def test_nothing_but_the_end_of_an_installation_removes_entries(
    app: Flask, practice: Practice, now: Clock
) -> None:
    enter(3)
    now.move(days=6 * 366)

    upkeep.sweep()
    upkeep.look_daily()

    assert db.session.scalar(select(func.count(AuditEntry.id)).where(AuditEntry.id <= 3)) == 3
    assert trail.verify().wrong == ""


def test_pages_go_back_by_number(app: Flask, practice: Practice) -> None:
    enter(7)

    first = trail.page(practice.ada, Asked(), None, 3)
    enter(2)
    second = trail.page(practice.ada, Asked(), first[-1].id, 3)

    assert [entry.id for entry in [*first, *second]] == [7, 6, 5, 4, 3, 2]


def test_what_is_asked_for_is_told(app: Flask, practice: Practice, now: Clock) -> None:
    def found(**asked: object) -> list[int]:
        page = trail.page(practice.ada, Asked(**asked), None, 99)  # type: ignore[arg-type]
        return [entry.id for entry in reversed(page)]

    with transaction() as session:
        record(session, practice.ada, Action.LINK_RESET, "link:1")
        record(session, practice.sam, Action.LINK_CHANGED, "link:11")
        record(session, practice.sam, Action.CLIENT_CHANGED, "client:1")
    now.move(days=1)
    enter()
    today = NOW.date()
    tomorrow = today + timedelta(days=1)

    assert found() == [1, 2, 3, 4]
    assert found(actor=practice.sam.word) == [2, 3]
    assert found(action="link.") == [1, 2, 4]
    assert found(action="link.changed") == [2, 4]
    assert found(action="l_nk.") == []
    assert found(subject="link:1") == [1, 4]
    assert found(first=tomorrow) == [4]
    assert found(last=today) == [1, 2, 3]
    assert found(first=today, last=today, action="link.", actor=practice.sam.word) == [2]


def test_days_are_the_practices(app: Flask, practice: Practice, now: Clock) -> None:
    """At 23:00 in New York it is tomorrow in UTC."""
    now.move(hours=11)
    enter()

    asked = Asked(first=NOW.date(), last=NOW.date())

    assert [entry.id for entry in trail.page(practice.ada, asked, None, 9)] == [1]


@pytest.mark.bar("O1", "I8")
def test_an_export_is_a_table_that_nothing_computes_and_is_audited_itself(
    app: Flask, practice: Practice, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "BATCH", 2)
    with transaction() as session:
        record(session, practice.ada, Action.LINK_RESET, "link:1", reason="leaked", days=None)
        record(session, practice.ada, Action.LINK_RESET, "=1+1")
    execute(text("""UPDATE "user" SET name = '=HYPERLINK("//x")' WHERE id = 1"""))

    file = b"".join(trail.export(practice.ada, Asked()))

    rows = list(csv.reader(io.StringIO(file.decode("utf-8-sig"))))
    assert [row[:8] for row in rows] == [
        list(trail.COLUMNS[:8]),
        [
            *("1", "2026-11-23T17:00:00+00:00", '\'=HYPERLINK("//x")', "user:1"),
            *("Link reset", "link.reset", "link:1", "reason: leaked"),
        ],
        [
            *("2", "2026-11-23T17:00:00+00:00", '\'=HYPERLINK("//x")', "user:1"),
            *("Link reset", "link.reset", "'=1+1", ""),
        ],
        [
            *("3", "2026-11-23T17:00:00+00:00", '\'=HYPERLINK("//x")', "user:1"),
            *("Audit exported", "audit.exported", "audit", ""),
        ],
    ]
    assert rows[3][8] == newest().digest
