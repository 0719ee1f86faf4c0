"""How an imported series meets the schedule: turn by turn, and only if the file has changed it.

A series that people have split or moved here is theirs: it is left alone.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sync_ui import clock
from sync_ui.domain import recurrence, rules
from sync_ui.domain.event import GONE
from sync_ui.domain.reading import Entry, Occurrence
from sync_ui.domain.series import Pattern, as_wall
from sync_ui.services import drafts, series, turns
from sync_ui.services.comparison import Desk, Outcome, Result, checked
from sync_ui.services.drafts import Addition, Draft, SeriesChange, short_digest

# What becomes of a series of which only one turn is left.
ONCE = "FREQ=DAILY;COUNT=1"

_FORMAT = "2:"


@dataclass(frozen=True, slots=True)
class Told:
    """A series as the file has it; `moved` are its turns that differ, by the rule's wall time."""

    entry: Entry
    draft: Draft
    moved: dict[str, Draft]
    exceptions: list[str]
    additions: list[str]

    @property
    def columns(self) -> dict[str, Any]:
        plan = self.draft.plan
        return {
            "rule": self._rule(),
            "kind": plan.kind,
            "title": plan.title,
            "location": plan.location,
            "note": plan.note,
            "zone": plan.zone,
            "all_day": plan.all_day,
            "starts_local": plan.starts,
            "ends_local": plan.ends,
            "exceptions": self.exceptions,
            "additions": self.additions,
        }

    def said(self) -> str:
        """A digest of all that the file says; new clients count once they have an id."""
        entry = replace(self.entry, line=0, key="", occurrences=())
        occurrences = [replace(each, line=0) for each in self.entry.occurrences]
        drafts_ = (self.draft, *self.moved.values())
        people = [[person.id for person in draft.people] for draft in drafts_]
        kinds = [draft.plan.kind.value for draft in drafts_]
        return short_digest((entry, sorted(map(repr, occurrences)), people, kinds))

    def digest(self, columns: dict[str, Any]) -> str:
        """What was said, what of it by groups, and the timing that people may change."""
        said = drafts.digest(self.draft).removeprefix(_FORMAT)
        return f"{_FORMAT}{self.said()}:{said}:{_timing(columns)}"

    def _rule(self) -> str:
        """That of a cancelled series is over before it begins, so that it grows no turns."""
        rule = self.entry.rule or ONCE
        if self.draft.plan.status not in GONE:
            return rule
        return rules.ended(rule, last=self.draft.plan.starts.date() - timedelta(days=1))


