"""Visits: which app read a link, when and from what kind of network.

A reading is noted in memory and written by a thread of its own, in batches, so
that it can neither slow nor fail a feed.
"""

import atexit
import hashlib
import hmac
import logging
import threading
import time
import weakref
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import NamedTuple

from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from sync_ui import clock
from sync_ui.domain import apps, habits, networks
from sync_ui.domain.apps import Reader
from sync_ui.models import FeedFigures, Link, MailKind, Token, Visit, db, transaction
from sync_ui.models.installation import Installation, current
from sync_ui.services import access, links, mail
from sync_ui.services.audit import Action, record

log = logging.getLogger(__name__)

# So long a reading waits for others, to be written with them.
BATCH_SECONDS = 5.0

# What waits beyond that is counted, but not kept: readings must not eat the memory.
MOST_WAITING = 100_000

# An hour and a half in all: a longer outage of the database costs the readings before it.
MOST_TRIES = 100
LONGEST_WAIT = 60.0

# Whoever holds a link can call themselves anything: beyond that, all are "other apps".
MOST_READERS = 200

CHECK_HEADER = "X-Sync-Check"

KEPT = timedelta(days=90)

_find_reader = lru_cache(1024)(apps.reader)


class Seen(NamedTuple):
    """One reading of a link, as the feed saw it.

    `forwarded` is X-Forwarded-For as it came, `seen_until` the Last-Modified
    that was answered, `how` a column of `FeedFigures`, `name_of_check` what
    came in X-Sync-Check.
    """

    token_id: int
    link_id: int
    user_agent: str
    peer: str
    forwarded: str
    seen_until: datetime
    at: datetime
    how: str = "unchanged"
    name_of_check: str = ""


class Key(NamedTuple):
    """Who read: what a row of visits is about."""

    token_id: int
    link_id: int
    reader: Reader
    name: str
    network: str


@dataclass(slots=True)
class Readings:
    """Several readings by the same reader."""

    first_at: datetime
    last_at: datetime
    seen_until: datetime
    count: int = 0
    days: set[date] = field(default_factory=set)

    def add(self, seen: Seen) -> None:
        self.count += 1
        self.days.add(seen.at.date())
        self.first_at = min(self.first_at, seen.at)
        if seen.at >= self.last_at:
            self.last_at, self.seen_until = seen.at, seen.seen_until


Batch = dict[Key, Readings]

# (day, column of `FeedFigures`) → how many readings.
Figures = Counter[tuple[date, str]]


