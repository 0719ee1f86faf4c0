"""Requests to a CalDAV server in an account's name; the password goes nowhere else."""

from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import quote, urljoin, urlsplit

from sync_ui import clock
from sync_ui.domain.outside import Later, Missing, Rejected, SignedOut
from sync_ui.gateways.dav_xml import conditions
from sync_ui.gateways.guarded import NO_ADDRESS, UNREADABLE, Answer, Guarded

MOST_HOPS = 4
LONGEST_WAIT = 24 * 3600.0  # seconds; what a server asks for beyond that is a mistake

# Its homes are on other hosts than its front door, and want the password too.
_ICLOUD = ".icloud.com"

SIGNED_OUT = (
    "The calendar server no longer accepts the name and password."
    " Sign in again; some providers want an app-specific password."
)
NOT_ALLOWED = (
    "The account may not do this in the calendar."
    " Choose one that it may change, or ask whoever shares it."
)
NO_CALENDAR = "The calendar is no longer there. Choose another one."
ELSEWHERE = (
    "The calendar server sends us on to another server, which the password was not meant for."
    " Enter the address that the provider names for CalDAV."
)
REFUSED = "The calendar server does not take this entry."
BUSY = "The calendar server cannot answer now. It is tried again later."
FULL = "The account's storage at the calendar server is full. Make room there."


class DavLine:
    """`url` is the server's address as a person types it. Raises Rejected for what is none."""

    def __init__(self, line: Guarded, url: str, user: str, password: str) -> None:
        self._line = line
        self.start = _typed(url)
        credentials = b64encode(f"{user}:{password}".encode(errors="replace")).decode()
        self._authorization = f"Basic {credentials}"

    def ask(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        *,
        depth: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, redirects followed within the server. Raises SignedOut, Later, Rejected."""
        sent = {"Authorization": self._authorization, **(headers or {})}
        if depth:
            sent["Depth"] = depth
        if body:
            sent.setdefault("Content-Type", "application/xml; charset=utf-8")
        for _ in range(MOST_HOPS):
            self._trust(url)
            answer = self._line.ask(method, url, sent, body)
            onward = answer.leads_to
            if not onward:
                return _heard(answer)
            url = joined(url, onward)
        raise Rejected(UNREADABLE)

    def _trust(self, url: str) -> None:
        """Raises Rejected for a server that the password is not for."""
        here, there = _origin(self.start), _origin(url)
        secure = there[::2] == ("https", 443)
        apple = all(f".{host}".endswith(_ICLOUD) for _, host, _ in (here, there))
        if here != there and not (secure and (here[1] == there[1] or apple)):
            raise Rejected(ELSEWHERE)


def refuse(answer: Answer, *, writing: bool = False) -> NoReturn:
    """Raises what an answer means that is not what was asked for."""
    if answer.status in {404, 410}:
        raise Missing(NO_CALENDAR)
    if answer.status == 403:
        if not writing or "need-privileges" in conditions(answer.body):
            raise SignedOut(NOT_ALLOWED)
        raise Rejected(REFUSED)
    if answer.status == 507:
        raise Later(FULL)
    raise Rejected(REFUSED if writing else UNREADABLE)


def joined(base: str, href: str) -> str:
    """The absolute address of an href, whatever signs the server left unquoted."""
    try:
        return urljoin(base, quote(href, safe="%/:?=&@!$'()*+,;~#[]"))
    except ValueError:
        raise Rejected(UNREADABLE) from None


def _heard(answer: Answer) -> Answer:
    """What no request can go on from is raised here."""
    if answer.status == 401:
        raise SignedOut(SIGNED_OUT)
    passing = answer.status >= 500 and answer.status not in {501, 505, 507}
    if passing or answer.status in {408, 423, 425, 429}:
        raise Later(BUSY, _retry_after(answer))
    return answer


def _retry_after(answer: Answer) -> float | None:
    """Seconds; it may be told as a date (RFC 9110, 10.2.3)."""
    told = answer.headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return min(float(told[:9]), LONGEST_WAIT)
    try:
        seconds = (parsedate_to_datetime(told) - clock.now()).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _typed(url: str) -> str:
    text = url.strip()
    try:
        place = urlsplit(text if "://" in text else f"https://{text}")
        if not place.hostname or place.port == 0:
            raise ValueError
    except ValueError:
        raise Rejected(NO_ADDRESS) from None
    path = quote(place.path, safe="%/:@!$'()*+,;~") or "/"
    return place._replace(path=path, query="", fragment="").geturl()


def _origin(url: str) -> tuple[str, str, int]:
    try:
        place = urlsplit(url)
        port = place.port or (443 if place.scheme == "https" else 80)
        return place.scheme, (place.hostname or "").rstrip("."), port
    except ValueError:
        raise Rejected(NO_ADDRESS) from None
