"""How a file meets the schedule: each event is new, changed, unchanged or cancelled.

A comparison of what the file says with what is stored. Nothing is written
here; `bulk` carries out what it finds.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from sync_ui.domain.event import GONE
from sync_ui.domain.reading import Entry, Problem, Reading
from sync_ui.errors import Invalid
from sync_ui.services import absence, drafts
from sync_ui.services.comparison import Comparison, Desk, Outcome, Result, Row, begin
from sync_ui.services.drafts import Addition, Draft
from sync_ui.services.recurring import Recurring
from sync_ui.services.titles import Titles
from sync_ui.services.turns import Field

__all__ = ["Outcome", "compare"]

# Of each outcome, this many rows are kept to be shown.
SHOWN = 300

# So many events are taken together, so that stored rows are read in batches.
_BATCH = 1000

Tell = Callable[[int], None]


def compare(
    session: Session,
    clinician_id: int,
    reading: Reading,
    titles: Titles,
    cancel: Collection[str] | None = (),
    tell: Tell = lambda _: None,
) -> Comparison:
    """What importing the file would do to the clinician's schedule.

    Of what is missing in the file, `cancel` names what shall be cancelled
    (None: all of it). `tell` hears from time to time how many events are done.
    """
    numbers = {number for entry in reading.entries for number in entry.client_ids}
    desk = Desk(session, clinician_id, titles, numbers)
    series = Recurring(desk)
    found = Comparison(reading, problems=list(reading.problems))
    keys: set[str] = set()
    done = 0
    for entries in _batched(reading.entries):
        for entry, result in _take(entries, desk, series, found.problems):
            _note(found, entry, result)
        keys.update(entry.key for entry in entries)
        done += len(entries)
        tell(done)
    found.missing = absence.find(desk, reading, keys)
    absence.cancel(desk, found, cancel)
    found.rows.sort(key=lambda row: row.line)
    found.problems.sort(key=lambda problem: problem.line)
    found.titles = titles.asked()
    found.new_clients = len(desk.register.new)
    desk.changes.people = desk.register.new
    desk.changes.titles = desk.register.told.values()
    found.changes = desk.changes
    return found


def _take(
    entries: Sequence[Entry], desk: Desk, series: Recurring, problems: list[Problem]
) -> Iterator[tuple[Entry, Result]]:
    singles: list[tuple[Entry, Draft]] = []
    for entry in entries:
        try:
            draft = desk.draft(entry)
            if series.is_one(entry):
                yield entry, series.take(entry, draft)
            else:
                singles.append((entry, draft))
                desk.reach(draft.starts_at, draft.starts_at)
        except Invalid as error:
            problems.append(Problem(entry.line, error.sentence))
    yield from _take_singles(singles, desk)


def _take_singles(
    singles: Sequence[tuple[Entry, Draft]], desk: Desk
) -> Iterator[tuple[Entry, Result]]:
    """Stored rows are looked up together, and only those of which the file speaks anew."""
    known = desk.known.singles
    groups = {
        known[entry.key].id: drafts.changed_groups(draft, known[entry.key].import_digest)
        for entry, draft in singles
        if entry.key in known
    }
    details = desk.known.details([row_id for row_id, some in groups.items() if some])
    ours = desk.known.ours(entry.key for entry, _ in singles if entry.key not in known)
    for entry, draft in singles:
        row = known.get(entry.key)
        if entry.key in ours:
            yield entry, _take_ours(ours[entry.key], draft, desk)
        elif row is None and entry.key in desk.known.handed_over:
            yield entry, Result(Outcome.UNCHANGED, draft)  # another clinician's now
        elif row is None:
            desk.changes.additions.append(Addition(draft, key=entry.key))
            yield entry, Result(Outcome.NEW, draft)
        elif row.id in details:
            yield entry, desk.update(details[row.id], draft, groups[row.id])
        else:
            yield entry, Result(Outcome.UNCHANGED, draft)


def _take_ours(stored: Any, draft: Draft, desk: Desk) -> Result:
    """An appointment that we have exported: a time can be moved and it can be cancelled there.

    A table may leave out all the rest, which is no reason to forget it.
    """
    if stored.clinician_id != desk.clinician_id:
        return Result(Outcome.UNCHANGED, draft)
    groups = {drafts.WHEN} | ({drafts.STATUS} if draft.plan.status in GONE else set())
    result = desk.update(stored, draft, groups)
    update = desk.changes.updates[stored.id]
    update.draft = None  # what another file said of it still holds
    if stored.series_id is not None and "starts_at" in update.values:
        update.values["own"] = sorted({*stored.own, Field.TIME})
    return result


def _note(found: Comparison, entry: Entry, result: Result) -> None:
    found.counts[result.outcome] += 1
    if found.counts[result.outcome] > SHOWN:
        return
    draft = result.draft
    names = " & ".join(f"{p.first_name} {p.last_name}".strip() for p in draft.people)
    found.rows.append(
        Row(
            line=entry.line,
            outcome=result.outcome,
            starts=begin(draft),
            what=names or draft.plan.title,
            turns=result.turns,
            all_day=draft.plan.all_day,
            said=result.said,
            was=result.was,
        )
    )


def _batched(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while some := list(islice(rest, _BATCH)):
        yield some
