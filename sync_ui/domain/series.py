"""When a series takes place: its rule with exceptions and additions, cut and moved."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from sync_ui.domain import recurrence, repeat, rules
from sync_ui.domain.repeat import By, Freq, Repeat
from sync_ui.domain.rules import LAST_YEAR, Rule
from sync_ui.errors import Invalid

EXOTIC = (
    "This series repeats by a rule that cannot be moved so."
    " Change this appointment alone, or say anew how it repeats."
)
SHORT_MONTHS = (
    "Not every month has this day. Choose a day up to the 28th, or the last day of the month."
)

_END = datetime(LAST_YEAR + 1, 1, 1)

# Where a turn goes; None for one that the rule does not fall on.
Mapping = Callable[[datetime], datetime | None]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Wall times in `zone`; those of an all-day series are midnights.

    `starts` is the first turn, whether the rule falls on it or not (RFC 5545, 3.8.5.3).
    """

    rule: str
    starts: datetime
    zone: str
    all_day: bool = False
    exceptions: tuple[datetime, ...] = ()
    additions: tuple[datetime, ...] = ()

    def walls(self, after: datetime, before: datetime) -> list[datetime]:
        """When turns begin, from `after` on and before `before`, in order."""
        return self._expand(after, before, self.exceptions, self.additions)

    def by_rule(self, after: datetime, before: datetime) -> list[datetime]:
        """The same without exceptions and additions."""
        return self._expand(after, before, (), ())

    def before(self, wall: datetime) -> "Pattern":
        """The part that ends before this wall time; it may be empty."""
        earlier = self.by_rule(self.starts, wall)
        counted = rules.parsed(self.rule).count is not None
        return replace(
            self,
            rule=_ended(self.rule, earlier, self.starts, counted=counted),
            exceptions=tuple(each for each in self.exceptions if each < wall),
            additions=tuple(each for each in self.additions if each < wall),
        )

    def since(self, wall: datetime) -> "Pattern":
        """The part that begins with this turn.

        Raises Invalid for one that was added outside the rule while the rule goes on.
        """
        rest = replace(
            self,
            starts=wall,
            exceptions=tuple(each for each in self.exceptions if each >= wall),
            additions=tuple(each for each in self.additions if each > wall),
        )
        if self.by_rule(wall, wall + timedelta(seconds=1)):
            count = rules.parsed(self.rule).count
            if count is None:
                return rest
            passed = len(self.by_rule(self.starts, wall))
            return replace(rest, rule=rules.ended(self.rule, count=count - passed))
        if self.by_rule(wall, min(wall + timedelta(days=366 * 30), _END)):
            raise Invalid(EXOTIC)
        return replace(rest, rule=rules.ended(self.rule, count=1))

    def until(self, wall: datetime) -> "Pattern":
        """The part up to this turn, with it."""
        return self.before(wall + timedelta(seconds=1))

    def moved(
        self, old: datetime, new: datetime, zone: str, *, all_day: bool
    ) -> tuple["Pattern", Mapping]:
        """The series with the turn of the wall time `old` at `new`, and the others moved along.

        Daily and weekly turns move by as much; the turn of a month or a year stays
        that of its month or year, on the like day. Raises Invalid for a rule that
        cannot be moved so.
        """
        rule = self._without_times() if _clock(new) != _clock(old) or all_day else self.rule
        parsed = rules.parsed(rule)
        if new.date() == old.date():
            mapping: Mapping = lambda wall: wall + (new - old)  # noqa: E731
        elif parsed.freq in ("DAILY", "WEEKLY"):
            rule = _rotated(rule, (new.date() - old.date()).days)
            mapping = lambda wall: wall + (new - old)  # noqa: E731
        else:
            rule, mapping = self._to_other_days(rule, old, new)
        if parsed.until is not None:
            every = self.by_rule(self.starts, _END)
            last = mapping(every[-1] if every else self.starts)
            assert last is not None
            rule = _ended(rule, [last] if every else [], last, counted=False)
        starts = mapping(self.starts)
        additions = [mapping(each) for each in self.additions]
        if starts is None or None in additions:
            raise Invalid(EXOTIC)
        return Pattern(
            rule, starts, zone, all_day, _known(map(mapping, self.exceptions)), _known(additions)
        ), mapping

    def _to_other_days(self, rule: str, old: datetime, new: datetime) -> tuple[str, Mapping]:
        found = repeat.read(rules.ended(rule))
        if found is None or not _falls_on(found, rules.parsed(rule), old.date()):
            raise Invalid(EXOTIC)
        target = replace(found, by=_by(found, new.date()))
        months = _month(new) - _month(old)
        clock = _clock(new) - _clock(old)

        def mapping(wall: datetime) -> datetime | None:
            if found.day_in(wall.year, wall.month, old.date()) != wall.date():
                return None
            year, month = divmod(_month(wall) + months, 12)
            day = target.day_in(year, month + 1, new.date())
            assert day is not None
            return datetime.combine(day, wall.time()) + clock

        count = rules.parsed(rule).count
        return rules.ended(target.rule(new.date()), count=count), mapping

    def _without_times(self) -> str:
        """Some programs repeat the start's time in the rule."""
        parsed = rules.parsed(self.rule)
        start = self.starts
        for said, own in (
            (parsed.hours, start.hour),
            (parsed.minutes, start.minute),
            (parsed.seconds, start.second),
        ):
            if said not in ((), (own,)):
                raise Invalid(EXOTIC)
        return rules.changed(self.rule, BYHOUR="", BYMINUTE="", BYSECOND="")

    def _expand(
        self,
        after: datetime,
        before: datetime,
        exceptions: Iterable[datetime],
        additions: Iterable[datetime],
    ) -> list[datetime]:
        if not self.all_day:
            found = recurrence.expand(
                self.rule, self.starts, self.zone, after, before, exceptions, additions
            )
        else:
            found = recurrence.expand(
                self.rule,
                self.starts.date(),
                self.zone,
                after,
                before,
                [each.date() for each in exceptions],
                [each.date() for each in additions],
            )
        return [as_wall(begin) for begin in found]


