"""What a file says of appointments, and the operations that follow from it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import product
from typing import Any

from sync_ui.domain.event import GONE, TELEHEALTH, Status
from sync_ui.services.plans import Plan
from sync_ui.services.practice import one_line, visible
from sync_ui.services.titles import Person, Remembered

# What a file can change of an appointment, each by itself, and the columns that hold it.
WHEN, PEOPLE, WHAT, PLACE, NOTE, STATUS = GROUPS = (
    *("when", "people", "what", "place", "note", "status"),
)
_COLUMNS = {
    WHEN: ("starts_local", "starts_at", "ends_at", "zone", "all_day"),
    PEOPLE: (),
    WHAT: ("kind", "title"),
    PLACE: ("location",),
    NOTE: ("note",),
    STATUS: ("status",),
}
COMPARED = tuple(column for group in GROUPS for column in _COLUMNS[group])

_FORMAT = "2:"
_SIZE = 8

# A client may have been merged from several others; more are not tried.
_MOST_NAMES = 16


@dataclass(frozen=True, slots=True)
class Draft:
    """An appointment as the file has it: a plan whose clients may not be stored yet."""

    plan: Plan
    people: tuple[Person, ...]
    starts_at: datetime
    ends_at: datetime

    def columns(self) -> dict[str, Any]:
        """Every column of an appointment that a file speaks of."""
        plan = self.plan
        return {
            "starts_local": plan.starts,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "zone": plan.zone,
            "all_day": plan.all_day,
            "kind": plan.kind,
            "title": one_line(plan.title) if plan.title else "",
            "location": plan.location,
            "note": visible(plan.note).strip() if plan.note else "",
            "status": plan.status,
        }


@dataclass(slots=True)
class SeriesChange:
    """A series to be added (without `id`) or changed; `values` are columns.

    `digest` makes of them what is remembered, once its clients are stored.
    """

    values: dict[str, Any]
    people: tuple[Person, ...] | None = None
    digest: Callable[[dict[str, Any]], str] | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """An appointment to be added, by itself (`key`) or as a turn of `series`."""

    draft: Draft
    key: str | None = None
    series: SeriesChange | None = None
    occurrence: str | None = None


@dataclass(slots=True)
class Update:
    """A stored appointment and what of it changes; `people` of None stay as they are.

    `draft` is what the file says now, to be remembered. With `series` it becomes
    a turn of that one. What changes no column that anyone sees raises no revision.
    """

    id: int
    values: dict[str, Any]
    people: tuple[Person, ...] | None = None
    draft: Draft | None = None
    series: SeriesChange | None = None

    @property
    def is_seen(self) -> bool:
        return self.people is not None or bool(self.values.keys() & _SEEN)


_SEEN = {*COMPARED, "telehealth_address"}


@dataclass(slots=True)
class Changes:
    """All that an import writes, in the order of the file."""

    people: Sequence[Person] = ()
    titles: Collection[Remembered] = ()
    series: list[SeriesChange] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    updates: dict[int, Update] = field(default_factory=dict)

    @property
    def moves_feeds(self) -> bool:
        return bool(self.additions) or any(update.is_seen for update in self.updates.values())

    def __bool__(self) -> bool:
        rows = (self.people, self.titles, self.series, self.additions, self.updates)
        return any(rows)

    def attending(self) -> Iterator[tuple[Person, ...]]:
        """Who comes to what is added or changed."""
        for addition in self.additions:
            yield addition.draft.people
        for update in self.updates.values():
            yield update.people or ()


def digest(draft: Draft) -> str:
    """What a file says of an appointment, group by group, to tell what it says anew."""
    return _FORMAT + "".join(_short(fact) for fact in _facts(draft, _ids(draft.people)))


def changed_groups(draft: Draft, before: str | None) -> set[str]:
    """What the file says otherwise than when `before` was its digest."""
    if before is None or not before.startswith(_FORMAT):
        return set(GROUPS)
    said = _said(before)
    found = {
        group
        for group, fact in zip(GROUPS, _facts(draft, _ids(draft.people)), strict=True)
        if said[group] != _short(fact)
    }
    if PEOPLE in found and said[PEOPLE] in map(_short, _former_ids(draft.people)):
        found.remove(PEOPLE)
    return found


def said_gone(before: str | None) -> bool:
    """Whether the file had cancelled the appointment when `before` was its digest."""
    if before is None or not before.startswith(_FORMAT):
        return False
    return _said(before)[STATUS] in {_short(status) for status in GONE}


def differences(draft: Draft, stored: Any, groups: Iterable[str]) -> dict[str, Any]:
    """The columns of these groups whose stored values are others."""
    wanted = draft.columns()
    values = {
        column: wanted[column]
        for group in groups
        for column in _COLUMNS[group]
        if getattr(stored, column) != wanted[column]
    }
    if values.get("location", TELEHEALTH) != TELEHEALTH and stored.telehealth_address:
        values["telehealth_address"] = ""
    return values


def short_digest(value: object) -> str:
    return blake2b(repr(value).encode(), digest_size=16).hexdigest()


def taken_back(before: str | None) -> str | None:
    """The digest of the same, cancelled."""
    if before is None or not before.startswith(_FORMAT):
        return before
    said = _said(before) | {STATUS: _short(Status.CANCELLED)}
    return _FORMAT + "".join(said[group] for group in GROUPS)


def _facts(draft: Draft, people: list[int | None]) -> tuple[object, ...]:
    plan = draft.plan
    return (
        (plan.starts, plan.ends, plan.zone, plan.all_day),
        people,
        (plan.kind.value, plan.title),
        plan.location,
        plan.note,
        plan.status,
    )


def _short(fact: object) -> str:
    words = fact.value if isinstance(fact, Status) else fact
    return blake2b(repr(words).encode(), digest_size=_SIZE // 2).hexdigest()


def _said(before: str) -> dict[str, str]:
    rest = before.removeprefix(_FORMAT)
    return {group: rest[at * _SIZE : (at + 1) * _SIZE] for at, group in enumerate(GROUPS)}


def _ids(people: Iterable[Person]) -> list[int | None]:
    return [person.id for person in people]


def _former_ids(people: Sequence[Person]) -> Iterator[list[int | None]]:
    """The clients by the ids that they had before duplicates were merged."""
    if not any(person.formerly for person in people):
        return
    named = product(*((person.id, *person.formerly) for person in people))
    for _, ids in zip(range(_MOST_NAMES), named, strict=False):
        yield list(ids)
