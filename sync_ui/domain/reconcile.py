"""What to do about one copy of an appointment: a decision table, without any doing.

Three things are compared: what is `wanted` there now, the `Base`, which is what
we last knew to stand there, and what was found there since. Nothing found ever
removes an appointment: `Found` says at most that somebody should be asked.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from sync_ui.domain.outside import Entry, Told

# Of so many copies at least, and so large a part of all, changed or gone at once:
# somebody emptied the calendar, or the provider is broken.
FEWEST_TO_STOP = 10
PART_TO_STOP = 0.2


A_DAY, A_YEAR = timedelta(days=1), timedelta(days=366)

# The digest of what stands there, if it is not what we wrote.
OTHER = "other"


class Rule(StrEnum):
    """What becomes of a move or removal outside."""

    ASK = "ask"
    FOLLOW = "follow"
    PUT_BACK = "put_back"


class Found(StrEnum):
    """What a change outside means."""

    NOTHING = "nothing"  # an echo, or what we wanted anyway
    ADOPT = "adopt"  # it says what we said or want to say: its etag is taken over
    RESTORE = "restore"  # something else stands there: ours is written again
    MOVED = "moved"  # its time was changed, and ours was not
    REMOVED = "removed"  # it is gone, and was to be there
    OVERTAKEN = "overtaken"  # changed there and here: ours holds, theirs is noted
    FORGET = "forget"  # it is gone, as it should be
    STRAY = "stray"  # it is ours, and we did not know: from before, or an answer lost


class Owed(StrEnum):
    """What has to be written."""

    NOTHING = "nothing"
    CREATE = "create"
    OVERWRITE = "overwrite"
    REMOVE = "remove"
    FORGET = "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A copy as we know it.

    `digest` is empty as long as nothing of it is known to stand there, and OTHER
    if something else is; `when` is the `Told.when` of what we wrote last. `held`
    is the digest of what was wanted when somebody was asked about a change of it:
    as long as that is wanted, nothing is written. Without an `etag` none stands
    there.
    """

    etag: str
    digest: str
    when: str
    held: str = ""


def found(
    wanted: Told | None,
    base: Base | None,
    entry: Entry | None,
    *,
    past: bool = False,
    marked: bool = True,
) -> Found:
    """What a change outside means; `entry` is None for one that is gone.

    Only of ids that are ours. `past` ones have left the window: whatever stands
    there of them is left. One that is not `marked` has lost our mark, and with it
    what keeps it from being taken for somebody's own.
    """
    if entry is None:
        return _found_gone(wanted, base)
    if base is not None and base.digest and entry.etag and entry.etag == base.etag:
        return Found.NOTHING
    told = entry.told
    if told and (wanted or base) and told.digest in _digests(wanted, base):
        return Found.ADOPT if marked else Found.RESTORE
    if base is None or not base.digest:
        return Found.NOTHING if past and wanted is None else Found.STRAY
    if told is None or told.when == base.when:
        return Found.RESTORE
    if wanted is None:
        return Found.RESTORE  # whoever cancels wins: it will be removed, moved or not
    if told.when == wanted.when or not _is_possible(told, wanted):
        return Found.RESTORE  # both moved it to the same time; or where nobody can follow
    return Found.MOVED if wanted.when == base.when else Found.OVERTAKEN


def _is_possible(told: Told, wanted: Told) -> bool:
    """Whether an appointment could be there: hours stay hours, within a day and a year."""
    if isinstance(told.starts, datetime) != isinstance(wanted.starts, datetime):
        return False
    starts, ends = _moment(told.starts), _moment(told.ends)
    was_starts, was_ends = _moment(wanted.starts), _moment(wanted.ends)
    longest = max(A_DAY, was_ends - was_starts) if isinstance(told.starts, datetime) else A_YEAR
    return timedelta(0) < ends - starts <= longest and abs(starts - was_starts) <= A_YEAR


def _moment(moment: datetime | date) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def _found_gone(wanted: Told | None, base: Base | None) -> Found:
    if wanted is None or base is None or not base.digest:
        return Found.FORGET
    if not base.etag and (base.held or base.digest == OTHER):
        return Found.NOTHING  # that it is gone was heard before, and asked or put back
    return Found.REMOVED if wanted.when == base.when else Found.OVERTAKEN


def _digests(wanted: Told | None, base: Base | None) -> set[str]:
    return {digest for digest in (wanted and wanted.digest, base and base.digest) if digest}


def owed(wanted: Told | None, base: Base | None, *, past: bool = False) -> Owed:
    """What has to be written, by what is known; `past` ones leave the window and are left."""
    if base is None:
        return Owed.CREATE if wanted else Owed.NOTHING
    if wanted is None:
        if past:
            return Owed.FORGET
        return Owed.REMOVE
    if wanted.digest in (base.digest, base.held):
        return Owed.NOTHING
    return Owed.OVERWRITE if base.etag else Owed.CREATE


def is_suspicious(means: Collection[Found], known: int) -> bool:
    """Whether so much was changed or gone at once that a person has to look first."""
    outside = sum(each in BY_OTHERS for each in means)
    return outside >= FEWEST_TO_STOP and outside > known * PART_TO_STOP


BY_OTHERS = frozenset({Found.MOVED, Found.REMOVED, Found.RESTORE, Found.OVERTAKEN})
