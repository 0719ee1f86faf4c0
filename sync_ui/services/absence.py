"""What an earlier file had and this one has not: told, and cancelled only if the user says so."""

from collections.abc import Collection, Iterator
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sync_ui.domain.event import GONE
from sync_ui.domain.reading import Reading
from sync_ui.services import recurring
from sync_ui.services.comparison import Comparison, Desk, Missing, Outcome, begin_of
from sync_ui.services.drafts import SeriesChange


def find(desk: Desk, reading: Reading, keys: Collection[str]) -> list[Missing]:
    """What is still to come on the days that the file covers, and stands no longer in it.

    `keys` are the file's. Only what files of the same kind brought counts.
    """
    if not reading.signature or desk.span is None:
        return []
    last = _end_of_day(desk.span[1], desk.known.zone)
    ahead = (max(desk.span[0], desk.now), last)
    singles = [
        row.id
        for key, row in desk.known.singles.items()
        if row.import_source == reading.signature and key not in keys and _is_on(row, *ahead)
    ]
    found = [
        Missing(f"appointment:{row.id}", begin_of(row), row.title, 1, row.all_day)
        for row in desk.known.details(singles).values()
    ]
    found += _series(desk, reading, keys, *ahead)
    return sorted(_named(desk, found), key=lambda missing: str(missing.starts))


def cancel(desk: Desk, found: Comparison, wanted: Collection[str] | None) -> None:
    """Cancel those of the missing that `wanted` names, all of them for None."""
    for missing in found.missing:
        if wanted is not None and missing.id not in wanted:
            continue
        kind, _, number = missing.id.partition(":")
        if kind == "appointment":
            desk.cancel(desk.known.details([int(number)])[int(number)])
        else:
            _end_series(desk, int(number))
        found.counts[Outcome.CANCELLED] += 1


def _series(
    desk: Desk, reading: Reading, keys: Collection[str], first: datetime, last: datetime
) -> Iterator[Missing]:
    for key, row in desk.known.series.items():
        if row.import_source != reading.signature or key in keys or recurring.is_theirs(row):
            continue
        turns = [turn for turn in desk.known.turns(row.id).values() if _is_on(turn, first, last)]
        if turns:
            next_one = min(turns, key=lambda turn: turn.starts_at)
            yield Missing(
                f"series:{row.id}", begin_of(next_one), row.title, len(turns), row.all_day
            )


def _is_on(row: Any, first: datetime, last: datetime) -> bool:
    return row.status not in GONE and first <= row.starts_at <= last


def _end_series(desk: Desk, series_id: int) -> None:
    """What is to come is cancelled, and no turn follows."""
    row = next(row for row in desk.known.series.values() if row.id == series_id)
    for turn in desk.known.turns(series_id).values():
        if turn.starts_at > desk.now and turn.status not in GONE:
            desk.cancel(turn)
    now = desk.now.astimezone(ZoneInfo(row.zone)).replace(tzinfo=None)
    rule = recurring.pattern(row).before(now).rule
    values = {"rule": rule, "import_digest": None}  # a file that has it again brings it back
    desk.changes.series.append(SeriesChange(values, id=series_id))


def _named(desk: Desk, found: list[Missing]) -> Iterator[Missing]:
    """Clients come before a title."""
    ids = [int(m.id.partition(":")[2]) for m in found if m.id.startswith("appointment:")]
    names = desk.known.names_of(ids)
    for missing in found:
        kind, _, number = missing.id.partition(":")
        named = names.get(int(number), "") if kind == "appointment" else ""
        if kind == "series":
            named = desk.known.names_in_series(int(number))
        yield Missing(
            missing.id, missing.starts, named or missing.what, missing.turns, missing.all_day
        )


def _end_of_day(moment: datetime, zone: str) -> datetime:
    day = moment.astimezone(ZoneInfo(zone)).date()
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
