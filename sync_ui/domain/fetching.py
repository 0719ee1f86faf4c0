"""How calendar apps fetch a feed, and what in an answer makes them give up.

What real apps were seen to do, not what they promise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from icalendar import Calendar

from sync_ui.domain.reach import EVERYONE, SILENCES, Answer, Finding, Heard, Silence

# Google refuses larger feeds and longer addresses, without a word.
MOST_FOR_GOOGLE = 1_000_000
NEARLY_MOST = 900_000
LONGEST_FOR_GOOGLE = 256
LONG = 200

# A larger one is looked at, but not parsed: that would keep the server busy for seconds.
MOST_PARSED = 2_000_000

WRONG_CLOCK = timedelta(minutes=2)

BY_WEBCAL = "Thunderbird, Outlook for Windows, ICSx⁵, GNOME Calendar"


@dataclass(frozen=True, slots=True)
class Caller:
    """How an app asks."""

    name: str
    headers: Mapping[str, str]


GOOGLE = Caller("Google Calendar", {"User-Agent": "Google-Calendar-Importer"})
APPLE = Caller(
    "Apple Calendar",
    {
        "User-Agent": "iOS/26.5 (23F77) dataaccessd/1.0",
        "Accept": "text/calendar",
        "Accept-Encoding": "gzip, deflate",
    },
)
OUTLOOK_COM = Caller(
    "Outlook.com and Microsoft 365",
    {
        "User-Agent": "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)",
        "Accept-Encoding": "gzip, deflate",
    },
)
# It may offer a sign-in even to public addresses; who looks at it turns Outlook away.
OUTLOOK = Caller(
    "Outlook for Windows",
    {
        "User-Agent": "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16327; Pro)",
        "Authorization": "Bearer x",
    },
)
THUNDERBIRD = Caller(
    "Thunderbird",
    {
        "User-Agent": (
            "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Thunderbird/153.0"
        ),
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Cache-Control": "no-cache",
    },
)
ICSX5 = Caller(
    "ICSx⁵ on Android",
    {
        "User-Agent": "ICSx5/2.4 (ical4j/3.2 okhttp/5.1 Android/16)",
        "Accept": "text/calendar, */*;q=0.9",
        "Accept-Encoding": "br,gzip",
    },
)
UNKNOWN = Caller("Apps with odd names", {"User-Agent": "x"})
NAMELESS = Caller("Apps without a name", {})

CALLERS = (GOOGLE, APPLE, OUTLOOK_COM, OUTLOOK, THUNDERBIRD, ICSX5, UNKNOWN, NAMELESS)


def webcal(heard: Heard, asked: str) -> Finding:
    """Apps that take webcal for http have to be sent on to https, at `asked` itself, for good."""
    subject = "From http to https"
    mend = {
        "advice": "Answer with a permanent redirect (308) to the same path at https.",
        "nginx": "return 308 https://$host$request_uri;",
        "caddy": "redir https://{host}{uri} 308   (Caddy does so by itself on port 80)",
    }
    if isinstance(heard, Silence):
        words = "Nothing answers there, so that webcal links do not open in these apps."
        return Finding(subject, BY_WEBCAL, False, words, **mend)
    if heard.status == 200:
        words = "The address answers without encryption, where anyone on the way can read it."
        return Finding(subject, EVERYONE, False, words, **mend)
    if heard.status not in {301, 302, 303, 307, 308}:
        words = f"The answer is {heard.status}, so that webcal links do not open in these apps."
        return Finding(subject, BY_WEBCAL, False, words, **mend)
    if heard.headers.get("location", "") != asked:
        words = f"The redirect ({heard.status}) does not lead to the same path at https."
        return Finding(subject, BY_WEBCAL, False, words, **mend)
    if heard.status == 308:
        return Finding(subject, BY_WEBCAL, True, "The redirect is permanent (308).")
    forgotten = "ICSx⁵" if heard.status == 301 else "Every one of them"
    words = (
        f"The redirect ({heard.status}) works. {forgotten} goes through it anew at each reading."
    )
    return Finding(subject, BY_WEBCAL, None, words, **mend)


def robots(heard: Heard, feed: str) -> Finding:
    """Google asks robots.txt before it reads; `feed` is any address of a feed."""
    subject = "robots.txt"
    agent = GOOGLE.headers["User-Agent"]
    mend = {
        "advice": "Pass robots.txt on to the application, or allow /cal/ in its first lines.",
        "nginx": "location = /robots.txt { proxy_pass http://127.0.0.1:8000; }",
        "caddy": "handle /robots.txt { reverse_proxy 127.0.0.1:8000 }",
    }
    if isinstance(heard, Silence) or heard.status >= 500:
        words = "robots.txt cannot be read: Google then reads nothing."
        return Finding(subject, GOOGLE.name, False, words, **mend)
    if heard.status == 200 and not heard.is_page:
        rules = RobotFileParser()
        rules.parse(heard.body.decode(errors="replace").splitlines())
        if not rules.can_fetch(agent, feed):
            words = "robots.txt forbids the calendar: Google then reads nothing, and does not say."
            return Finding(subject, GOOGLE.name, False, words, **mend)
        return Finding(subject, GOOGLE.name, True, "robots.txt lets Google read the calendar.")
    if heard.status in {401, 403} or 300 <= heard.status < 400 or heard.is_page:
        words = "Something else answers in place of robots.txt; Google takes that as it likes."
        return Finding(subject, GOOGLE.name, None, words, **mend)
    return Finding(subject, GOOGLE.name, True, "There is no robots.txt: nothing is forbidden.")


def clock(heard: Heard, now: datetime) -> Finding | None:
    """The Date of an answer, where there is one."""
    told = _date(heard, "date") if isinstance(heard, Answer) else None
    if told is None:
        return None
    off = abs(told - now)
    if off < WRONG_CLOCK:
        return Finding("Clock", EVERYONE, True, "The clock of whoever answers is right.")
    return Finding(
        "Clock",
        EVERYONE,
        None,
        "The clocks of this server and of whoever answers for it differ by "
        f"{off // timedelta(minutes=1)} minutes.",
        "Let both set their clocks by the network: timedatectl set-ntp true.",
    )


_OPEN = {
    "nginx": "location /cal/ { auth_basic off; auth_request off; "
    "proxy_pass http://127.0.0.1:8000; }",
    "caddy": "handle /cal/* { reverse_proxy 127.0.0.1:8000 }   (before what asks to sign in)",
}

_UNCOMPRESSED = {
    "nginx": "location /cal/ { gzip off; proxy_pass http://127.0.0.1:8000; }",
    "caddy": "leave out encode, or: @pages not path /cal/*  and  encode @pages gzip",
}


def read(caller: Caller, heard: Heard, asked: str) -> Finding:
    """Whether the app gets the calendar; `asked` is the address it asked for."""
    subject = "Reading the calendar"
    if isinstance(heard, Silence):
        advice = "Look into the proxy’s log, and whether the application runs behind it."
        return Finding(subject, caller.name, False, SILENCES[heard.trouble], advice)
    if 300 <= heard.status < 400:
        return _redirected(subject, caller, heard, asked)
    if heard.status != 200:
        return _refused(subject, caller, heard.status)
    if heard.is_page:
        words = "It gets a web page instead of the calendar: every appointment would vanish."
        advice = "Let /cal/ through to the application, without a login or a bot check."
        return Finding(subject, caller.name, False, words, advice, **_OPEN)
    encoding = heard.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        return _compressed(subject, caller, encoding)
    if heard.kind != "text/calendar":
        words = f"The answer calls itself {heard.kind or 'nothing at all'}, not text/calendar."
        advice = "Let the proxy leave the Content-Type of /cal/ as the application sends it."
        return Finding(subject, caller.name, False, words, advice, **_OPEN)
    if not is_calendar(heard):
        words = "The answer is no calendar, whatever it calls itself."
        advice = "Let the proxy pass /cal/ on unchanged."
        return Finding(subject, caller.name, False, words, advice, **_OPEN)
    words = "It gets the calendar at once: no redirect, no login, not compressed."
    return Finding(subject, caller.name, True, words)


def is_calendar(heard: Answer) -> bool:
    return heard.status == 200 and heard.body.startswith(b"BEGIN:VCALENDAR")


def _redirected(subject: str, caller: Caller, heard: Answer, asked: str) -> Finding:
    """Only the host is named: the rest of the address may hold the link's secret."""
    to, own = urlsplit(urljoin(asked, heard.headers.get("location", ""))), urlsplit(asked)
    if re.search(r"log-?in|sign-?in|auth|sso|account|session", to.netloc + to.path, re.IGNORECASE):
        words = f"It is sent to sign in ({heard.status}), which no calendar app can do."
    elif to.netloc == own.netloc:
        words = f"It is sent to another page of the same server ({heard.status})."
    else:
        words = f"It is sent to another server, {to.hostname or 'unnamed'} ({heard.status})."
    advice = (
        "Answer at the link itself: no login and no redirect under /cal/. "
        "If the server has moved, set SYNC_BASE_URL to where it is now."
    )
    return Finding(subject, caller.name, False, words, advice, **_OPEN)