def as_wall(start: datetime | date) -> datetime:
    return start if isinstance(start, datetime) else datetime.combine(start, time())


def _ended(rule: str, earlier: list[datetime], starts: datetime, *, counted: bool) -> str:
    if not earlier:  # it ends before it begins
        return rules.ended(rule, last=starts.date() - timedelta(days=1))
    if counted:
        return rules.ended(rule, count=len(earlier))
    last = earlier[-1]
    return rules.ended(rule, last=last if rules.parsed(rule).hours else last.date())


def _rotated(rule: str, days: int) -> str:
    """A daily or weekly rule, moved by whole days.

    The week's begin moves along, so that every other week stays the same one.
    """
    parsed = rules.parsed(rule)
    if parsed.months or parsed.month_days or parsed.positions or parsed.year_days or parsed.weeks:
        raise Invalid(EXOTIC)
    if not parsed.weekdays and parsed.interval == 1:
        return rule
    turned = sorted({(day + days) % 7 for _, day in parsed.weekdays})
    begin = (parsed.week_start + days) % 7 if parsed.freq == "WEEKLY" and parsed.interval > 1 else 0
    return rules.changed(
        rule,
        BYDAY=",".join(rules.WEEKDAYS[day] for day in turned),
        WKST=rules.WEEKDAYS[begin] if begin else "",
    )


def _falls_on(found: Repeat, parsed: Rule, day: date) -> bool:
    own = rules.parsed(found.rule(day))
    return (
        (parsed.month_days or own.month_days) == own.month_days
        and (parsed.months or own.months) == own.months
        and repeat.nth_weekday(parsed) == repeat.nth_weekday(own)
    )


def _by(found: Repeat, new: date) -> By:
    """A month's turn on another day; raises Invalid for one that not every month has."""
    is_last = (new + timedelta(days=1)).month != new.month
    if found.freq is Freq.YEARLY:
        if (new.month, new.day) == (2, 29):
            raise Invalid(SHORT_MONTHS)
        return By.DAY
    if found.by in (By.WEEKDAY, By.LAST_WEEKDAY):
        stays_last = (new + timedelta(days=7)).month != new.month and found.by is By.LAST_WEEKDAY
        return By.LAST_WEEKDAY if stays_last else By.WEEKDAY
    if new.day > 28 and not is_last:
        raise Invalid(SHORT_MONTHS)
    return By.LAST_DAY if new.day > 28 else By.DAY


def _clock(wall: datetime) -> timedelta:
    return timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second)


def _month(wall: datetime) -> int:
    return wall.year * 12 + wall.month - 1


def _known(walls: Iterable[datetime | None]) -> tuple[datetime, ...]:
    return tuple(sorted(wall for wall in walls if wall is not None))
