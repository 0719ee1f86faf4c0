"""Series: repeating rules, kept as appointments a year ahead."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import recurrence, repeat, rules
from sync_ui.domain.event import GONE, Status
from sync_ui.domain.recurrence import on_the_wall
from sync_ui.domain.series import Pattern
from sync_ui.errors import Invalid
from sync_ui.models import Appointment, Series, transaction
from sync_ui.services import access, appointments, calendars, changes, clashes, clients, turns
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.plans import Plan, check, moments, plan_of
from sync_ui.services.practice import one_line
from sync_ui.services.turns import Field, Turns, name

AHEAD = timedelta(days=366)

# How far back a series is kept as appointments.
BACK = timedelta(days=366)

# What takes another time, person or room than before; a new note does not.
_TAKING = frozenset({Field.TIME, Field.CLIENTS, Field.LOCATION, Field.KIND})


class Scope(StrEnum):
    """How much of a series a change is meant for."""

    THIS = "this"
    FOLLOWING = "following"
    ALL = "all"


def create(
    actor: Actor, clinician_id: int, plan: Plan, rule: str, *, despite: str | None = None
) -> Series:
    """The series is in the schedule, from its start to a year ahead.

    `rule` is an RRULE value; `plan` is the first turn, whether the rule falls on it or
    not. `despite` says why, if a time is taken. Raises NotFound, Invalid, Conflict, Clashing.
    """
    plan = replace(turns.tidy(plan), status=Status.SCHEDULED)
    check(plan)
    pattern = _pattern(plan, rule)
    with transaction() as session:
        appointments.refuse_archived(actor, clinician_id)
        appointments.refuse_past_choices(session, plan)
        at = _stamp(session, clinician_id, plan)
        begun = _begin(session, clinician_id, plan, pattern, at)
        _refuse_clashes(actor, clinician_id, begun.made, despite)
        calendars.raise_versions(session, {clinician_id}, at)
        subject, count = f"series:{begun.series.id}", len(begun.made)
        record(session, actor, Action.SERIES_CREATED, subject, appointments=count)
    return begun.series


def change(
    actor: Actor,
    appointment_id: int,
    plan: Plan,
    scope: Scope,
    *,
    rule: str | None = None,
    revision: int | None = None,
    despite: str | None = None,
) -> Appointment:
    """The appointment is so from now on, and so are the others of its series in `scope`.

    Only what the plan changes is changed in the others, unless they say something
    else of their own. A new time moves them along, the past ones too; cancelled ones
    stay cancelled. The status is said of this one alone. A `rule` replaces the repeat
    of the series: "" ends it with this appointment, None leaves it. Its COUNT is that
    of the whole series as it stands. One that stands alone becomes the first turn of
    a series. `revision` and `despite` are as in `appointments.change`.

    Raises NotFound, Invalid, Overtaken, Clashing.
    """
    plan = turns.tidy(plan)
    check(plan, kept_location=access.appointment(actor, appointment_id).location)
    widely = bool(rule) or scope is not Scope.THIS
    with (
        transaction() as session,
        changes.kept(session, actor, appointment_id, when=widely),
    ):
        edited = access.appointment(actor, appointment_id)
        appointments.refuse_overtaken(edited, revision)
        appointments.refuse_past_choices(session, plan, edited)
        fields = turns.differing(edited, plan)
        new_rule = _new_rule(session, edited, rule, scope)
        if not fields and new_rule is None:
            return edited
        at = _stamp(session, edited.clinician_id, plan)
        if edited.series_id is None or scope is Scope.THIS:
            _change_this(session, edited, plan, fields, at)
            turned = None
            if new_rule:
                pattern = _pattern(plan, new_rule)
                turned = _begin(session, edited.clinician_id, plan, pattern, at, edited)
        else:
            turned = Turns(session, session.get_one(Series, edited.series_id), at)
            turned = _change_turns(turned, edited, plan, fields, new_rule, scope)
        touched = {edited.id: edited} | (turned.touched if turned else {})
        made = turned.made if turned else []
        _refuse_clashes(
            actor, edited.clinician_id, touched.values() if fields & _TAKING else made, despite
        )
        calendars.raise_versions(session, {edited.clinician_id}, at)
        if turned is None:
            record(session, actor, Action.APPOINTMENT_CHANGED, f"appointment:{appointment_id}")
        else:
            subject = f"series:{turned.series.id}"
            count = {"appointments": len(touched), "removed": turned.removed}
            record(session, actor, Action.SERIES_CHANGED, subject, scope=scope.value, **count)
    return edited


def cancel(
    actor: Actor,
    appointment_id: int,
    scope: Scope,
    *,
    late: bool = False,
    revision: int | None = None,
) -> int:
    """The appointment, and those of its series in `scope` that have not started, leave every feed.

    The series ends before the first of them. `late` is said of this one alone.
    Returns how many were cancelled. Raises NotFound, Overtaken.
    """
    widely = scope is not Scope.THIS
    with transaction() as session, changes.kept(session, actor, appointment_id, when=widely):
        edited = access.appointment(actor, appointment_id)
        appointments.refuse_overtaken(edited, revision)
        at = calendars.stamp(session)
        rows, ended, subject = [edited], False, f"appointment:{appointment_id}"
        if edited.series_id is not None and scope is not Scope.THIS:
            found = Turns(session, session.get_one(Series, edited.series_id), at)
            since = found.wall_of(edited) if scope is Scope.FOLLOWING else datetime.min
            rows, ended = _end(found, since)
            subject = f"series:{found.series.id}"
        rows = [row for row in rows if _is_to_cancel(row, scope)]
        for row in rows:
            row.status = Status.LATE_CANCELLED if late and row is edited else Status.CANCELLED
            if row.series_id is not None:
                row.own = sorted({*row.own, Field.STATUS})
            appointments.touch(row, at)
        if not rows and not ended:
            return 0
        calendars.raise_versions(session, {edited.clinician_id}, at)
        action = Action.APPOINTMENT_CANCELLED if scope is Scope.THIS else Action.SERIES_CANCELLED
        record(session, actor, action, subject, appointments=len(rows))
    return len(rows)


def _is_to_cancel(row: Appointment, scope: Scope) -> bool:
    """A no-show was one, unless someone says so of this very appointment."""
    return row.status not in GONE if scope is Scope.THIS else row.status is Status.SCHEDULED


def _end(found: Turns, since: datetime) -> tuple[list[Appointment], bool]:
    """What has not started yet, and whether the series would have gone on."""
    ahead = found.ahead(since)
    now = on_the_wall(clock.now(), found.series.zone)
    first = min((found.wall_of(row) for row in ahead), default=max(since, now))
    return ahead, found.end_before(first)


def extend(actor: Actor) -> int:
    """Every series reaches a year ahead; one that does already is left alone.

    Returns how many appointments were added. Doing it twice adds nothing.
    """
    until = horizon()
    with transaction() as session:
        short = session.scalars(
            select(Series).where(Series.extended_until < until - timedelta(days=1))
        ).all()
        added = sum(_extend(session, series, until) for series in short)
        if added:
            record(session, actor, Action.SERIES_EXTENDED, count=added)
    return added


def horizon() -> datetime:
    return clock.now() + AHEAD


def _extend(session: Session, series: Series, until: datetime) -> int:
    """Raises each calendar once, and only if the series has a new appointment."""
    first, last = (on_the_wall(moment, series.zone) for moment in (series.extended_until, until))
    # A day earlier, lest a day's beginning or the hour that comes twice is left out.
    begins = turns.pattern_of(series).walls(first - timedelta(days=1), last)
    series.extended_until = until
    known = set(
        session.scalars(select(Appointment.occurrence).where(Appointment.series_id == series.id))
    )
    missing = [wall for wall in begins if name(wall) not in known]
    if not missing:
        return 0
    plan = turns.plan_of(session, series)
    at = _stamp(session, series.clinician_id, plan)
    turns.make(session, series, plan, missing, at)
    calendars.raise_versions(session, {series.clinician_id}, at)
    return len(missing)


def _stamp(session: Session, clinician_id: int, plan: Plan) -> datetime:
    """The moment of the change, after that of whatever its clients' initials change."""
    clients.number_initials(session, clinician_id, list(plan.clients))
    return calendars.stamp(session)