def _refused(subject: str, caller: Caller, status: int) -> Finding:
    if status in {401, 403, 406, 429}:
        words = f"It is turned away ({status}). One such answer can switch the calendar off."
        advice = (
            "Leave /cal/ open to everyone: no password, bot check, limit or filter by country "
            "or by the app’s name. A web application firewall needs an exception for /cal/."
        )
        return Finding(subject, caller.name, False, words, advice, **_OPEN)
    if status in {404, 410}:
        words = f"The calendar is not there ({status})."
        advice = "Let the proxy pass /cal/ on unchanged, and see whether SYNC_BASE_URL is right."
        return Finding(subject, caller.name, False, words, advice, **_OPEN)
    words = f"The server answers with an error ({status})."
    advice = "Look whether the application runs behind the proxy: flask check tells its health."
    return Finding(subject, caller.name, False, words, advice)


def _compressed(subject: str, caller: Caller, encoding: str) -> Finding:
    refuses = caller in (OUTLOOK_COM, GOOGLE)
    words = f"The answer is compressed ({encoding})."
    if caller is OUTLOOK_COM:
        words = f"The answer is compressed ({encoding}), which made Outlook.com fail."
    elif caller is GOOGLE:
        words = f"The answer is compressed ({encoding}) though it did not ask for that."
    advice = "Switch compression off for /cal/."
    ok = False if refuses else None
    return Finding(subject, caller.name, ok, words, advice, **_UNCOMPRESSED)


