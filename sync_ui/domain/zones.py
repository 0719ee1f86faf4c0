"""Time zones as calendar programs name them, and the IANA names they mean.

Google and Apple write IANA names. Outlook writes Windows names, the labels of
its menu, or "Customized Time Zone"; others put a path before the name or write
an offset. A name that means nothing is settled by what the file says about the
zone (VTIMEZONE): the IANA zone whose clocks do the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from sync_ui.domain import recurrence

_UTC_NAMES = frozenset({"utc", "gmt", "z", "zulu", "coordinated universal time"})

# Labels of Windows' and Ruby on Rails' menus, without "(UTC-05:00)".
_LABELS = {
    "alaska": "America/Anchorage",
    "amsterdam, berlin, bern, rome, stockholm, vienna": "Europe/Berlin",
    "arizona": "America/Phoenix",
    "athens, bucharest": "Europe/Bucharest",
    "atlantic time (canada)": "America/Halifax",
    "auckland, wellington": "Pacific/Auckland",
    "beijing, chongqing, hong kong, urumqi": "Asia/Shanghai",
    "belgrade, bratislava, budapest, ljubljana, prague": "Europe/Budapest",
    "brisbane": "Australia/Brisbane",
    "brussels, copenhagen, madrid, paris": "Europe/Paris",
    "canberra, melbourne, sydney": "Australia/Sydney",
    "central time (us & canada)": "America/Chicago",
    "chennai, kolkata, mumbai, new delhi": "Asia/Kolkata",
    "dublin, edinburgh, lisbon, london": "Europe/London",
    "eastern time (us & canada)": "America/New_York",
    "greenwich mean time : dublin, edinburgh, lisbon, london": "Europe/London",
    "hawaii": "Pacific/Honolulu",
    "helsinki, kyiv, riga, sofia, tallinn, vilnius": "Europe/Kyiv",
    "indiana (east)": "America/Indiana/Indianapolis",
    "jerusalem": "Asia/Jerusalem",
    "mountain time (us & canada)": "America/Denver",
    "newfoundland": "America/St_Johns",
    "osaka, sapporo, tokyo": "Asia/Tokyo",
    "pacific time (us & canada)": "America/Los_Angeles",
    "perth": "Australia/Perth",
    "sarajevo, skopje, warsaw, zagreb": "Europe/Warsaw",
    "saskatchewan": "America/Regina",
}


@dataclass(frozen=True, slots=True)
class Observance:
    """From `starts` on, and whenever its rule comes true, clocks go to `after`.

    `starts` and `additions` are wall times as they were with the offset `before`.
    """

    starts: datetime
    before: timedelta
    after: timedelta
    rule: str = ""
    additions: tuple[datetime, ...] = ()


def named(name: str) -> str | None:
    """The IANA zone that a name means, or None."""
    text = " ".join(name.replace('"', " ").split()).casefold()
    return (
        _iana(text)
        or _windows().get(text)
        or _LABELS.get(re.sub(r"^\((?:utc|gmt)[^)]*\)\s*", "", text))
        or _fixed(text)
        or _after_a_path(text)
    )


def behaving(
    observances: Sequence[Observance], preferred: Sequence[str], today: date
) -> str | None:
    """The IANA zone whose clocks do this year and next what the observances say.

    Several zones may; `preferred` ones come first. Where the law has changed
    since the file's program learnt it, a preferred zone will do that has the
    same winter and summer time. None if there is no such zone. Raises `Invalid`
    for a rule that cannot be read.
    """
    probes = _probes(today)
    wanted = _offsets(observances, probes)
    everywhere = (*preferred, *WINDOWS_TO_OLSON.values(), *sorted(_names().values()))
    exact = (zone for zone in dict.fromkeys(everywhere) if _agrees(zone, wanted))
    seasons = {moment: wanted[moment] for moment in (probes[14 * 4], probes[195 * 4])}
    near = (zone for zone in preferred if _agrees(zone, seasons))
    return next(exact, None) or next(near, None)


def _agrees(zone: str, offsets: dict[datetime, timedelta]) -> bool:
    clock = ZoneInfo(zone)
    return all(moment.astimezone(clock).utcoffset() == offset for moment, offset in offsets.items())


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones() if name != "Factory"}


@lru_cache(maxsize=1)
def _windows() -> dict[str, str]:
    return {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}


def _iana(text: str) -> str | None:
    if text.removeprefix("etc/") in _UTC_NAMES:
        return "UTC"
    return _names().get(text.replace(" ", "_"))


def _after_a_path(text: str) -> str | None:
    """For "/freeassociation.sourceforge.net/America/New_York" and "tzone://Microsoft/Utc"."""
    parts = text.split("/")
    for start in range(1, min(len(parts), 10)):
        found = _iana("/".join(parts[start:]))
        if found:
            return found
    return None


def _fixed(text: str) -> str | None:
    """For "GMT+0100", "UTC+05:30" and "-08:00": a zone that never changes its clocks."""
    match = re.fullmatch(r"(?:utc|gmt)? ?([+-])(\d{1,2}):?(\d\d)?", text, re.ASCII)
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return _steady(minutes if match[1] == "+" else -minutes)


@lru_cache(maxsize=128)
def _steady(minutes: int) -> str | None:
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    if rest == 0:
        # POSIX signs: Etc/GMT-1 is an hour ahead of UTC.
        return _iana(f"etc/gmt{'-' if minutes > 0 else '+'}{hours}")
    fixed = Observance(datetime(1970, 1, 1), timedelta(), timedelta(minutes=minutes))
    return behaving([fixed], (), date(2026, 1, 1))


def _probes(today: date) -> list[datetime]:
    """Moments that tell zones apart: every six hours of this year and the next.

    All laws of today change clocks within six hours of a probe or of each other.
    """
    first = datetime(min(max(today.year, 1900), 2200), 1, 1, tzinfo=UTC)
    return [first + timedelta(hours=hours) for hours in range(0, 2 * 365 * 24, 6)]


def _offsets(
    observances: Sequence[Observance], probes: Sequence[datetime]
) -> dict[datetime, timedelta]:
    """The offset that the observances give at each probe."""
    # Changes of the year before set the offset of the first probes.
    low = probes[0].replace(tzinfo=None) - timedelta(days=366)
    high = probes[-1].replace(tzinfo=None)
    changes = sorted(
        (wall - observance.before, observance.after)
        for observance in observances
        for wall in _onsets(observance, low, high)
    )
    offsets = {}
    current, at = min(observances, key=lambda each: each.starts).before, 0
    for moment in probes:
        while at < len(changes) and changes[at][0] <= moment.replace(tzinfo=None):
            current = changes[at][1]
            at += 1
        offsets[moment] = current
    return offsets


def _onsets(observance: Observance, low: datetime, high: datetime) -> list[datetime]:
    if observance.rule:
        recurrence.check(observance.rule)
    onsets = recurrence.expand(
        observance.rule, observance.starts, "UTC", low, high, (), observance.additions
    )
    walls = [wall for wall in onsets if isinstance(wall, datetime)]
    # One that began long ago, for good, sets the offset of the first probes.
    earlier = [at for at in (*observance.additions, observance.starts) if at < low]
    return [*walls, max(earlier)] if earlier else walls
