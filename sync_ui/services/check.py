"""The health of an installation, in sentences."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock, config
from sync_ui.domain.reach import WHO
from sync_ui.domain.reach import Finding as Outside
from sync_ui.errors import SyncError, Unavailable
from sync_ui.models import (
    AuditEntry,
    Connection,
    ConnectionState,
    FeedFigures,
    Link,
    Mail,
    Series,
    db,
)
from sync_ui.models.installation import current
from sync_ui.models.keys import NAMES, path_of
from sync_ui.services import backups, damage, factors, host, reach, trail, zone_laws
from sync_ui.services.access import COMMAND
from sync_ui.services.mail import MOST_ATTEMPTS
from sync_ui.services.sync import NEED_SOMEBODY, WORKED_ON

# The worker looks once a minute; what is due for longer has been overlooked.
A_SWEEP = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    ok: bool
    words: str


def findings() -> list[Finding]:
    """What can be looked at is told, whatever else is out of order."""
    looks: dict[str, Callable[[], list[Finding]]] = {
        "database": lambda: [_database()],
        "keys": _keys,
        "journal": lambda: [_journal()],
        "audit": lambda: [_audit()],
        "worker": lambda: [_worker()],
        "backup": lambda: [Finding("backup", *backups.finding())],
        "time zones": lambda: [_time_zones()],
        "mail": lambda: [_mail()],
        "feeds": lambda: [_feeds()],
        "connections": lambda: [_connections()],
        "second factors": lambda: [_second_factors()],
        "public address": _public_link,
        "disk": lambda: [_disk()],
        "clock": lambda: [_clock()],
        "settings": _settings,
    }
    return [finding for subject, look in looks.items() for finding in _alone(subject, look)]


def _alone(subject: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What it finds; that it fails is a finding, too, and no other one's trouble."""
    try:
        return look()
    except (SQLAlchemyError, SyncError, OSError) as error:
        current().damage.notice(error)
        _let_go()
        return [Finding(subject, False, "could not be looked at.")]


def _let_go() -> None:
    """Whatever the database has in hand, the next look begins anew, on another connection."""
    with suppress(SQLAlchemyError):
        db.session.rollback()
    db.session.remove()
    db.engine.dispose()


def _database() -> Finding:
    try:
        if damage.look():
            entries = db.session.scalar(select(func.count(AuditEntry.id)))
            words = f"whole ({db.engine.dialect.name}, {entries} audit entries)."
            return Finding("database", True, words)
    except SQLAlchemyError as error:
        current().damage.notice(error)
        _let_go()
        if not damage.is_known():
            return Finding("database", False, "cannot be read.")
    words = (
        "damaged, and nothing is changed in it any more. Stop the server and put the newest "
        "backup in its place: flask restore FILE."
    )
    return Finding("database", False, words)


def _keys() -> list[Finding]:
    found = []
    for name in NAMES:
        path = path_of(current().config.data_dir, name)
        private = path.stat().st_mode & 0o077 == 0
        words = (
            "there, readable by its owner only." if private else "readable by others: chmod 600."
        )
        found.append(Finding(path.name, private, words))
    return found


def _journal() -> Finding:
    """What keeps dead links dead when an older backup comes back."""
    try:
        current().journal.open()
    except OSError:
        words = "revoked.log cannot be read and written. Give it back to the server's user."
        return Finding("journal", False, words)
    return Finding("journal", True, "of dead links, there.")


def _audit() -> Finding:
    """What the worker found when it last compared every entry with the chain."""
    last = trail.last_verified()
    if last is None:
        return Finding("audit", True, "not verified yet; the worker does once a day.")
    at = f"{last.at:%Y-%m-%d %H:%M} UTC"
    if last.verdict.wrong:
        return Finding("audit", False, f"verified {at}: {last.verdict.words}")
    late = clock.now() > last.at + 2 * trail.A_DAY
    words = f"verified {at}, {last.verdict.words}."
    return Finding("audit", not late, f"{words} Is the worker running?" if late else words)


def _worker() -> Finding:
    """The worker keeps series a year ahead and mail moving; both show when it does not."""
    late = db.session.scalar(
        select(func.count(Series.id)).where(Series.extended_until < clock.now())
    )
    if late:
        return Finding("worker", False, f"{late} series end too early. Is it running?")
    return Finding("worker", True, "nothing is overdue.")


def _disk() -> Finding:
    try:
        found = host.disk()
    except OSError:
        return Finding("disk", False, "the data directory is gone.")
    if not found.writable:
        return Finding("disk", False, "the data directory cannot be written to.")
    words = f"{found.free // 1024**2} MB free of {found.total // 1024**2}."
    return Finding("disk", not found.is_short, f"{words} Make room." if found.is_short else words)