class Recurring:
    """The series of one file against those of one clinician."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._until = series.horizon()
        self._since = clock.now() - series.BACK

    def is_one(self, entry: Entry) -> bool:
        repeats = bool(entry.rule or entry.occurrences or entry.additions)
        return repeats or entry.key in self._desk.known.series

    def take(self, entry: Entry, draft: Draft) -> Result:
        """Raises Invalid with the reason for the event's line."""
        stored = self._desk.known.series.get(entry.key)
        told = self._told(entry, draft)
        if stored is None:
            return self._add(told)
        if is_theirs(stored) or _parts(stored.import_digest)[0] == told.said():
            return Result(Outcome.UNCHANGED, draft, turns=self._reached(told, stored))
        return self._change(told, stored)

    def _told(self, entry: Entry, draft: Draft) -> Told:
        cancelled = [turn.original for turn in entry.occurrences if turn.cancelled]
        moved = {
            turns.name(as_wall(turn.original)): self._moved(entry, draft, turn)
            for turn in entry.occurrences
            if not turn.cancelled
        }
        exceptions = _names((*entry.exceptions, *cancelled))
        return Told(entry, draft, moved, exceptions, _names(entry.additions))

    def _moved(self, entry: Entry, draft: Draft, moved: Occurrence) -> Draft:
        desk = self._desk
        location, note = desk.place(moved.location, moved.note)
        plan = replace(
            draft.plan,
            starts=as_wall(moved.starts),
            ends=as_wall(moved.ends),
            zone=moved.zone,
            location=location,
            note=note[:5000],
            all_day=not isinstance(moved.starts, datetime),
        )
        people = draft.people
        if moved.title and moved.title != entry.title:
            named = replace(entry, title=moved.title, clients=(), client_ids=())
            people, kind = desk.register.attending(named)
            plan = replace(plan, kind=kind, title="" if people else moved.title[:200])
        return checked(plan, people)

    def _add(self, told: Told) -> Result:
        """A single event that has begun to repeat is the first turn of its series."""
        change = self._described(told, self._until)
        change.values |= {"import_key": told.entry.key}
        wanted = self._wanted(told, self._until)
        single = self._desk.known.singles.pop(told.entry.key, None)
        outcomes = {Outcome.NEW}
        for name, draft in wanted.items():
            if single is not None and name == turns.name(told.draft.plan.starts):
                outcomes.add(self._adopt(single.id, name, draft, change))
                single = None
            else:
                self._desk.changes.additions.append(Addition(draft, series=change, occurrence=name))
        if single is not None:
            self._let_go(single.id, told, change)
        return Result(_together(outcomes), told.draft, turns=len(wanted))

    def _adopt(self, row_id: int, name: str, draft: Draft, change: SeriesChange) -> Outcome:
        stored = self._desk.known.details([row_id])[row_id]
        groups = drafts.changed_groups(draft, stored.import_digest)
        outcome = self._desk.update(stored, draft, groups, change).outcome
        self._desk.changes.updates[row_id].values |= {"occurrence": name, "import_key": None}
        return outcome

    def _let_go(self, row_id: int, told: Told, change: SeriesChange) -> None:
        """The first turn is no turn (an exception, or long past): it is cancelled."""
        name = turns.name(told.draft.plan.starts)
        stored = self._desk.known.details([row_id])[row_id]
        if stored.status not in GONE and stored.starts_at >= self._since:
            self._desk.cancel(stored)
        else:
            self._desk.update(stored, told.draft, ())
        update = self._desk.changes.updates[row_id]
        update.series = change
        update.values |= {"occurrence": name, "import_key": None}

    def _change(self, told: Told, stored: Any) -> Result:
        until = max(self._until, stored.extended_until)
        existing = self._desk.known.turns(stored.id)
        made_here = _made_here(stored, existing) - told.moved.keys()
        told = replace(told, exceptions=sorted({*told.exceptions, *made_here}))
        _leave_theirs(self._described(told, until), told, stored)
        wanted = self._wanted(told, until)
        change = self._desk.changes.series[-1]
        outcomes: set[Outcome] = set()
        said: set[str] = set()
        for name, draft in wanted.items():
            found = self._take_turn(existing.get(name), name, draft, change)
            outcomes.add(found.outcome)
            said.update(found.said)
        for name, turn in existing.items():
            if name not in wanted and turn.starts_at >= self._since and turn.status not in GONE:
                self._desk.cancel(turn)
                outcomes.add(Outcome.CANCELLED)
        return Result(_together(outcomes), told.draft, len(wanted), tuple(sorted(said)))

    def _take_turn(self, stored: Any, name: str, draft: Draft, change: SeriesChange) -> Result:
        if stored is None:
            self._desk.changes.additions.append(Addition(draft, series=change, occurrence=name))
            return Result(Outcome.NEW, draft)
        groups = drafts.changed_groups(draft, stored.import_digest)
        if not groups:
            return Result(Outcome.UNCHANGED, draft)
        return self._desk.update(stored, draft, groups)

    def _described(self, told: Told, until: datetime) -> SeriesChange:
        change = SeriesChange(
            {**told.columns, "extended_until": until}, told.draft.people, told.digest
        )
        self._desk.changes.series.append(change)
        return change

    def _wanted(self, told: Told, until: datetime) -> dict[str, Draft]:
        """Each turn within reach, by the wall time of its rule; moved ones as they were moved."""
        plan = told.draft.plan
        if plan.status in GONE:
            return {}
        length = plan.ends - plan.starts
        wanted = {
            turns.name(wall): checked(
                replace(plan, starts=wall, ends=wall + length), told.draft.people
            )
            for wall in _walls(told, self._since, until)
        }
        wanted |= told.moved
        for draft in wanted.values():
            self._desk.reach(draft.starts_at, draft.starts_at)
        return wanted

    def _reached(self, told: Told, stored: Any) -> int:
        """The days of which an unchanged series speaks; returns how many turns it has."""
        if told.draft.plan.status in GONE:
            return 0
        walls = _walls(told, self._since, stored.extended_until)
        zone = told.draft.plan.zone
        for wall in (*walls[:1], *walls[-1:]):
            moment = recurrence.in_utc(wall, zone)
            self._desk.reach(moment, moment)
        return len({turns.name(wall) for wall in walls} | told.moved.keys())