def _checked(rule: str) -> str:
    rule = rules.normalised(rule)
    recurrence.check(rule)
    return rule


def _pattern(plan: Plan, rule: str) -> Pattern:
    """Raises Invalid for a rule that makes no turn, or too many."""
    pattern = Pattern(_checked(rule), plan.starts, plan.zone, plan.all_day)
    if not pattern.walls(plan.starts, plan.starts + timedelta(seconds=1)):
        raise Invalid("The repeat ends before it begins. Choose a later day.")
    if moments(plan)[0] < clock.now() - BACK:
        raise Invalid("A series can begin a year ago at most. Let it begin later.")
    return pattern


def _begin(
    session: Session,
    clinician_id: int,
    plan: Plan,
    pattern: Pattern,
    at: datetime,
    first: Appointment | None = None,
) -> Turns:
    """A series with its turns, from the first one on, however far away that is.

    The `first` may be there already.
    """
    starts_at, _ = moments(plan)
    series = turns.series_of(
        clinician_id, plan, pattern, max(horizon(), starts_at + timedelta(seconds=1))
    )
    session.add(series)
    session.flush()
    if first is not None:
        first.series_id, first.occurrence = series.id, name(plan.starts)
        session.flush()
    begun = Turns(session, series, at)
    # A day earlier, since a start that the clocks skip has a later time on the wall.
    begun.complete(starts_at - timedelta(days=1), series.extended_until)
    return begun


