"""Feeds: what a link serves, and what it shows before it is served.

A reading costs one indexed read as long as nothing has changed: it finds the
same row as before, so that the same heading holds. Whatever else it takes
happens in one transaction that sees one moment.
"""

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, current_app
from sqlalchemy import Row, bindparam, select, true
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain import display, ics_write, tokens, validators
from sync_ui.domain.event import Choices, DisplayMode, Event
from sync_ui.errors import NotFound, Unavailable
from sync_ui.models import Calendar, Clinician, Link, Practice, Token, db
from sync_ui.models.installation import current
from sync_ui.models.lookup import Lookup
from sync_ui.services import bodies, events, links
from sync_ui.services.bodies import Body, Memory

# Raised whenever the same data is written differently: every app then reads anew.
FORMAT = 2

PREVIEWED = 5

# Reports of refused feeds begin a little above; an event has 330 to 450 bytes.
MANY_EVENTS = 1_000

MEGABYTE = 1024 * 1024

# So many feeds can be written at once; a second reader of one waits for the first.
DESKS = 64

UNKNOWN = "There is no such calendar link."

# The columns of `_LOOK_UP`.
Found = Row[*tuple[Any, ...]]

log = logging.getLogger(__name__)


class How(StrEnum):
    """How a reading was answered, from the cheapest to the dearest."""

    UNCHANGED = "unchanged"
    HELD = "held"
    MENDED = "mended"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a feed's reader gets: 200 with a body, 304, or 410 with a sentence."""

    status: int
    pieces: tuple[bytes, ...]
    file_name: str
    etag: str = ""
    last_modified: datetime | None = None
    link_id: int | None = None
    token_id: int | None = None
    how: How = field(default=How.UNCHANGED, compare=False)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader says to hold already (RFC 9110, 13.1)."""

    if_none_match: str | None = None
    if_modified_since: str | None = None

    def holds(self, answer: Answer, now: datetime) -> bool:
        """Whether that is what it would get; then 304 is the truth."""
        if self.if_none_match == answer.etag:
            return True
        if self.if_none_match is None and self.if_modified_since is None:
            return False
        assert answer.last_modified is not None
        return validators.not_modified(
            etag=answer.etag,
            last_modified=answer.last_modified,
            if_none_match=self.if_none_match,
            if_modified_since=self.if_modified_since,
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Heading:
    """What is known of a living address as long as `row` is what the database holds of it.

    `answer` is a 304. It holds from `since` until `until`: the window moves at
    midnight, and at `dies_at` the address's life is over by itself.
    """

    row: tuple[Any, ...]
    since: datetime
    until: datetime
    dies_at: datetime | None
    answer: Answer

    def is_over(self, now: datetime) -> bool:
        return self.dies_at is not None and self.dies_at <= now


@dataclass(frozen=True, slots=True)
class Held:
    """A body in memory, the heading that it belongs to, and the answer that sends it."""

    body: Body
    heading: Heading
    answer: Answer

    @property
    def size(self) -> int:
        shared = len(self.answer.pieces) > 1  # its pieces are the body's days themselves
        return self.body.size if shared else 2 * self.body.size


@dataclass(frozen=True, slots=True)
class Died:
    """What is left to say of a dead address; nothing it said was later than `changed_at`."""

    name: str
    zone: str
    uid: str
    changed_at: datetime


class Feeds:
    """Reads the feeds of one application."""

    def __init__(self, app: Flask, most_bytes: int) -> None:
        self._app = app
        self._bodies: Memory[Held] = Memory(most_bytes)
        self._headings: dict[str, Heading] = {}
        self._desks = [Lock() for _ in range(DESKS)]
        with app.app_context():
            self._lookup = Lookup(db.engine, _LOOK_UP)
            self._journal = current().journal
            self._damage = current().damage

    def read(self, token: str, asked: Asked) -> Answer:
        """What the holder of this token gets to see now. Raises NotFound, Unavailable."""
        digest = tokens.digest(token)
        now = clock.now()
        try:
            return self._at_hand(digest, asked, now) or self._look_closer(digest, asked, now)
        except SQLAlchemyError as error:
            log.error("A feed could not be made: %s", type(error).__name__)
            self._damage.notice(error)
            return self._last_good(digest, asked, now)

    def _at_hand(self, digest: str, asked: Asked, now: datetime) -> Answer | None:
        """The answer, if the heading and (unless it is a 304) the body are in memory."""
        row = self._lookup.first(digest)
        if row is None:
            return self._without_row(digest, asked, now)
        heading = self._headings.get(digest)
        if heading is None or heading.row != row or not heading.since <= now < heading.until:
            return None
        if digest in self._journal:  # an old backup cannot revive what it names
            return None
        if asked.holds(heading.answer, now):
            return heading.answer
        held = self._bodies.get(digest)
        return held.answer if held is not None and held.heading is heading else None

    def _without_row(self, digest: str, asked: Asked, now: datetime) -> Answer:
        """Younger than the backup that was restored: whoever holds it drops what it shows."""
        gone_at = self._journal.gone_at(digest)
        if gone_at is None:
            raise NotFound(UNKNOWN)
        with self._app.app_context():
            practice = db.session.scalars(select(Practice)).one()
            died = Died(practice.name, practice.zone, digest[:32], gone_at)
        return _notice(died, gone_at, asked, now)

    def _look_closer(self, digest: str, asked: Asked, now: datetime) -> Answer:
        """The same from one moment's view of the database; whatever is missing is made."""
        desk = self._desks[int(digest[:8], 16) % DESKS]
        with desk, self._app.app_context():
            row = self._lookup.first_within(db.session.connection(), digest)
            found = db.session.execute(_LOOK_UP, {"digest": digest}).first()
            if found is None or row is None:
                return self._without_row(digest, asked, now)
            ended_at = self._ended_at(found, digest, now)
            if ended_at is not None:
                self._headings.pop(digest, None)
                self._bodies.forget(digest)
                # Later than anything the link has said while it lived.
                said = (found.changed_at, found.link_changed_at, found.policy_changed_at)
                name = found.clinician_name or found.name
                died = Died(name, found.zone, found.uid, max(*said, ended_at))
                return _notice(died, ended_at, asked, now)
            heading = _heading(found, row, digest, now)
            known = self._headings.get(digest)
            if known is not None and known == heading:
                heading = known  # made by another thread meanwhile
            self._headings[digest] = heading
            if asked.holds(heading.answer, now):
                return heading.answer
            return self._with_body(found, heading, digest, now)

    def _with_body(self, found: Found, heading: Heading, digest: str, now: datetime) -> Answer:
        held = self._bodies.get(digest)
        if held is not None and held.heading.answer == heading.answer:
            held = replace(held, heading=heading)
            self._bodies.put(digest, held, held.size)
            return held.answer
        shown, how = _shown(found), How.MADE
        if held is not None and held.body.shown == shown:
            body, how = bodies.mend(held.body, now), How.MENDED
        else:
            body = bodies.write(shown, now)
        pieces = body.pieces(_head(found, heading.answer, now).encode())
        answer = replace(heading.answer, status=200, pieces=pieces, how=How.HELD)
        held = Held(body, heading, answer)
        self._bodies.put(digest, held, held.size)
        return replace(answer, how=how)

    def _ended_at(self, found: Found, digest: str, now: datetime) -> datetime | None:
        """When the address died; an old backup cannot revive what the journal names."""
        over = _dies_at(found)
        expired_at = over if over and over <= now else None
        # The other moments are past by their nature, even if the clock was set back since.
        ends = (found.retired_at, found.disabled_at, expired_at, self._journal.died_at(digest))
        return min((at for at in ends if at), default=None)

    def _last_good(self, digest: str, asked: Asked, now: datetime) -> Answer:
        """Rather yesterday's calendar than an empty one; but never that of a dead link.

        The journal is a file, so it can be asked while the database is out of order.
        """
        held = self._bodies.get(digest)
        if held is None or digest in self._journal or held.heading.is_over(now):
            raise Unavailable("The calendar cannot be read just now. Try again in a minute.")
        return held.heading.answer if asked.holds(held.answer, now) else held.answer