class Recorder:
    """Writes what is noted, from a thread that starts with the first visit.

    What the database does not take is tried again with the next batch.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._noted: SimpleQueue[Seen] = SimpleQueue()
        self._unwritten: Batch = {}
        self._figures: Figures = Counter()
        self._tries = 0
        self._writing = threading.Lock()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None
        self.dropped = 0

        installation: Installation = app.extensions["installation"]
        trusted = installation.config.trusted_proxies

        @lru_cache(1024)
        def find_network(peer: str, forwarded: str) -> str:
            return networks.words(networks.of(peer, forwarded, trusted))

        self._find_network = find_network

    def note(self, seen: Seen) -> None:
        """Costs whoever reads a feed no more than an entry in a queue."""
        if self._noted.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        if len(seen.user_agent) + len(seen.forwarded) > apps.LONGEST:
            seen = seen._replace(
                user_agent=seen.user_agent[: apps.LONGEST], forwarded=seen.forwarded[-300:]
            )
        self._noted.put(seen)
        if self._thread is None:
            self._begin()

    def write(self) -> None:
        """Write whatever is noted and not yet written."""
        with self._writing, self._app.app_context():
            for seen in self._waiting():
                self._add(seen)
            if self._unwritten:
                self._try()

    def _begin(self) -> None:
        with self._start:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="visits", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # too many threads: the next reading tries again
                log.warning("Visits wait: %s", type(error).__name__)
                return
            self._thread = thread
            atexit.register(_write_last, weakref.ref(self))

    def _run(self) -> None:
        try:
            self._write_for_ever()
        finally:
            self._thread = None  # the next reading starts another

    def _write_for_ever(self) -> None:
        while True:
            if not self._unwritten:
                first = self._noted.get()
                with self._writing, self._app.app_context():
                    self._add(first)
            time.sleep(min(BATCH_SECONDS * (self._tries + 1), LONGEST_WAIT))
            self.write()

    def _add(self, seen: Seen) -> None:
        if seen.name_of_check and is_check(seen.name_of_check, seen.at):
            return
        self._figures[seen.at.date(), seen.how] += 1
        network = self._find_network(seen.peer, seen.forwarded)
        key = Key(seen.token_id, seen.link_id, *_find_reader(seen.user_agent), network)
        readings = self._unwritten.get(key)
        if readings is None:
            if len(self._unwritten) >= MOST_WAITING:
                self.dropped += 1
                return
            readings = self._unwritten[key] = Readings(seen.at, seen.at, seen.seen_until)
        readings.add(seen)

    def _waiting(self) -> Iterable[Seen]:
        try:
            while True:
                yield self._noted.get_nowait()
        except Empty:
            return

    def _try(self) -> None:
        if self.dropped:
            log.warning("%s readings came too quickly to be counted.", self.dropped)
            self.dropped = 0
        try:
            _store(self._unwritten, self._figures)
        except Exception as error:  # noqa: BLE001 - whatever it is, the feed and the next try go on
            log.warning("Visits could not be written: %s", type(error).__name__)
            self._tries += 1
            if self._tries < MOST_TRIES:
                return
            log.error("Visits of %s readers are given up.", len(self._unwritten))
        self._unwritten, self._figures, self._tries = {}, Counter(), 0


def _write_last(recorder: "weakref.ref[Recorder]") -> None:
    """What the last seconds brought is not lost with the process."""
    found = recorder()
    if found is not None:
        found.write()


def init_app(app: Flask) -> None:
    app.extensions["visits"] = Recorder(app)


def recorder() -> Recorder:
    found = current_app.extensions["visits"]
    assert isinstance(found, Recorder)
    return found


def of_link(link_id: int) -> list[Visit]:
    """Who has read the link, the latest reading first."""
    return of_links([link_id])[link_id]


def of_links(link_ids: Collection[int]) -> dict[int, list[Visit]]:
    """The same for several links at once."""
    fresh = Visit.last_at > clock.now() - KEPT
    wanted = (
        select(Visit)
        .where(Visit.link_id.in_(link_ids), fresh)
        .order_by(Visit.last_at.desc(), Visit.id.desc())
        .options(joinedload(Visit.token))
    )
    found: dict[int, list[Visit]] = {link_id: [] for link_id in link_ids}
    for visit in db.session.scalars(wanted):
        found[visit.link_id].append(visit)
    return found


def rhythm(visit: Visit) -> str:
    """How often it reads, in words: `about every 4 hours`."""
    return habits.rhythm(visit.first_at, visit.last_at, count=visit.count, days=visit.days)


def alive(visits: Iterable[Visit]) -> list[Visit]:
    """Those of apps, at an address that still works."""
    return [visit for visit in visits if visit.reader is Reader.APP and works(visit.token)]


def works(token: Token) -> bool:
    """Whether the address was neither retired nor replaced for so long that it ended."""
    return token.retired_at is None and (token.ends_at is None or token.ends_at > clock.now())


def who(visit: Visit) -> tuple[str, str]:
    """The kind of app and the kind of network: by them a reader is known, at any address."""
    return visit.name, networks.kind(visit.network)


def is_first(of_link: Iterable[Visit], visit: Visit) -> bool:
    """Whether this is the link's first app: that is how a link is meant.

    What only read an address that is dead, without its owner's word, is not
    counted. Of an address that is older than visits are kept nobody knows.
    """
    if visit.reader is not Reader.APP or visit.first_at >= visit.token.created_at + KEPT:
        return False
    counted = [v for v in of_link if v.reader is Reader.APP and (v.told_at or works(v.token))]
    return bool(counted) and who(min(counted, key=lambda v: v.id)) == who(visit)


def latest_by_app(visits: Iterable[Visit]) -> list[Visit]:
    """The latest reading of each app, whatever network it came from."""
    latest: dict[str, Visit] = {}
    for visit in visits:
        if visit.name not in latest or latest[visit.name].last_at < visit.last_at:
            latest[visit.name] = visit
    return list(latest.values())


def check_header() -> str:
    """What "Check my link" sends in X-Sync-Check, so that it does not count as a visit."""
    return _check_of(clock.now())


def is_check(value: str, at: datetime) -> bool:
    """Whether this came from "Check my link", within the last minutes."""
    fresh = [_check_of(at - timedelta(minutes=minutes)) for minutes in (0, 1, 2)]
    return any(hmac.compare_digest(value.encode(), known.encode()) for known in fresh)


def _check_of(at: datetime) -> str:
    minute = f"check:{at:%Y-%m-%dT%H:%M}".encode()
    return hmac.new(current().keys.secret, minute, hashlib.sha256).hexdigest()


def _store(batch: Batch, figures: Figures) -> None:
    with transaction() as session:
        of_links: dict[Link, list[tuple[Token, Key, Readings]]] = defaultdict(list)
        ids = {key.token_id for key in batch}
        wanted = select(Token).where(Token.id.in_(ids)).options(joinedload(Token.link))
        tokens = {token.id: token for token in session.scalars(wanted)}
        for key, readings in batch.items():
            token = tokens.get(key.token_id)
            if token is not None:
                of_links[token.link].append((token, key, readings))
        for link, found in of_links.items():
            _store_of_link(session, link, sorted(found, key=lambda part: part[2].first_at))
        _store_figures(session, figures)


def _store_figures(session: Session, figures: Figures) -> None:
    for (day, how), number in figures.items():
        of_day = session.get(FeedFigures, day)
        if of_day is None:
            of_day = FeedFigures(day=day, unchanged=0, held=0, mended=0, made=0)
            session.add(of_day)
        setattr(of_day, how, getattr(of_day, how) + number)


def _store_of_link(session: Session, link: Link, found: list[tuple[Token, Key, Readings]]) -> None:
    visits = list(session.scalars(select(Visit).where(Visit.link_id == link.id)))
    for token, asked, readings in found:
        key = _within_bounds(visits, asked)
        _record_first_of_day(session, visits, key, readings)
        visit = _find_visit(visits, token, key)
        if visit is not None:
            _count(visit, readings)
        else:
            visit = _first_visit(token, key, readings)
            if _is_known(visits, visit):
                visit.told_at = visit.first_at
            session.add(visit)
            session.flush()
            if _is_news(link, visits, visit):
                _tell_new(session, link, visit)
            visits.append(visit)
        known = key.reader is Reader.APP and token.retired_at is None
        if known and (link.read_at or readings.last_at) <= readings.last_at:
            link.read_at, link.read_by = readings.last_at, key.name


def _record_first_of_day(
    session: Session, visits: list[Visit], key: Key, readings: Readings
) -> None:
    """One entry for each link and day on which apps read it, and one for all others."""
    is_app = key.reader is Reader.APP
    days = {visit.last_at.date() for visit in visits if (visit.reader is Reader.APP) == is_app}
    if readings.last_at.date() not in days:
        action = Action.LINK_FIRST_READ if is_app else Action.LINK_OPENED
        record(session, access.PHONE, action, f"link:{key.link_id}", by=key.reader.value)


def _within_bounds(visits: list[Visit], key: Key) -> Key:
    """Names that were made up to fill the table become one."""
    if len(visits) < MOST_READERS or any(visit.name == key.name for visit in visits):
        return key
    return key._replace(name=f"other {key.reader.value}s", network=networks.kind(key.network))


def _is_known(visits: list[Visit], visit: Visit) -> bool:
    return any(v.told_at is not None and who(v) == who(visit) for v in visits)


def _is_news(link: Link, visits: list[Visit], visit: Visit) -> bool:
    """Whether a stranger reads a living address, and none of its kind does yet.

    Who read only an address that is dead is a stranger to the next one, too.
    """
    if visit.told_at is not None or not works(visit.token) or not links.is_live(link):
        return False
    if any(works(v.token) and who(v) == who(visit) for v in visits):
        return False
    return not is_first([*visits, visit], visit)


def _tell_new(session: Session, link: Link, visit: Visit) -> None:
    mail.owe_notice(session, link, MailKind.NEW_READER)
    about = {"visit": visit.id, "by": visit.reader.value}
    record(session, access.PHONE, Action.LINK_NEW_READER, f"link:{link.id}", **about)


def _find_visit(visits: list[Visit], token: Token, key: Key) -> Visit | None:
    who = (token.id, key.name, key.network)
    return next((v for v in visits if (v.token_id, v.name, v.network) == who), None)


def _first_visit(token: Token, key: Key, readings: Readings) -> Visit:
    return Visit(
        link_id=token.link_id,
        token_id=token.id,
        reader=key.reader,
        name=key.name,
        network=key.network,
        first_at=readings.first_at,
        last_at=readings.last_at,
        count=readings.count,
        days=len(readings.days),
        seen_until=readings.seen_until,
    )


def _count(visit: Visit, readings: Readings) -> None:
    visit.count += readings.count
    visit.first_at = min(visit.first_at, readings.first_at)
    visit.days += sum(day > visit.last_at.date() for day in readings.days)
    if readings.last_at >= visit.last_at:
        visit.last_at, visit.seen_until = readings.last_at, readings.seen_until
