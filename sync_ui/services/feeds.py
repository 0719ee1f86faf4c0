"""Feeds: what a link serves, and what it shows before it is served."""

import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock
from sync_ui.domain import display, ics_write, tokens, validators
from sync_ui.domain.event import DisplayMode, Event
from sync_ui.errors import NotFound, Unavailable
from sync_ui.models import Calendar, Clinician, Link, Practice, Token, db
from sync_ui.models.installation import current
from sync_ui.services import events, links

# Raised whenever the same data is written differently: every app then reads anew.
FORMAT = 1

PREVIEWED = 5

# Reports of refused feeds begin a little above; an event has 330 to 450 bytes.
MANY_EVENTS = 1_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a feed's reader gets: 200 with a body, 304, or 410 with a sentence."""

    status: int
    body: bytes
    file_name: str
    etag: str = ""
    last_modified: datetime | None = None
    link_id: int | None = None
    expires_at: datetime | None = None


class Bodies:
    """The bodies last served, in memory only, the least used forgotten first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str) -> Answer | None:
        with self._lock:
            answer = self._answers.get(digest)
            if answer is not None:
                self._answers.move_to_end(digest)
            return answer

    def put(self, digest: str, answer: Answer) -> None:
        with self._lock:
            self._drop(digest)
            self._answers[digest] = answer
            self._held += len(answer.body)
            while self._held > self._most:
                self._drop(next(iter(self._answers)))

    def forget(self, digest: str) -> None:
        with self._lock:
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        answer = self._answers.pop(digest, None)
        if answer is not None:
            self._held -= len(answer.body)


def init_app(app: Flask, most_bytes: int = 256 * 1024 * 1024) -> None:
    app.extensions["bodies"] = Bodies(most_bytes)


def read(
    token: str, *, if_none_match: str | None = None, if_modified_since: str | None = None
) -> Answer:
    """What the holder of this token gets to see now.

    Raises NotFound for a token that was never issued, Unavailable if the
    database cannot be read and there is no last good body.
    """
    digest = tokens.digest(token)
    try:
        return _read(digest, if_none_match, if_modified_since)
    except SQLAlchemyError as error:
        log.error("A feed could not be made: %s", type(error).__name__)
        db.session.rollback()
        return _last_good(digest)


def preview(calendar: Calendar, mode: DisplayMode) -> list[Event]:
    """The next five appointments exactly as they would leave the building in this mode."""
    return events.upcoming(_as_shown(calendar, mode), clock.now(), PREVIEWED)


def is_large(calendar: Calendar) -> bool:
    """Whether its feed may be more than Google takes, which is about 1 MB."""
    shown = _as_shown(calendar, DisplayMode.BUSY)
    return events.count(shown, clock.now()) > MANY_EVENTS


def _as_shown(calendar: Calendar, mode: DisplayMode) -> events.Shown:
    practice = db.session.get_one(Practice, 1)
    return events.Shown(
        clinician_id=calendar.clinician_id,
        zone=practice.zone,
        mode=display.effective(mode, practice.ceiling),
        revision=0,
        link_changed_at=calendar.changed_at,
        days_back=practice.days_back,
        months_ahead=practice.months_ahead,
    )


def _read(digest: str, if_none_match: str | None, if_modified_since: str | None) -> Answer:
    now = clock.now()
    found = db.session.execute(_LOOK_UP, {"digest": digest}).first()
    if found is None:
        raise NotFound("There is no such calendar link.")
    ended_at = _ended_at(found, digest, now)
    if ended_at is not None:
        _bodies().forget(digest)
        return _dead(found, ended_at, now, if_none_match)
    answer = _heading(found, digest, now)
    if _unchanged(answer, if_none_match, if_modified_since, now):
        return replace(answer, status=304)
    held = _bodies().get(digest)
    if held is not None and held.etag == answer.etag:
        return held
    answer = replace(answer, body=_write(found, answer, now))
    _bodies().put(digest, answer)
    return answer


def _heading(found: Row[*tuple[Any, ...]], digest: str, now: datetime) -> Answer:
    """The answer without its body: what a 304 says, from one indexed read."""
    today = events.today(found.zone, now)
    name = found.clinician_name or found.name
    revision = found.revision + found.policy_revision
    changed_at = max(found.changed_at, found.link_changed_at, found.policy_changed_at)
    return Answer(
        status=200,
        body=b"",
        file_name=links.file_name(name),
        # The moment too: after a restored backup the versions are given out again.
        etag=validators.etag(FORMAT, digest, found.version, revision, changed_at, today, name),
        last_modified=validators.last_modified(changed_at, now, found.zone),
        link_id=found.link_id,
        expires_at=found.expires_at,
    )


_LOOK_UP = (
    select(
        Token.retired_at,
        Link.id.label("link_id"),
        Link.mode,
        Link.revision,
        Link.changed_at.label("link_changed_at"),
        Link.expires_at,
        Link.disabled_at,
        Calendar.id.label("calendar_id"),
        Calendar.uid,
        Calendar.clinician_id,
        Calendar.version,
        Calendar.changed_at,
        Clinician.name.label("clinician_name"),
        Practice.name,
        Practice.zone,
        Practice.ceiling,
        Practice.policy_revision,
        Practice.policy_changed_at,
        Practice.days_back,
        Practice.months_ahead,
    )
    .select_from(Token)
    .join(Link, Link.id == Token.link_id)
    .join(Calendar, Calendar.id == Link.calendar_id)
    .outerjoin(Clinician, Clinician.id == Calendar.clinician_id)
    .join(Practice, Practice.id == 1)
    .where(Token.digest == bindparam("digest"))
)


def _ended_at(found: Row[*tuple[Any, ...]], digest: str, now: datetime) -> datetime | None:
    """When the link died; an old backup cannot revive what the journal names."""
    expired_at = found.expires_at if found.expires_at and found.expires_at <= now else None
    # The other moments are past by their nature, even if the clock was set back since.
    ends = (found.retired_at, found.disabled_at, expired_at, current().journal.died_at(digest))
    return min((at for at in ends if at), default=None)


def _dead(
    found: Row[*tuple[Any, ...]],
    ended_at: datetime,
    now: datetime,
    if_none_match: str | None,
) -> Answer:
    """The notice makes apps drop the appointments that they hold; a 410 would not.

    A date alone never makes it a 304: if the clock was set back, an app could
    hold the old appointments under the same date.
    """
    file_name = links.file_name(found.clinician_name or found.name)
    if now > ended_at + links.NOTICE_PERIOD:
        return Answer(410, b"This calendar link was turned off.\n", file_name)
    today = events.today(found.zone, now)
    calendar = ics_write.Calendar(
        uid=found.uid,
        name="Calendar link turned off",
        description="Ask your practice for a new link, then remove this calendar.",
        zone=found.zone,
        changed_at=ended_at.replace(microsecond=0),
    )
    # Later than anything the link has said while it lived, so that no reader hears "unchanged".
    changed_at = max(found.changed_at, found.link_changed_at, found.policy_changed_at, ended_at)
    answer = Answer(
        200,
        ics_write.notice(calendar, today, today.year),
        file_name,
        validators.etag(FORMAT, "notice", found.uid, ended_at, today, found.zone),
        validators.last_modified(changed_at + timedelta(seconds=1), now, found.zone),
    )
    if _unchanged(answer, if_none_match, None, now):
        return Answer(304, b"", file_name, answer.etag, answer.last_modified)
    return answer


def _unchanged(
    answer: Answer, if_none_match: str | None, if_modified_since: str | None, now: datetime
) -> bool:
    assert answer.last_modified is not None
    return validators.not_modified(
        etag=answer.etag,
        last_modified=answer.last_modified,
        if_none_match=if_none_match,
        if_modified_since=if_modified_since,
        now=now,
    )


def _last_good(digest: str) -> Answer:
    """Rather yesterday's calendar than an empty one; but never that of a dead link.

    The journal is a file, so it can be asked while the database is out of order.
    """
    answer = _bodies().get(digest)
    expired = answer is not None and answer.expires_at and answer.expires_at <= clock.now()
    if answer is None or expired or digest in current().journal:
        raise Unavailable("The calendar cannot be read just now. Try again in a minute.")
    return answer


def _write(found: Row[*tuple[Any, ...]], answer: Answer, now: datetime) -> bytes:
    assert answer.last_modified is not None
    calendar = ics_write.Calendar(
        uid=found.uid,
        name=found.clinician_name or found.name,
        description="Nothing that is changed here goes back to the practice.",
        zone=found.zone,
        changed_at=answer.last_modified,
    )
    shown = events.Shown(
        clinician_id=found.clinician_id,
        zone=found.zone,
        mode=display.effective(found.mode, found.ceiling),
        revision=found.revision + found.policy_revision,
        link_changed_at=max(found.link_changed_at, found.policy_changed_at),
        days_back=found.days_back,
        months_ahead=found.months_ahead,
    )
    year = events.today(found.zone, now).year
    return ics_write.write(calendar, events.in_window(shown, now), year=year)


def _bodies() -> Bodies:
    bodies = current_app.extensions["bodies"]
    assert isinstance(bodies, Bodies)
    return bodies