def init_app(app: Flask, config: Config) -> None:
    app.extensions["feeds"] = Feeds(app, config.feed_memory * MEGABYTE // config.processes)


def read(
    token: str, *, if_none_match: str | None = None, if_modified_since: str | None = None
) -> Answer:
    """What the holder of this token gets to see now.

    Raises NotFound for a token that was never issued, Unavailable if the
    database cannot be read and there is no last good body.
    """
    found: Feeds = current_app.extensions["feeds"]
    return found.read(token, Asked(if_none_match, if_modified_since))


def preview(calendar: Calendar, mode: DisplayMode, choices: Choices = display.USUAL) -> list[Event]:
    """The next five appointments exactly as they would leave the building."""
    return events.upcoming(_as_shown(calendar, mode, choices), clock.now(), PREVIEWED)


def is_large(calendar: Calendar) -> bool:
    """Whether its feed may be more than Google takes, which is about 1 MB."""
    shown = _as_shown(calendar, DisplayMode.BUSY, display.USUAL)
    return events.count(shown, clock.now()) > MANY_EVENTS


def _as_shown(calendar: Calendar, mode: DisplayMode, choices: Choices) -> events.Shown:
    practice = db.session.get_one(Practice, 1)
    return events.Shown(
        clinician_id=calendar.clinician_id,
        zone=practice.zone,
        mode=display.effective(mode, practice.ceiling),
        choices=choices,
        revision=0,
        link_changed_at=calendar.changed_at,
        days_back=practice.days_back,
        months_ahead=practice.months_ahead,
    )


_LOOK_UP = (
    select(
        Token.id.label("token_id"),
        Token.created_at.label("issued_at"),
        Token.ends_at,
        Token.retired_at,
        Link.id.label("link_id"),
        Link.mode,
        Link.shows_location,
        Link.shows_type,
        Link.telehealth,
        Link.shows_time_off,
        Link.shows_cancelled,
        Link.days_back.label("own_days_back"),
        Link.months_ahead.label("own_months_ahead"),
        Link.agreement,
        Link.revision,
        Link.changed_at.label("link_changed_at"),
        Link.expires_at,
        Link.disabled_at,
        Calendar.uid,
        Calendar.clinician_id,
        Calendar.version,
        Calendar.changed_at,
        Clinician.name.label("clinician_name"),
        Practice.name,
        Practice.zone,
        Practice.ceiling,
        Practice.wants_agreement,
        Practice.longest_link_days,
        Practice.policy_revision,
        Practice.policy_changed_at,
        Practice.days_back,
        Practice.months_ahead,
    )
    .select_from(Token)
    .join(Link, Link.id == Token.link_id)
    .join(Calendar, Calendar.id == Link.calendar_id)
    .outerjoin(Clinician, Clinician.id == Calendar.clinician_id)
    .join(Practice, true())  # it has one row
    .where(Token.digest == bindparam("digest"))
)


def _heading(found: Found, row: tuple[Any, ...], digest: str, now: datetime) -> Heading:
    today = events.today(found.zone, now)
    zone = ZoneInfo(found.zone)
    since, midnight = (
        datetime.combine(day, time(), zone).astimezone(UTC)
        for day in (today, today + timedelta(days=1))
    )
    name = found.clinician_name or found.name
    revision = found.revision + found.policy_revision
    changed_at = max(found.changed_at, found.link_changed_at, found.policy_changed_at)
    dies_at = _dies_at(found)
    answer = Answer(
        status=304,
        pieces=(),
        file_name=links.file_name(name),
        # The moment too: after a restored backup the versions are given out again.
        etag=validators.etag(FORMAT, digest, found.version, revision, changed_at, today, name),
        last_modified=validators.last_modified(changed_at, now, found.zone),
        link_id=found.link_id,
        token_id=found.token_id,
    )
    return Heading(row, since, min(midnight, dies_at or midnight), dies_at, answer)


def _dies_at(found: Found) -> datetime | None:
    """When the address's life ends by itself, in the past or to come."""
    ends = [found.expires_at, found.ends_at]
    if found.longest_link_days is not None:
        ends.append(found.issued_at + timedelta(days=found.longest_link_days))
    return min((at for at in ends if at), default=None)


def _notice(died: Died, ended_at: datetime, asked: Asked, now: datetime) -> Answer:
    """The notice makes apps drop the appointments that they hold; a 410 would not.

    A date alone never makes it a 304: if the clock was set back, an app could
    hold the old appointments under the same date.
    """
    file_name = links.file_name(died.name)
    if now > ended_at + links.NOTICE_PERIOD:
        return Answer(410, (b"This calendar link was turned off.\n",), file_name)
    today = events.today(died.zone, now)
    calendar = ics_write.Calendar(
        uid=died.uid,
        name="Calendar link turned off",
        description="Ask your practice for a new link, then remove this calendar.",
        zone=died.zone,
        changed_at=ended_at.replace(microsecond=0),
    )
    answer = Answer(
        200,
        (ics_write.notice(calendar, today, today.year),),
        file_name,
        validators.etag(FORMAT, "notice", died.uid, died.changed_at, today, died.zone, file_name),
        validators.last_modified(died.changed_at + timedelta(seconds=1), now, died.zone),
    )
    by_tag = replace(asked, if_modified_since=None)
    return replace(answer, status=304, pieces=()) if by_tag.holds(answer, now) else answer


def _head(found: Found, answer: Answer, now: datetime) -> str:
    assert answer.last_modified is not None
    calendar = ics_write.Calendar(
        uid=found.uid,
        name=found.clinician_name or found.name,
        description="Nothing that is changed here goes back to the practice.",
        zone=found.zone,
        changed_at=answer.last_modified,
    )
    return ics_write.head(calendar, year=events.today(found.zone, now).year)


def _shown(found: Found) -> events.Shown:
    agreed = not found.wants_agreement or bool(found.agreement)
    return events.Shown(
        clinician_id=found.clinician_id,
        zone=found.zone,
        mode=display.allowed(found.mode, found.ceiling, agreed=agreed),
        choices=Choices(
            location=found.shows_location,
            type=found.shows_type,
            telehealth=found.telehealth,
            time_off=found.shows_time_off,
            cancelled=found.shows_cancelled,
        ),
        revision=found.revision + found.policy_revision,
        link_changed_at=max(found.link_changed_at, found.policy_changed_at),
        days_back=found.days_back if found.own_days_back is None else found.own_days_back,
        months_ahead=found.own_months_ahead or found.months_ahead,
    )