def _new_rule(session: Session, edited: Appointment, rule: str | None, scope: Scope) -> str | None:
    """The rule that shall be from now on, "" for none; None if it stays as it is."""
    if edited.series_id is None:
        return _checked(rule) if rule else None
    if not rule or scope is Scope.THIS:
        return None if scope is Scope.THIS else rule
    series, rule = session.get_one(Series, edited.series_id), _checked(rule)
    return None if _is_same(series, rule) else rule


def _is_same(series: Series, rule: str) -> bool:
    """Rules can be written in several ways: WEEKLY alone means the first turn's weekday."""
    if rule == rules.normalised(series.rule):
        return True
    first = series.starts_local.date()
    given, ours = (repeat.read(each, series.zone) for each in (rule, series.rule))
    if given is None or ours is None or min(given.ends or first, ours.ends or first) < first:
        return False
    return given.rule(first) == ours.rule(first) == rule


def _change_this(
    session: Session, edited: Appointment, plan: Plan, fields: Collection[Field], at: datetime
) -> None:
    turns.put(edited, plan, fields)
    if Field.CLIENTS in fields:
        turns.attend(session, [edited], plan.clients)
    if edited.series_id is not None:
        series = session.get_one(Series, edited.series_id)
        turns.mark(edited, turns.plan_of(session, series), fields)
    appointments.touch(edited, at)


def _change_turns(
    found: Turns,
    edited: Appointment,
    plan: Plan,
    fields: Collection[Field],
    rule: str | None,
    scope: Scope,
) -> Turns:
    """The turns in scope: a series of their own, if earlier ones are not among them."""
    theirs = set(fields) - {Field.STATUS}
    if scope is Scope.FOLLOWING and (theirs or rule):
        if rule:
            rule = _counted_from(found, edited, rule)
        found = found.since(found.wall_of(edited))
    edited.own = sorted(set(edited.own) - theirs)
    if Field.TIME in theirs:
        found.move(edited, plan)
    if theirs - {Field.TIME}:
        found.say(edited, plan, theirs - {Field.TIME})
    if Field.STATUS in fields:
        found.alone(edited, plan, {Field.STATUS})
    if rule is not None:
        found.repeat(rule, edited)
    found.complete(clock.now(), max(horizon(), found.series.extended_until))
    return found


def _counted_from(found: Turns, edited: Appointment, rule: str) -> str:
    """The rule for the turns from this one on: the earlier ones count as well."""
    count = rules.parsed(rule).count
    if count is None:
        return rule
    left = count - found.passed(found.wall_of(edited))
    if left < 1:
        raise Invalid("The series has had as many appointments already. Enter a greater number.")
    return rules.ended(rule, count=left)


def _refuse_clashes(
    actor: Actor, clinician_id: int, rows: Collection[Appointment], despite: str | None
) -> None:
    """What is over takes no time; the reason is kept with what it was said of."""
    ahead = [row for row in rows if row.status not in GONE and row.ends_at > clock.now()]
    plans, reason = [plan_of(row) for row in ahead], one_line(despite or "")
    found = clashes.found_in(actor, plans, clinician_id, [row.id for row in rows])
    clashes.refuse(found, reason)
    for row in ahead:
        taken = any(c.starts_at < row.ends_at and c.ends_at > row.starts_at for c in found)
        row.clash_reason = reason if taken else ""
