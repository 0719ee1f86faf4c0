"""How an imported event meets the schedule: new, changed, unchanged or cancelled."""

import hashlib
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from sync_ui import clock
from sync_ui.domain.event import GONE, HOME_VISIT, TELEHEALTH, Status
from sync_ui.domain.reading import Entry, Occurrence
from sync_ui.models import Appointment, Series
from sync_ui.services import appointments, calendars, practice, series
from sync_ui.services.appointments import Plan
from sync_ui.services.series import as_wall
from sync_ui.services.titles import Register, Titles

# What becomes of a series of which only one turn is left.
ONCE = "FREQ=DAILY;COUNT=1"

_ONLINE = ("http://", "https://", "zoom", "telehealth", "video", "online", "teams", "google meet")


class Outcome(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CANCELLED = "cancelled"


class Merge:
    """One import into one clinician's schedule, in the transaction under way."""

    def __init__(self, session: Session, clinician_id: int, titles: Titles) -> None:
        self._session = session
        self._clinician_id = clinician_id
        self._register = Register(session, clinician_id, titles)
        self._places = {name.casefold(): name for name in practice.location_names()}
        self._zone = practice.get(session).zone
        self._until = series.horizon()
        self._since = clock.now() - series.BACK
        self._load()
        self.titles = titles
        self.changed = False

    @cached_property
    def at(self) -> datetime:
        """The moment of the change, taken only if there is one."""
        return calendars.stamp(self._session)

    @property
    def new_clients(self) -> int:
        return self._register.new_clients

    def take(self, entry: Entry) -> tuple[Outcome, Plan, int]:
        """Bring one event in; tells what happened, to which plan, in how many appointments.

        Raises Invalid with the reason for the event's line.
        """
        plan = self._plan(entry)
        appointments.check(plan)
        known = self._series.get(entry.key)
        if entry.rule or entry.occurrences or entry.additions or known is not None:
            outcome, turns = self._take_series(entry, plan, known)
        else:
            outcome, turns = self._take_single(entry.key, plan), 1
        self.changed = self.changed or outcome is not Outcome.UNCHANGED
        return outcome, plan, turns

    def finish(self) -> None:
        self._session.flush()

    def _load(self) -> None:
        """What earlier imports made; read once, not for each event."""
        own = Appointment.clinician_id == self._clinician_id
        imported = select(Appointment).where(own).options(selectinload(Appointment.attendance))
        self._single = {
            found.import_key: found
            for found in self._session.scalars(imported.where(Appointment.import_key.is_not(None)))
        }
        self._turns: defaultdict[int, dict[str, Appointment]] = defaultdict(dict)
        for turn in self._session.scalars(imported.where(Appointment.series_id.is_not(None))):
            assert turn.series_id is not None
            self._turns[turn.series_id][turn.occurrence or ""] = turn
        of_clinician = select(Series).where(Series.clinician_id == self._clinician_id)
        self._series = {found.import_key: found for found in self._session.scalars(of_clinician)}

    def _plan(self, entry: Entry) -> Plan:
        attending, kind = self._register.attending(entry)
        location, note = self._place(entry.location, entry.note)
        return Plan(
            starts=as_wall(entry.starts),
            ends=as_wall(entry.ends),
            zone=entry.zone,
            clients=attending,
            kind=kind,
            title="" if attending else entry.title[:200],
            location=location,
            note=note[:5000],
            all_day=not isinstance(entry.starts, datetime),
            status=entry.status,
        )

    def _place(self, location: str, note: str) -> tuple[str, str]:
        """A place that the practice does not know may be a client's home: it stays in the note."""
        text = " ".join(location.split())
        if not text:
            return "", note
        if text.casefold() in self._places:
            return self._places[text.casefold()], note
        if any(word in text.casefold() for word in _ONLINE):
            return TELEHEALTH, f"{note}\n{text}".strip()
        if text.casefold() in {"home", "client's home", "home visit"}:
            return HOME_VISIT, note
        return "", f"{note}\nLocation: {text}".strip()

    def _take_single(self, key: str, plan: Plan) -> Outcome:
        found = self._single.get(key)
        if found is None:
            added = appointments.add(self._session, self._clinician_id, plan, self.at)
            added.import_key, added.import_digest = key, digest(plan)
            self._single[key] = added
            return Outcome.NEW
        return self._update(found, plan)

    def _update(self, found: Appointment, plan: Plan) -> Outcome:
        """Only what the file has changed since it was last read; edits made here stay."""
        if found.import_digest == digest(plan):
            return Outcome.UNCHANGED
        cancelled = plan.status in GONE and found.status not in GONE
        kept = found.status if found.status in GONE else plan.status
        appointments.fill(self._session, found, replace(plan, status=kept), self.at)
        found.import_digest = digest(plan)
        return Outcome.CANCELLED if cancelled else Outcome.CHANGED

    def _take_series(self, entry: Entry, plan: Plan, found: Series | None) -> tuple[Outcome, int]:
        outcomes: set[Outcome] = set()
        if found is None:
            found = self._add_series(entry.key)
            outcomes.add(Outcome.NEW)
            self._adopt(entry.key, found, plan)
        self._describe(found, entry, plan)
        wanted = self._wanted(found, entry, plan)
        existing = self._turns[found.id]
        for name, turn in wanted.items():
            outcomes.add(self._take_turn(found, name, turn))
        for name, stored in existing.items():
            if name not in wanted and self._in_reach(stored) and stored.status not in GONE:
                gone = replace(self._plan_of(stored, plan), status=Status.CANCELLED)
                appointments.fill(self._session, stored, gone, self.at)
                stored.import_digest = None
                outcomes.add(Outcome.CANCELLED)
        return _together(outcomes), len(wanted)

    def _add_series(self, key: str) -> Series:
        added = Series(
            clinician_id=self._clinician_id, import_key=key, created_at=clock.now(), rule=ONCE
        )
        self._series[key] = added
        return added

    def _adopt(self, key: str, found: Series, plan: Plan) -> None:
        """A single event that has begun to repeat is the first turn of its series."""
        self._describe_minimally(found, plan)
        single = self._single.pop(key, None)
        if single is None:
            return
        name = series.name(plan.starts)
        single.series_id, single.occurrence, single.import_key = found.id, name, None
        self._turns[found.id][name] = single

    def _describe_minimally(self, found: Series, plan: Plan) -> None:
        found.kind, found.zone, found.all_day = plan.kind, plan.zone, plan.all_day
        found.starts_local, found.ends_local = plan.starts, plan.ends
        found.extended_until = self._until
        self._session.add(found)
        self._session.flush()

    def _describe(self, found: Series, entry: Entry, plan: Plan) -> None:
        cancelled = [turn.original for turn in entry.occurrences if turn.cancelled]
        found.rule = entry.rule or ONCE
        found.kind, found.title, found.location = plan.kind, plan.title, plan.location
        found.note, found.zone, found.all_day = plan.note, plan.zone, plan.all_day
        found.starts_local, found.ends_local = plan.starts, plan.ends
        found.exceptions = _names((*entry.exceptions, *cancelled))
        found.additions = _names(entry.additions)
        found.client_ids = [client.id for client in plan.clients]
        found.extended_until = max(self._until, found.extended_until)

    def _wanted(self, found: Series, entry: Entry, plan: Plan) -> dict[str, Plan]:
        """Each turn within reach, by the wall time of its rule; moved ones as they were moved."""
        if plan.status in GONE:
            return {}
        wanted = {
            series.name(wall): series.turn(plan, wall)
            for wall in series.walls(found, self._since, found.extended_until)
        }
        for moved in entry.occurrences:
            if not moved.cancelled:
                wanted[series.name(as_wall(moved.original))] = self._moved(entry, plan, moved)
        return wanted

    def _moved(self, entry: Entry, plan: Plan, moved: Occurrence) -> Plan:
        location, note = self._place(moved.location, moved.note)
        other = moved.title and moved.title != entry.title
        changed = replace(
            plan,
            starts=as_wall(moved.starts),
            ends=as_wall(moved.ends),
            zone=moved.zone,
            location=location,
            note=note[:5000],
            all_day=not isinstance(moved.starts, datetime),
        )
        if other:
            named = replace(entry, title=moved.title, clients=(), client_ids=())
            attending, kind = self._register.attending(named)
            title = "" if attending else moved.title[:200]
            changed = replace(changed, clients=attending, kind=kind, title=title)
        appointments.check(changed)
        return changed

    def _take_turn(self, found: Series, name: str, plan: Plan) -> Outcome:
        existing = self._turns[found.id].get(name)
        if existing is not None:
            return self._update(existing, plan)
        added = appointments.add(self._session, self._clinician_id, plan, self.at)
        added.series_id, added.occurrence, added.import_digest = found.id, name, digest(plan)
        self._turns[found.id][name] = added
        return Outcome.NEW

    def _in_reach(self, turn: Appointment) -> bool:
        return turn.starts_at >= self._since

    def _plan_of(self, turn: Appointment, plan: Plan) -> Plan:
        """The turn as it stands."""
        return replace(
            plan,
            starts=turn.starts_local,
            ends=turn.starts_local + (turn.ends_at - turn.starts_at),
            zone=turn.zone,
            clients=tuple(turn.clients),
            kind=turn.kind,
            type_id=turn.type_id,
            title=turn.title,
            location=turn.location,
            telehealth_address=turn.telehealth_address,
            note=turn.note,
            all_day=turn.all_day,
        )


def digest(plan: Plan) -> str:
    """What a file said of an appointment, to tell whether it says something else now."""
    clients = [client.id for client in plan.clients]
    facts = (plan.starts, plan.ends, plan.zone, clients, plan.kind, plan.title)
    rest = (plan.location, plan.note, plan.all_day, plan.status)
    return hashlib.sha256(repr((facts, rest)).encode()).hexdigest()


def _names(moments: tuple[datetime | date, ...]) -> list[str]:
    return sorted({series.name(as_wall(moment)) for moment in moments})


def _together(outcomes: set[Outcome]) -> Outcome:
    """A series as a whole: new if all of it is, changed if any of it is."""
    if Outcome.NEW in outcomes and not outcomes & {Outcome.CHANGED, Outcome.CANCELLED}:
        return Outcome.CHANGED if Outcome.UNCHANGED in outcomes else Outcome.NEW
    if outcomes == {Outcome.CANCELLED}:
        return Outcome.CANCELLED
    return Outcome.CHANGED if outcomes - {Outcome.UNCHANGED} else Outcome.UNCHANGED