def whole(heard: Answer) -> list[Finding]:
    """Whether the calendar is whole, parses, and is not too large; `heard` was read to its end."""
    large = _size(heard.size)
    body = heard.body.strip()
    kept = body.count(b"\nBEGIN:") == body.count(b"\nEND:") - 1
    if not (heard.complete and body.endswith(b"END:VCALENDAR") and kept):
        words = "The calendar breaks off before its end: apps would lose the rest."
        advice = "Let the proxy hand on whole answers: see its limits of size and time."
        found = Finding("Content", EVERYONE, False, words, advice, nginx="proxy_read_timeout 60s;")
        return [found, large]
    if len(body) > MOST_PARSED:
        words = "The calendar is whole."
        return [Finding("Content", EVERYONE, True, words), large]
    try:
        events = len(Calendar.from_ical(heard.body).events)
    except ValueError:
        words = "The calendar cannot be parsed."
        advice = "Let the proxy pass /cal/ on unchanged: nothing may rewrite its lines."
        return [Finding("Content", EVERYONE, False, words, advice), large]
    words = f"The calendar is whole and parses: {events} events."
    return [Finding("Content", EVERYONE, True, words), large]


def _size(size: int) -> Finding:
    kilobytes = f"{size / 1000:.0f} kB"
    if size <= NEARLY_MOST:
        return Finding(
            "Size", GOOGLE.name, True, f"The calendar has {kilobytes}; 1 MB is the most."
        )
    ok = None if size <= MOST_FOR_GOOGLE else False
    words = f"The calendar has {kilobytes}. Google refuses more than 1 MB, and does not say so."
    advice = "Give this link fewer months ahead, or a link for each clinician."
    return Finding("Size", GOOGLE.name, ok, words, advice)


def length(address: str) -> Finding:
    """Of a link's address."""
    number = len(address)
    words = f"The address has {number} characters."
    if number < LONG:
        return Finding("Length of the address", EVERYONE, True, words)
    advice = "Choose a shorter host name for SYNC_BASE_URL."
    if number <= LONGEST_FOR_GOOGLE:
        return Finding("Length of the address", EVERYONE, None, words, advice)
    words = f"{words} Google refuses more than {LONGEST_FOR_GOOGLE}, and does not say so."
    return Finding("Length of the address", GOOGLE.name, False, words, advice)


def head(heard: Heard) -> Finding:
    """Thunderbird asks with HEAD first."""
    if isinstance(heard, Answer) and heard.status == 200 and heard.kind == "text/calendar":
        return Finding("HEAD", THUNDERBIRD.name, True, "HEAD is answered as it should be.")
    words = "HEAD, by which it looks first, is not answered as a calendar; it then tries GET."
    advice = "Let HEAD through to the application as GET is."
    return Finding("HEAD", THUNDERBIRD.name, None, words, advice)


def unchanged(caller: Caller, validator: str, first: Answer, given: bool, again: Heard) -> Finding:
    """What came of asking once more with what the first answer gave: ETag, Last-Modified, both."""
    subject = f"Unchanged, by {validator}"
    if not given:
        words = "ETag or Last-Modified is missing: each reading fetches the whole calendar."
    elif isinstance(again, Silence):
        words = f"Asked once more: {SILENCES[again.trouble]}"
    elif again.status == 304:
        words = "A calendar that has not changed costs next to nothing (304)."
        return Finding(subject, caller.name, True, words)
    elif is_calendar(again) and (_is_new(first) or _differ(first, again)):
        words = "The calendar has changed just now. Check again in a minute."
        return Finding(subject, caller.name, None, words)
    else:
        words = f"The answer is {again.status} though nothing changed: each reading fetches all."
    advice = "Let the proxy pass ETag, Last-Modified, If-None-Match and If-Modified-Since on."
    hint = "leave gzip, sub_filter and “etag off” out of location /cal/"
    return Finding(subject, caller.name, None, words, advice, nginx=hint)


def _differ(first: Answer, again: Answer) -> bool:
    return first.headers.get("etag") != again.headers.get("etag")


def _is_new(first: Answer) -> bool:
    """One that changed in this very second is not yet called unchanged by its date alone."""
    changed_at, answered_at = _date(first, "last-modified"), _date(first, "date")
    return changed_at is not None and answered_at is not None and changed_at >= answered_at


def _date(answer: Answer, name: str) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get(name, ""))
    except (TypeError, ValueError):
        return None