def _clock() -> Finding:
    if host.clock_is_behind():
        words = "earlier than the newest entry of the audit. Set it right: links end by it."
        return Finding("clock", False, words)
    return Finding("clock", True, f"{clock.now():%Y-%m-%d %H:%M} UTC.")


def _settings() -> list[Finding]:
    """What somebody meant to set, and did not."""
    return [Finding("settings", False, sentence) for sentence in config.unknown_names()]


def _time_zones() -> Finding:
    """What a new version of the zones' laws made wrong is set right at once."""
    try:
        number = zone_laws.repair(COMMAND)
    except Unavailable as error:
        return Finding("time zones", False, error.sentence)
    words = f"{number} appointments were set right." if number else "as the zones' laws say."
    return Finding("time zones", True, words)


def _mail() -> Finding:
    if current().config.smtp_url is None:
        return Finding("mail", True, "not set up; “Email link” opens the user's mail program.")
    unsent = select(func.count(Mail.id)).where(Mail.sent_at.is_(None))
    lost = db.session.scalar(unsent.where(Mail.attempts >= MOST_ATTEMPTS))
    if lost:
        return Finding("mail", False, f"{lost} messages of the last 30 days could not be sent.")
    waiting = db.session.scalar(unsent.where(Mail.due_at < clock.now() - A_SWEEP))
    return Finding("mail", not waiting, f"{waiting} messages are overdue." if waiting else "sent.")


def _feeds() -> Finding:
    """How the readings of the last day were answered; memory is where they cost little."""
    today = clock.now().date()
    latest = select(FeedFigures).where(FeedFigures.day >= today - timedelta(days=1))
    found = db.session.scalar(latest.order_by(FeedFigures.day.desc()).limit(1))
    ways = _ways(found) if found else {}
    readings = sum(ways.values())
    if found is None or not readings:
        return Finding("feeds", True, "not read since yesterday.")
    shares = [f"{_percent(number, readings)} {way}" for way, number in ways.items() if number]
    day = "today" if found.day == today else "yesterday"
    counted = f"{readings:,} reading{'' if readings == 1 else 's'}".replace(",", " ")
    return Finding("feeds", True, f"{counted} {day} (UTC), {', '.join(shares)}.")


def _connections() -> Finding:
    """Whether outside calendars are in step, or somebody is needed."""
    counted = select(Connection.state, func.count(Connection.id)).group_by(Connection.state)
    states = dict(db.session.execute(counted).all())
    alive = sum(number for state, number in states.items() if state is not ConnectionState.ENDED)
    if not alive:
        return Finding("connections", True, "none.")
    needed = sum(states.get(state, 0) for state in NEED_SOMEBODY)
    late = db.session.scalar(
        select(func.count(Connection.id)).where(
            Connection.state.in_(WORKED_ON), Connection.next_at < clock.now() - A_SWEEP
        )
    )
    if not needed and not late:
        return Finding("connections", True, f"{alive}, in step.")
    words = f"{needed} of {alive} need somebody, {late} are overdue. Their pages say why."
    return Finding("connections", False, words)


def _second_factors() -> Finding:
    counted = factors.counted().values()
    users, with_one = (sum(numbers) for numbers in zip(*counted, strict=True))
    have = "has" if with_one == 1 else "have"
    return Finding("second factors", True, f"{with_one} of {users} users {have} one.")


def _ways(figures: FeedFigures) -> dict[str, int]:
    return {
        "unchanged": figures.unchanged,
        "from memory": figures.held,
        "mended there": figures.mended,
        "made anew": figures.made,
    }


def _percent(number: int, of: int) -> str:
    """Never 0 % of what there was, nor 100 % of what was not all."""
    share = round(100 * number / of)
    if number and share == 0:
        return "under 1 %"
    return "over 99 %" if share == 100 and number < of else f"{share} %"


def _public_link() -> list[Finding]:
    config = current().config
    links = db.session.scalar(select(func.count(Link.id)).where(Link.disabled_at.is_(None)))
    words = f"{config.base_url}, {links} links."
    if not config.reachable_by_phones:
        words = (
            f"{config.base_url} is not https or not public: most phones cannot read the "
            f"{links} links. See README."
        )
    # Without TLS there is no proxy before it, and the server may well be stopped.
    outside = reach.outside() if config.secure else []
    return [Finding("public address", True, words), *map(_from_outside, outside)]


def _from_outside(found: Outside) -> Finding:
    """Whom the address is meant for, and what only could be better, is no problem."""
    ok = found.ok is not False or found.subject == WHO
    words = found.words if found.ok else f"{found.app}: {found.words} {found.advice}"
    return Finding(found.subject[0].lower() + found.subject[1:], ok, words)
