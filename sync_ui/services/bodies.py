"""The text of feeds, kept in memory by days: after a change only its days are written anew."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from threading import Lock
from typing import Generic, TypeVar

from sqlalchemy import select

from sync_ui.domain import ics_write
from sync_ui.models import Appointment, Calendar, db
from sync_ui.services import events
from sync_ui.services.events import Shown, Written

# Clinician → what their calendar's version is.
Versions = dict[int, tuple[int, datetime]]

# Clinician → day → what their appointments of that day show.
Marks = dict[int, dict[str, int]]

# Whatever is smaller is sent in one piece; larger ones day by day, and never copied.
ONE_PIECE = 1_000_000

# Beyond so many days it is quicker to write everything.
MANY_DAYS = 40


@dataclass(frozen=True, slots=True)
class Body:
    """Every event that a link shows, in the days (UTC) that they begin on.

    `versions` and `marks` tell what it was written from. Never changed: a new
    one shares the days that stay.
    """

    shown: Shown
    today: date
    versions: Versions
    marks: Marks
    days: dict[str, bytes]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.days.values()))

    def pieces(self, head: bytes) -> tuple[bytes, ...]:
        """The whole feed, to be sent one after the other."""
        whole = (head, *(self.days[day] for day in sorted(self.days)), ics_write.END.encode())
        return (b"".join(whole),) if sum(map(len, whole)) <= ONE_PIECE else whole


def write(shown: Shown, now: datetime) -> Body:
    """The body as the transaction under way sees the schedule."""
    written = events.write(shown, events.within(shown, now))
    marks: Marks = defaultdict(lambda: defaultdict(int))
    for event in written:
        marks[event.clinician_id][event.day] += event.mark
    return Body(
        shown=shown,
        today=events.today(shown.zone, now),
        versions=_versions(shown),
        marks=marks,
        days=_days(written),
    )


def mend(body: Body, now: datetime) -> Body:
    """The body with those days written anew that have changed, or that the window moved over."""
    shown, versions, today = body.shown, _versions(body.shown), events.today(body.shown.zone, now)
    changed = {who for who in versions if versions[who] != body.versions.get(who)}
    if today != body.today:
        changed = set(versions)
    if not changed:
        return body
    where = events.within(shown, now)
    found = events.marks(shown, [*where, Appointment.clinician_id.in_(changed)])
    marks = body.marks | {who: found.get(who, {}) for who in changed}
    dirty = {
        day for who in changed for day, _ in marks[who].items() ^ body.marks.get(who, {}).items()
    }
    if len(dirty) > MANY_DAYS:
        return write(shown, now)
    days = {day: text for day, text in body.days.items() if day not in dirty}
    for day in dirty:
        near = events.write(shown, [*where, *events.around(day)])
        days |= _days([event for event in near if event.day == day])
    return Body(shown, today, versions, marks, days)


def _days(written: Iterable[Written]) -> dict[str, bytes]:
    return {
        day: "".join(event.text for event in of_day).encode()
        for day, of_day in groupby(written, attrgetter("day"))
    }


def _versions(shown: Shown) -> Versions:
    wanted = select(Calendar.clinician_id, Calendar.version, Calendar.changed_at)
    if shown.clinician_id is not None:
        wanted = wanted.where(Calendar.clinician_id == shown.clinician_id)
    found = db.session.execute(wanted)
    return {who: (version, at) for who, version, at in found if who is not None}


Kept = TypeVar("Kept")


class Memory(Generic[Kept]):
    """What was last used, by its key, within a number of bytes; the least used goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Kept, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Kept | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: str, kept: Kept, size: int) -> None:
        with self._lock:
            self._drop(key)
            self._kept[key] = kept, size
            self._bytes += size
            while self._bytes > self._most:
                self._drop(next(iter(self._kept)))

    def forget(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._bytes -= self._kept.pop(key, (None, 0))[1]