def pattern(columns: Any) -> Pattern:
    """When a stored series takes place."""
    return Pattern(
        rule=columns.rule,
        starts=columns.starts_local,
        zone=columns.zone,
        all_day=columns.all_day,
        exceptions=tuple(map(datetime.fromisoformat, columns.exceptions)),
        additions=tuple(map(datetime.fromisoformat, columns.additions)),
    )


def _walls(told: Told, after: datetime, before: datetime) -> list[datetime]:
    plan = told.draft.plan
    zone = ZoneInfo(plan.zone)
    first, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in (after, before))
    taken = Pattern(
        rule=told.entry.rule or ONCE,
        starts=plan.starts,
        zone=plan.zone,
        all_day=plan.all_day,
        exceptions=tuple(map(datetime.fromisoformat, told.exceptions)),
        additions=tuple(map(datetime.fromisoformat, told.additions)),
    )
    return taken.walls(first, end)


def _timing(columns: dict[str, Any]) -> str:
    length: timedelta = columns["ends_local"] - columns["starts_local"]
    facts = (columns["rule"], columns["starts_local"], length, columns["zone"])
    return short_digest((*facts, columns["all_day"], columns["additions"]))


def is_theirs(stored: Any) -> bool:
    """Whether people have split or moved the series since its file was last read."""
    timing = _parts(stored.import_digest)[2]
    return bool(timing) and timing != _timing(stored._mapping)  # noqa: SLF001 - it is public


def _parts(digest: str | None) -> tuple[str, str, str]:
    """What `Told.digest` put together: said, by groups, timing."""
    if not digest or not digest.startswith(_FORMAT):
        return "", "", ""
    said, groups, timing = digest.removeprefix(_FORMAT).split(":")
    return said, groups, timing


def _leave_theirs(change: SeriesChange, told: Told, stored: Any) -> None:
    """Of what the series is, the file changes only what it says anew."""
    change.id = stored.id
    groups = _parts(stored.import_digest)[1]
    if not groups:
        return
    anew = drafts.changed_groups(told.draft, _FORMAT + groups)
    for group, columns in _DESCRIBED.items():
        for column in columns if group not in anew else ():
            del change.values[column]
    if drafts.PEOPLE not in anew:
        change.people = None


_DESCRIBED = {
    drafts.WHAT: ("kind", "title"),
    drafts.PLACE: ("location",),
    drafts.NOTE: ("note",),
}


def _made_here(stored: Any, existing: dict[str, Any]) -> set[str]:
    """Turns that left the series here, to another clinician say, do not come back."""
    by_file = {name for name, turn in existing.items() if drafts.said_gone(turn.import_digest)}
    return set(stored.exceptions) - by_file


def _names(moments: tuple[datetime | date, ...]) -> list[str]:
    return sorted({turns.name(as_wall(moment)) for moment in moments})


def _together(outcomes: set[Outcome]) -> Outcome:
    """A series as a whole: new if all of it is, changed if any of it is."""
    if Outcome.NEW in outcomes and not outcomes & {Outcome.CHANGED, Outcome.CANCELLED}:
        return Outcome.CHANGED if Outcome.UNCHANGED in outcomes else Outcome.NEW
    if outcomes == {Outcome.CANCELLED}:
        return Outcome.CANCELLED
    return Outcome.CHANGED if outcomes - {Outcome.UNCHANGED} else Outcome.UNCHANGED
