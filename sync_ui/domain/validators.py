"""ETag and Last-Modified: when a reader may keep the feed that it holds.

A 304 that lies leaves an old appointment on a phone for good. Most readers ask
by ETag; Apple's calendar on the Mac asks by date alone.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")


def etag(*parts: object) -> str:
    """A strong entity tag, quoted, of everything that decides the bytes.

    Each part counts by its `str`; parts never run into each other.
    """
    texts = [str(part) for part in parts]
    spelt = "".join(f"{len(text)}:{text}" for text in texts)
    return f'"{hashlib.sha256(spelt.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def last_modified(changed_at: datetime, now: datetime, zone: str) -> datetime:
    """When the body last changed: at the last change, or at the last local midnight.

    The window moves at the practice's midnight without any write. Whole
    seconds, UTC.
    """
    # Where clocks change at midnight, 00:00 may not exist (it then means the
    # moment of the change) or come twice (fold=0: the first, when the date changed).
    local = now.astimezone(ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return max(changed_at.astimezone(UTC), midnight.astimezone(UTC)).replace(microsecond=0)


def next_change(now: datetime, previous: datetime) -> datetime:
    """The moment to note for a change: whole seconds, UTC, after `previous`.

    HTTP dates have whole seconds, so two changes within one second would look
    like one; and a clock that was set back would make a change look older than
    the one before. `previous` is the latest moment noted for anything that the
    feed shows.
    """
    moment = now.astimezone(UTC).replace(microsecond=0)
    moment = max(moment, previous.astimezone(UTC).replace(microsecond=0) + _SECOND)
    # Local midnights fall on quarters of an hour. A change never does: made in
    # the first second of the day, it would share its Last-Modified with the window.
    if moment.minute % 15 == 0 and moment.second == 0:
        moment += _SECOND
    return moment


def not_modified(
    *,
    etag: str,
    last_modified: datetime,
    if_none_match: str | None,
    if_modified_since: str | None,
    now: datetime,
) -> bool:
    """Whether 304 is the truth; whatever cannot be understood gets the whole feed."""
    # With If-None-Match the date does not count, even if no tag fits (RFC 9110, 13.1.3).
    if if_none_match is not None:
        return _matches(if_none_match, etag)
    if if_modified_since is None:
        return False
    # Equal, not "no later": a Last-Modified that went back (a restored backup)
    # is a change too. One in the future (a clock set back, or two changes in
    # this second) may be given out again for the next change.
    last_modified = last_modified.replace(microsecond=0)
    return last_modified <= now and _http_date(if_modified_since) == last_modified


def _matches(if_none_match: str, etag: str) -> bool:
    # Compared weakly: a proxy that compresses marks the tag with W/.
    if if_none_match.strip() == "*":
        return True
    if not _TAGS.fullmatch(if_none_match):
        return False
    tags = re.findall(_TAG, if_none_match)
    return etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # the asctime form names no zone and means GMT
        return moment.replace(tzinfo=UTC)
    return moment
