"""The text of feeds, kept in memory by days: after a change only its days are written anew."""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from threading import Lock
from typing import Generic, Self, TypeVar

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

# What an event costs in memory beside its text.
AN_ENTRY = 200

# Beyond so many days it is quicker to write everything.
MANY_DAYS = 40


@dataclass(frozen=True, slots=True)
class Day:
    """The events of one day, in order, and which bytes of the text are whose.

    `entries` are (order, UID, clinician, number of bytes).
    """

    entries: tuple[tuple[str, str, int, int], ...]
    text: bytes

    @classmethod
    def of(cls, written: Sequence[Written]) -> Self:
        entries = ((e.order, e.uid, e.clinician_id, len(e.text)) for e in written)
        return cls(tuple(entries), b"".join(e.text for e in written))

    def without(self, clinician_ids: Collection[int]) -> Iterator[Written]:
        start = 0
        for order, uid, clinician_id, size in self.entries:
            if clinician_id not in clinician_ids:
                yield Written(order, uid, clinician_id, 0, self.text[start : start + size])
            start += size


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
    days: dict[str, Day]

    @property
    def size(self) -> int:
        """In bytes, more or less."""
        return sum(len(day.text) + AN_ENTRY * len(day.entries) for day in self.days.values())

    def pieces(self, head: bytes) -> tuple[bytes, ...]:
        """The whole feed, to be sent one after the other."""
        days = (self.days[day].text for day in sorted(self.days))
        whole = (head, *days, ics_write.END.encode())
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
        days={day: Day.of([*of_day]) for day, of_day in groupby(written, attrgetter("day"))},
    )


def mend(body: Body, now: datetime) -> Body:
    """The body with written anew what has changed, and what the window moved over."""
    shown, versions, today = body.shown, _versions(body.shown), events.today(body.shown.zone, now)
    changed = {who for who in versions if versions[who] != body.versions.get(who)}
    if today != body.today:
        changed = set(versions)
    if not changed:
        return body
    where = events.within(shown, now)
    found = events.marks(shown, [*where, Appointment.clinician_id.in_(changed)])
    marks = body.marks | {who: found.get(who, {}) for who in changed}
    dirty = defaultdict(set)
    for who in changed:
        for day, _ in marks[who].items() ^ body.marks.get(who, {}).items():
            dirty[day].add(who)
    if len(dirty) > MANY_DAYS:
        return write(shown, now)
    days = dict(body.days)
    for day, whose in dirty.items():
        theirs = [*where, *events.around(day), Appointment.clinician_id.in_(whose)]
        fresh = [event for event in events.write(shown, theirs) if event.day == day]
        kept = days.pop(day).without(whose) if day in days else ()
        if together := sorted([*kept, *fresh]):
            days[day] = Day.of(together)
    return Body(shown, today, versions, marks, days)


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
