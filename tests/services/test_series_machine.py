"""Whatever is done to series in whatever order: the schedule is what a plain list says.

The list knows no rule: a series is all of its wall times up to the year 2032, as
dateutil finds them; it is shifted, cut and replaced as a list.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from flask import Flask
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select
from sqlalchemy.orm import selectinload

from sync_ui.domain.event import GONE, Status
from sync_ui.errors import Invalid
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Calendar,
    Change,
    Row,
    Series,
    db,
    transaction,
)
from sync_ui.services import appointments, changes, series
from sync_ui.services.access import COMMAND
from sync_ui.services.plans import Plan, plan_of
from sync_ui.services.series import Scope
from tests.practice import NOW, ZONE, Clock, Practice

LAST = datetime(2032, 1, 1)
SAID = ("clients", "title", "location", "note")
RISING = {"revision", "changed_at"}

# How often, or the last day; None for a series that does not end.
End = int | date | None


@dataclass
class Turn:
    """One appointment; `wall` is its place in its series."""

    starts: datetime
    length: timedelta
    clients: tuple[int, ...]
    title: str
    location: str
    note: str
    status: Status = Status.SCHEDULED
    own: set[str] = field(default_factory=set)
    of: "Listed | None" = None
    wall: datetime | None = None
    uid: str = ""

    def facts(self) -> tuple[object, ...]:
        said = (self.clients, self.title, self.location, self.note)
        return (self.starts, self.length, *said, self.status, sorted(self.own), self.wall)


@dataclass(eq=False)
class Listed:
    """A series: every wall time without an end, and how many of them count."""

    starts: datetime
    endless: list[datetime]
    number: int
    end: End
    said: dict[str, Any]
    length: timedelta
    until: datetime
    id: int = 0

    @property
    def walls(self) -> list[datetime]:
        return self.endless[: self.number]


def moment(wall: datetime) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


def on_the_wall(at: datetime) -> datetime:
    return at.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)


def endless(pattern: str, starts: datetime) -> list[datetime]:
    found = list(rrulestr(f"{pattern};UNTIL={LAST:%Y%m%dT%H%M%S}", dtstart=starts))
    return found if found[:1] == [starts] else [starts, *found]


def ended(walls: list[datetime], end: End) -> int:
    if isinstance(end, date):
        return sum(1 for wall in walls if wall.date() <= end)
    return len(walls) if end is None else end


def written(pattern: str, end: End) -> str:
    if isinstance(end, date):
        return f"{pattern};UNTIL={end:%Y%m%d}"
    return pattern if end is None else f"{pattern};COUNT={end}"


PATTERNS = st.sampled_from(
    [
        *["FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=TU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"],
        *["FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=DAILY;INTERVAL=5", "FREQ=DAILY;INTERVAL=9"],
    ]
)
ENDS = st.one_of(
    st.none(),
    st.integers(1, 7),
    st.integers(60, 120).map(lambda days: date(2026, 11, 23) + timedelta(days=days)),
)
# Few, so that one is met again and again.
WHICH = st.integers(0, 4)
HOURS = st.sampled_from([0, 0, 1, -2, 24, -24, 25, 72, -168])
FIELDS = st.sets(st.sampled_from([*SAID, "status", "length"]), max_size=2)


class Schedule(RuleBasedStateMachine):
    """Dr. Ünlü's schedule, and the list that it must equal."""

    practice: Practice
    now: Clock

    @initialize()
    def nothing_is_booked(self) -> None:
        self.now.set(NOW)
        with transaction() as session:
            for table in (AppointmentClient, Appointment, Series, Change):
                session.execute(delete(table))
        assert self.practice.unlu.clinician_id is not None
        self.clinician_id = self.practice.unlu.clinician_id
        self.turns: list[Turn] = []
        self.series: list[Listed] = []
        self.uids: set[str] = set()
        self.number = 0
        self.begin("FREQ=WEEKLY;BYDAY=MO,TH", 7, 0, 10)

    # what is done

    @precondition(lambda self: len(self.series) < 3)
    @rule(pattern=PATTERNS, end=ENDS, days=st.integers(-20, 40), hour=st.sampled_from([1, 2, 10]))
    def begin(self, pattern: str, end: End, days: int, hour: int) -> None:
        starts = datetime(2026, 11, 23, hour, 30) + timedelta(days=days)
        people = appointments.find_clients(db.session(), [self.practice.jane])
        plan = Plan(starts, starts + timedelta(minutes=50), ZONE, people)
        with self.a_change():
            made = series.create(
                self.practice.unlu, self.clinician_id, plan, written(pattern, end), despite="Agreed"
            )
        said = {"clients": (self.practice.jane,), "title": "", "location": "", "note": ""}
        self.list_series(pattern, end, starts, said, timedelta(minutes=50), made.id)

    @precondition(lambda self: self.turns)
    @rule(which=WHICH, hours=HOURS, fields=FIELDS)
    def change_one(self, which: int, hours: int, fields: set[str]) -> None:
        self.change(which, Scope.THIS, hours, fields)

    @precondition(lambda self: self.turns)
    @rule(which=WHICH, hours=HOURS, fields=FIELDS)
    def change_all(self, which: int, hours: int, fields: set[str]) -> None:
        self.change(which, Scope.ALL, hours, fields)

    @precondition(lambda self: self.turns)
    @rule(which=WHICH, hours=HOURS, fields=FIELDS)
    def change_following(self, which: int, hours: int, fields: set[str]) -> None:
        self.change(which, Scope.FOLLOWING, hours, fields)

    def change(self, which: int, scope: Scope, hours: int, fields: set[str]) -> None:
        turn = self.turn(which)
        wanted = self.wanted(turn, hours, fields)
        fields = {name for name, value in wanted.items() if value != self.says(turn)[name]}
        theirs = fields - {"status"}
        alone = turn.of is None or scope is Scope.THIS
        if not alone and scope is Scope.FOLLOWING and theirs and not self.can_cut(turn):
            self.refused(turn, wanted, scope, None)
            return
        self.submit(turn, wanted, scope, None, changes=bool(fields))
        if not fields:
            return
        if alone:
            self.say(turn, wanted, fields)
            turn.own = self.said_alone(turn, fields) if turn.of is not None else set()
        else:
            self.change_series(turn, wanted, scope, fields)

    @precondition(lambda self: any(turn.of for turn in self.turns))
    @rule(
        which=WHICH,
        scope=st.sampled_from([Scope.FOLLOWING, Scope.ALL]),
        pattern=PATTERNS,
        end=ENDS,
        fields=st.sampled_from([set(), {"title"}]),
    )
    def repeat(self, which: int, scope: Scope, pattern: str, end: End, fields: set[str]) -> None:
        turn = self.turn(which, in_series=True)
        of = turn.of
        assert of is not None
        assert turn.wall is not None
        wanted = self.wanted(turn, 0, fields)
        same = endless(pattern, of.starts) == of.endless and end == of.end
        if same:
            self.change(which=self.turns.index(turn), scope=scope, hours=0, fields=set())
            return
        cut = scope is Scope.FOLLOWING
        passed = sum(1 for wall in of.walls if wall < turn.wall) if cut else 0
        too_few = isinstance(end, int) and end <= passed
        begins = turn.wall if cut else of.starts
        over = isinstance(end, date) and end < begins.date()
        if (cut and (too_few or not self.can_cut(turn))) or over:
            self.refused(turn, wanted, scope, written(pattern, end))
            return
        self.submit(turn, wanted, scope, written(pattern, end))
        end = end - passed if isinstance(end, int) else end
        self.change_series(turn, wanted, scope, fields, (pattern, end))

    @precondition(lambda self: any(turn.of for turn in self.turns))
    @rule(which=WHICH, scope=st.sampled_from([Scope.FOLLOWING, Scope.ALL]))
    def repeat_no_more(self, which: int, scope: Scope) -> None:
        turn = self.turn(which, in_series=True)
        of = turn.of
        assert of is not None
        assert turn.wall is not None
        left = [wall for wall in of.walls if wall <= turn.wall]
        wanted = self.wanted(turn, 0, set())
        if not left:
            self.refused(turn, wanted, scope, "")
            return
        self.submit(turn, wanted, scope, "")
        self.cut_off(of, turn.wall + timedelta(seconds=1))
        self.sort_out(of, turn)
        self.complete(of)

    @precondition(lambda self: self.turns)
    @rule(which=WHICH, scope=st.sampled_from(Scope), late=st.booleans())
    def cancel(self, which: int, scope: Scope, late: bool) -> None:
        turn = self.turn(which)
        of, now = turn.of, self.now()
        shortened = False
        if of is None or scope is Scope.THIS:
            going = [turn] if of is None and turn.status not in GONE else []
            if scope is Scope.THIS:
                going = [turn] if turn.status not in GONE else []
            elif turn.status is not Status.SCHEDULED:
                going = []
        else:
            since = turn.wall if scope is Scope.FOLLOWING else datetime.min
            assert since is not None
            ahead = [
                each
                for each in self.members(of)
                if each.wall is not None and each.wall >= since and moment(each.starts) > now
            ]
            going = [each for each in ahead if each.status is Status.SCHEDULED]
            default = max(since, on_the_wall(now))
            before = of.number, of.end
            self.cut_off(of, min((each.wall or default for each in ahead), default=default))
            shortened = (of.number, of.end) != before
        with self.a_change(happens=bool(going) or shortened):
            number = series.cancel(self.practice.unlu, self.row(turn).id, scope, late=late)
        assert number == len(going)
        for each in going:
            late_one = late and each is turn
            each.status = Status.LATE_CANCELLED if late_one else Status.CANCELLED
            each.own |= {"status"} if each.of else set()

    @precondition(lambda self: any(turn.status in GONE for turn in self.turns))
    @rule(which=WHICH)
    def restore(self, which: int) -> None:
        gone = [turn for turn in self.turns if turn.status in GONE]
        turn = gone[which % len(gone)]
        with self.a_change():
            appointments.restore(self.practice.unlu, self.row(turn).id, despite="Agreed")
        turn.status = Status.SCHEDULED

    @precondition(lambda self: self.turns)
    @rule(
        which=WHICH,
        scope=st.sampled_from([Scope.FOLLOWING, Scope.ALL]),
        hours=HOURS,
        fields=FIELDS,
        new_rule=st.sampled_from([None, None, "", "FREQ=WEEKLY;COUNT=4", "FREQ=DAILY;INTERVAL=5"]),
        done=st.sampled_from(["changed", "cancelled", "handed over"]),
    )
    def take_back(
        self,
        which: int,
        scope: Scope,
        hours: int,
        fields: set[str],
        new_rule: str | None,
        done: str,
    ) -> None:
        """The list does not follow."""
        turn, sam = self.turn(which), self.practice.sam
        row, stored = self.row(turn), self.stored()
        plan = self.planned(row, self.wanted(turn, hours, fields))
        if done == "changed":
            with suppress(Invalid):
                series.change(sam, row.id, plan, scope, rule=new_rule, despite="Agreed")
        elif done == "cancelled":
            series.cancel(sam, row.id, scope)
        else:
            to = self.practice.anna.clinician_id
            appointments.change(sam, row.id, plan, clinician_id=to, despite="Agreed")
        if self.stored() != stored:
            change_id = changes.latest(sam, self.row(turn).id)
            assert change_id is not None
            with self.a_change():
                changes.undo(sam, change_id)
        assert self.stored() == stored

    @rule(days=st.sampled_from([0.3, 3, 12]))
    def wait(self, days: float) -> None:
        self.now.move(days=days)
        horizon = self.now() + series.AHEAD
        added = 0
        for of in self.series:
            if of.until < horizon - timedelta(days=1):
                after, of.until = of.until, horizon
                added += self.complete(of, after)
        assert series.extend(COMMAND) == added

    # what must hold

    @invariant()
    def the_schedule_is_the_list(self) -> None:
        db.session.rollback()
        rows = {row.uid: row for row in db.session.scalars(select(Appointment).options(WITH))}
        places = {(row.series_id, row.occurrence): row.uid for row in rows.values()}
        for turn in self.turns:
            if not turn.uid:
                assert turn.of is not None
                assert turn.wall is not None
                turn.uid = places[turn.of.id, turn.wall.isoformat()]
                assert turn.uid not in self.uids  # no UID comes a second time
                self.uids.add(turn.uid)
        listed = {turn.uid: (turn.of and turn.of.id, *turn.facts()) for turn in self.turns}
        assert {uid: (row.series_id, *facts_of(row)) for uid, row in rows.items()} == listed

    # how the list follows

    def change_series(
        self,
        turn: Turn,
        wanted: dict[str, Any],
        scope: Scope,
        fields: set[str],
        repeat: tuple[str, End] | None = None,
    ) -> None:
        of, theirs = turn.of, fields - {"status"}
        assert of is not None
        assert turn.wall is not None
        if scope is Scope.FOLLOWING and (theirs or repeat):
            of = self.cut(of, turn.wall)
            of.id = self.row(turn).series_id or 0
        turn.own -= theirs
        if "time" in fields:
            self.shift(of, turn, *wanted["time"])
        for each in self.members(of):
            free = theirs - {"time"} - (set() if each is turn else each.own)
            self.say(each, wanted, free)
        of.said |= {name: wanted[name] for name in theirs & set(SAID)}
        if "status" in fields:
            turn.status = wanted["status"]
            turn.own |= {"status"}
        if repeat:
            of.endless = endless(repeat[0], of.starts)
            of.end, of.number = repeat[1], ended(of.endless, repeat[1])
            self.sort_out(of, turn)
        self.complete(of)

    def list_series(
        self,
        pattern: str,
        end: End,
        starts: datetime,
        said: dict[str, Any],
        length: timedelta,
        series_id: int,
    ) -> None:
        walls = endless(pattern, starts)
        until = max(self.now() + series.AHEAD, moment(starts) + timedelta(seconds=1))
        of = Listed(starts, walls, ended(walls, end), end, said, length, until, series_id)
        self.series.append(of)
        self.complete(of, moment(starts) - timedelta(days=1))

    def cut(self, of: Listed, wall: datetime) -> Listed:
        earlier = [each for each in self.members(of) if each.wall and each.wall < wall]
        if not earlier and not [each for each in of.walls if each < wall]:
            return of
        later = [each for each in of.endless if each >= wall]
        number = sum(1 for each in of.walls if each >= wall)
        end = number if isinstance(of.end, int) else of.end
        if not number:  # the series was over
            later, number, end = [wall], 1, 1
        rest = replace(of, starts=wall, endless=later, number=number, end=end, said={**of.said})
        self.cut_off(of, wall)
        for each in self.members(of):
            if each not in earlier:
                each.of = rest
        self.series.append(rest)
        return rest

    def cut_off(self, of: Listed, wall: datetime) -> None:
        """The series ends before this wall time."""
        of.number = sum(1 for each in of.walls if each < wall)
        over = of.starts.date() - timedelta(days=1)
        last = of.walls[-1].date() if of.walls else over
        of.end = of.number if isinstance(of.end, int) and of.walls else last

    def can_cut(self, turn: Turn) -> bool:
        assert turn.of is not None
        assert turn.wall is not None
        return turn.wall in turn.of.walls or all(wall < turn.wall for wall in turn.of.walls)

    def shift(self, of: Listed, turn: Turn, starts: datetime, length: timedelta) -> None:
        assert turn.wall is not None
        by = starts - turn.wall
        of.starts, of.length = of.starts + by, length
        of.endless = [wall + by for wall in of.endless]
        if isinstance(of.end, date):
            over = of.starts.date() - timedelta(days=1)
            of.end = of.walls[-1].date() if of.walls else over
        for each in self.members(of):
            assert each.wall is not None
            each.wall += by
            if each is turn or "time" not in each.own:
                each.starts, each.length = each.wall, length

    def sort_out(self, of: Listed, turn: Turn) -> None:
        """What the list of walls holds no more: gone, or on its own."""
        for each in self.members(of):
            if each.wall in of.walls:
                continue
            plain = each.status is Status.SCHEDULED and not each.own
            if plain and each is not turn and moment(each.starts) > self.now():
                self.turns.remove(each)
            else:
                each.of, each.wall, each.own = None, None, set()

    def complete(self, of: Listed, after: datetime | None = None) -> int:
        of.until = max(of.until, self.now() + series.AHEAD)
        first, last = on_the_wall(after or self.now()), on_the_wall(of.until)
        known = {each.wall for each in self.members(of)}
        missing = [wall for wall in of.walls if first <= wall < last and wall not in known]
        self.turns += [Turn(wall, of.length, **of.said, of=of, wall=wall) for wall in missing]
        return len(missing)

    # small words

    def members(self, of: Listed) -> list[Turn]:
        return [turn for turn in self.turns if turn.of is of]

    def turn(self, which: int, *, in_series: bool = False) -> Turn:
        turns = [turn for turn in self.turns if turn.of or not in_series]
        return turns[which % len(turns)]

    def says(self, turn: Turn) -> dict[str, Any]:
        said = {name: getattr(turn, name) for name in (*SAID, "status")}
        return said | {"time": (turn.starts, turn.length)}

    def said_alone(self, turn: Turn, fields: set[str]) -> set[str]:
        """What was, and of these fields those in which it is not as its series."""
        of = turn.of
        assert of is not None
        theirs = of.said | {"time": (turn.wall, of.length), "status": Status.SCHEDULED}
        says = self.says(turn)
        return turn.own - fields | {name for name in fields if says[name] != theirs[name]}

    def wanted(self, turn: Turn, hours: int, fields: set[str]) -> dict[str, Any]:
        """Something new for each of these fields."""
        wanted, jane, mark = self.says(turn), self.practice.jane, self.practice.mark
        self.number += 1
        new = {
            "title": f"Title {self.number}",
            "note": f"Note {self.number}",
            "location": "Room 2" if turn.location != "Room 2" else "Main office",
            "clients": (jane, mark) if turn.clients == (jane,) else (jane,),
            "status": Status.NO_SHOW if turn.status is Status.SCHEDULED else Status.SCHEDULED,
        }
        length = timedelta(minutes=130) - turn.length if "length" in fields else turn.length
        wanted["time"] = (turn.starts + timedelta(hours=hours), length)
        return wanted | {name: new[name] for name in fields & new.keys()}

    def say(self, turn: Turn, wanted: dict[str, Any], fields: set[str]) -> None:
        for name in fields - {"time"}:
            setattr(turn, name, wanted[name])
        if "time" in fields:
            turn.starts, turn.length = wanted["time"]

    def row(self, turn: Turn) -> Appointment:
        db.session.rollback()
        return db.session.scalars(select(Appointment).where(Appointment.uid == turn.uid)).one()

    def submit(
        self,
        turn: Turn,
        wanted: dict[str, Any],
        scope: Scope,
        new_rule: str | None,
        *,
        changes: bool = True,
    ) -> None:
        row = self.row(turn)
        plan = self.planned(row, wanted)
        with self.a_change(happens=changes):
            series.change(self.practice.unlu, row.id, plan, scope, rule=new_rule, despite="Agreed")

    def planned(self, row: Appointment, wanted: dict[str, Any]) -> Plan:
        starts, length = wanted["time"]
        return replace(
            plan_of(row),
            starts=starts,
            ends=starts + length,
            clients=appointments.find_clients(db.session(), wanted["clients"]),
            **{name: wanted[name] for name in ("title", "location", "note", "status")},
        )

    def stored(self) -> list[list[str]]:
        """All but what rises."""
        db.session.rollback()
        found = []
        for model in (Series, Appointment, AppointmentClient):
            table = Row.metadata.tables[model.__tablename__]
            columns = [each for each in table.columns if each.name not in RISING]
            found.append(sorted(map(repr, db.session.execute(select(*columns)))))
        return found

    def refused(
        self, turn: Turn, wanted: dict[str, Any], scope: Scope, new_rule: str | None
    ) -> None:
        with pytest.raises(Invalid):
            self.submit(turn, wanted, scope, new_rule, changes=False)

    @contextmanager
    def a_change(self, *, happens: bool = True) -> Iterator[None]:
        """Every feed that shows it has a new version, and none has if nothing changed."""
        before = self.versions()
        yield
        assert [old < new for old, new in zip(before, self.versions(), strict=True)] == [
            happens
        ] * 2

    def versions(self) -> list[int]:
        db.session.rollback()
        key = int(self.practice.unlus_calendar)
        shows = (Calendar.id == key) | Calendar.clinician_id.is_(None)
        return list(db.session.scalars(select(Calendar.version).where(shows).order_by(Calendar.id)))


WITH = selectinload(Appointment.attendance)


def facts_of(row: Appointment) -> tuple[object, ...]:
    clients = tuple(attendance.client_id for attendance in row.attendance)
    wall = datetime.fromisoformat(row.occurrence) if row.occurrence else None
    length = row.ends_at - row.starts_at
    assert row.starts_at == moment(row.starts_local)
    said = (clients, row.title, row.location, row.note)
    return (row.starts_local, length, *said, row.status, sorted(row.own), wall)


def test_series_are_what_a_plain_list_says(
    app: Flask, practice: Practice, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "AHEAD", timedelta(days=50))

    class OnThisDatabase(Schedule):
        pass

    OnThisDatabase.practice, OnThisDatabase.now = practice, now
    examples = max(10, settings().max_examples // 8)
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(max_examples=examples, stateful_step_count=15, deadline=None),
    )
