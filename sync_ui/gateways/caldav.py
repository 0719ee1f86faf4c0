"""Calendars on a CalDAV server (RFC 4791, 6578, 6764): iCloud, Fastmail, Nextcloud, Radicale …

Servers differ; what is done here is what all of them understand. Every write is
conditional, and only entity tags and tokens tell what has changed.
"""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import NoReturn
from urllib.parse import quote, unquote, urljoin, urlsplit

from sync_ui import clock
from sync_ui.domain import outside_ics
from sync_ui.domain.ics_write import cleaned
from sync_ui.domain.outside import (
    Busy,
    Changes,
    Copy,
    Entry,
    Expired,
    Later,
    Missing,
    OutsideCalendar,
    Rejected,
    Span,
    Stale,
    Window,
)
from sync_ui.domain.outside_ics import Place
from sync_ui.gateways import dav_xml
from sync_ui.gateways.dav_line import BUSY, NO_CALENDAR, DavLine, joined, refuse
from sync_ui.gateways.dav_xml import CALDAV, DAV, GONE, Resource, path_of
from sync_ui.gateways.guarded import Answer, Guarded, TooLong

AT_ONCE = 50  # entries asked for in one request
MOST_ENTRIES = 20_000  # of one calendar
MOST_ROUNDS = 1_000  # of one listing that comes in parts

# The token of a server without sync-collection: a digest of what it listed.
_LISTED = "listed:"

_HOME = f"{CALDAV}calendar-home-set"
_ADDRESSES = f"{CALDAV}calendar-user-address-set"
_WRITES = {f"{DAV}{name}" for name in ("all", "write", "write-content", "bind")}

_ABOUT_CALENDARS = (
    "resourcetype",
    "displayname",
    "current-user-privilege-set",
    "c:supported-calendar-component-set",
)
_COLLECTIONS = dav_xml.propfind(*_ABOUT_CALENDARS)
_ACCOUNT = dav_xml.propfind(
    "current-user-principal",
    "c:calendar-home-set",
    "c:calendar-user-address-set",
    *_ABOUT_CALENDARS,
)
_REPORTS = dav_xml.propfind("supported-report-set")
_ETAGS = dav_xml.propfind("getetag", "resourcetype")

NOT_FOUND = (
    "No calendar was found at this address."
    " Enter the one that the provider names for CalDAV, and the account's own name."
)
MAKES_NONE = (
    "The calendar server makes no calendars from here."
    " Make one in your calendar app, and choose it here."
)
TOO_MANY = "The calendar holds too many entries. Choose one that holds less."
FORGOTTEN = "The calendar server no longer knows what was read last. Everything is read again."
CHANGED = "The entry has been changed elsewhere."


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a calendar was said to hold, etag and href by id; all that there is, if `whole`."""

    members: dict[str, tuple[str, str]]
    gone: set[str]
    token: str
    whole: bool


class CalDav:
    """An account at a CalDAV server; fulfils `Provider`. `zone` (IANA) is where days begin.

    `url` is the server's address as a person types it, that of the account's
    home, or of one calendar. Raises Rejected for what is no address. A
    calendar's id is its address.
    """

    def __init__(
        self, line: Guarded, url: str, user: str, password: str, *, zone: str = "UTC"
    ) -> None:
        self._line = DavLine(line, url, user, password)
        self._place = Place(zone, clock.now().date())
        self._addresses = {user.strip().lower()}
        self._asked_for_addresses = False

    # The account

    def calendars(self) -> list[OutsideCalendar]:
        homes, itself = self._homes()
        found = {itself.id: itself} if itself else {}
        for home in homes or [self._line.start]:
            answer = self._line.ask("PROPFIND", home, _COLLECTIONS, depth="1")
            if answer.status != 207:
                continue
            for resource in _resources(answer):
                calendar = _calendar(answer.url, resource)
                if calendar:
                    found.setdefault(calendar.id, calendar)
        if not found and not homes:
            raise Rejected(NOT_FOUND)
        return sorted(found.values(), key=lambda each: (each.name.casefold(), each.id))

    def make_calendar(self, name: str) -> OutsideCalendar:
        homes, _ = self._homes()
        if not homes:
            raise Rejected(MAKES_NONE)
        # By chance, since deleted ones may keep their address for weeks.
        url = f"{_folder(homes[0])}sync-calendar-{secrets.token_hex(8)}/"
        answer = self._line.ask("MKCALENDAR", url, dav_xml.mkcalendar(name))
        if answer.status == 507:
            refuse(answer)
        if answer.status not in {200, 201, 204}:
            raise Rejected(MAKES_NONE)
        return OutsideCalendar(id=url, name=name, writable=True)

    def _homes(self) -> tuple[list[str], OutsideCalendar | None]:
        """Where the account's calendars are, and the calendar that `url` itself may be."""
        itself, refused = None, None
        for address in _where_to_look(self._line.start):
            try:
                answer = self._line.ask("PROPFIND", address, _ACCOUNT, depth="0")
                for resource in _resources(answer) if answer.status == 207 else ():
                    itself = itself or _calendar(answer.url, resource)
                    homes = self._homes_of(answer.url, resource)
                    if homes:
                        return homes, itself
            except Rejected as rejected:
                refused = refused or rejected  # it may be told in the next place
        if refused and not itself:
            raise refused
        return [], itself

    def _homes_of(self, base: str, resource: Resource) -> list[str]:
        if homes := resource.hrefs(_HOME):
            self._addresses.update(map(_mail_address, resource.hrefs(_ADDRESSES)))
            return [joined(base, href) for href in homes]
        for principal in resource.hrefs(f"{DAV}current-user-principal")[:1]:
            answer = self._line.ask("PROPFIND", joined(base, principal), _ACCOUNT, depth="0")
            for found in _resources(answer) if answer.status == 207 else ():
                if found.hrefs(_HOME):
                    return self._homes_of(answer.url, found)
        return []

    # Entries

    def changes(self, calendar_id: str, token: str | None) -> Changes:
        listing = self._listing(calendar_id, token)
        entries, gone = list[Entry](), set(listing.gone)
        for entry_id, etag, data in self._contents(calendar_id, listing):
            if data is None:
                gone.add(entry_id)
            else:
                entries.append(outside_ics.entry(entry_id, etag, data, self._place))
        return Changes(
            entries=tuple(entries),
            gone=tuple(sorted(gone)),
            token=listing.token,
            whole=listing.whole,
        )

    def busy(self, calendar_id: str, token: str | None, window: Window) -> Busy:
        listing = self._listing(calendar_id, token)
        found, gone = dict[str, tuple[Span, ...]](), set(listing.gone)
        for entry_id, _, data in self._contents(calendar_id, listing):
            if data is None:
                gone.add(entry_id)
                continue
            if b"DECLINED" in data.upper():
                self._ask_for_addresses()
            spans = outside_ics.spans(data, window, self._place, self._addresses)
            if spans or (spans is not None and not listing.whole):
                found[entry_id] = spans
        return Busy(spans=found, gone=tuple(sorted(gone)), token=listing.token, whole=listing.whole)

    def get(self, calendar_id: str, entry_id: str) -> Entry | None:
        found = self._read(_href(calendar_id, entry_id))
        if found is None:
            return None
        etag, data = found
        return outside_ics.entry(entry_id, etag, data, self._place)

    def put(self, calendar_id: str, copy: Copy, etag: str | None) -> str:
        if etag == "":
            raise Stale(CHANGED)  # whether it is, nobody knows
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        headers |= {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        body = outside_ics.write(copy, clock.now())
        answer = self._line.ask("PUT", _href(calendar_id, copy.id), body, headers=headers)
        if answer.status not in {200, 201, 204}:
            self._refuse(calendar_id, answer)
        return _etag(answer.headers.get("etag", "")) or self._etag_of(calendar_id, copy)

    def remove(self, calendar_id: str, entry_id: str, etag: str | None) -> None:
        if etag == "":
            raise Stale(CHANGED)
        headers = {} if etag is None else {"If-Match": etag}
        answer = self._line.ask("DELETE", _href(calendar_id, entry_id), headers=headers)
        if answer.status in {200, 202, 204} | GONE:
            return
        # A condition on what is not there fails like one on what has changed.
        if answer.status != 412 or self.get(calendar_id, entry_id) is not None:
            self._refuse(calendar_id, answer)

    def _etag_of(self, calendar_id: str, copy: Copy) -> str:
        """That of the copy, unless somebody has changed it by now."""
        found = self.get(calendar_id, copy.id)
        same = found is not None and (found.mark, found.told) == (copy.mark, copy.told)
        return found.etag if found is not None and same else ""

    def _refuse(self, calendar_id: str, answer: Answer) -> NoReturn:
        """Raises what the answer to a write means that did not succeed."""
        # With a condition in its body, a 412 is about the entry and not about its etag.
        if answer.status == 412 and not dav_xml.conditions(answer.body):
            raise Stale(CHANGED)
        if answer.status in {404, 409, 410}:
            there = self._line.ask("PROPFIND", calendar_id, _REPORTS, depth="0")
            if there.status in GONE:
                raise Missing(NO_CALENDAR)
            if answer.status != 409:
                raise Stale(CHANGED)
        refuse(answer, writing=True)

    # Listing and reading

    def _listing(self, calendar_id: str, token: str | None) -> _Listing:
        syncs = self._syncs(calendar_id) if token is None else not token.startswith(_LISTED)
        return (self._synced if syncs else self._listed)(calendar_id, token)

    def _syncs(self, calendar_id: str) -> bool:
        answer = self._line.ask("PROPFIND", calendar_id, _REPORTS, depth="0")
        reports = (
            each.inside(f"{DAV}supported-report-set") for each in _resources_or_refuse(answer)
        )
        return any(f"{DAV}sync-collection" in each for each in reports)

    def _synced(self, calendar_id: str, token: str | None) -> _Listing:
        whole = token is None
        found = _Listing({}, set(), token or "", whole)
        for _ in range(MOST_ROUNDS):
            answer = self._line.ask(
                "REPORT", calendar_id, dav_xml.sync_collection(found.token), depth="0"
            )
            if answer.status != 207:
                _refuse_listing(answer, token)
            root, before = dav_xml.parse(answer.body), found.token
            more = [_take(found, calendar_id, each) for each in dav_xml.resources(root)]
            found = replace(found, token=root.findtext(f"{DAV}sync-token", "").strip())
            if not found.token:
                return self._listed(calendar_id, None)
            if not any(more):
                return replace(_counted(found), gone=set() if whole else found.gone)
            if found.token == before:
                break
        raise Later(BUSY)  # half a listing tells nothing

    def _listed(self, calendar_id: str, token: str | None) -> _Listing:
        answer = self._line.ask("PROPFIND", calendar_id, _ETAGS, depth="1")
        members = {
            entry_id: (etag, resource.href)
            for resource in _resources_or_refuse(answer)
            if (etag := _etag(resource.text(f"{DAV}getetag")))
            and (entry_id := _entry_id(calendar_id, resource.href)) is not None
        }
        lines = sorted(f"{entry_id}\n{etag}" for entry_id, (etag, _) in members.items())
        newest = _LISTED + sha256("\n".join(lines).encode(errors="replace")).hexdigest()[:32]
        if newest == token:
            return _Listing({}, set(), newest, whole=False)
        return _counted(_Listing(members, set(), newest, whole=True))

    def _contents(
        self, calendar_id: str, listing: _Listing
    ) -> Iterator[tuple[str, str, bytes | None]]:
        """Id, etag and data of each member; None for data that is no more."""
        left = iter(listing.members.items())
        while wanted := dict(islice(left, AT_ONCE)):
            for resource in self._together(calendar_id, wanted):
                entry_id = _entry_id(calendar_id, resource.href) or ""
                if resource.status >= 500:
                    raise Later(BUSY)
                data = resource.text(f"{CALDAV}calendar-data").encode(errors="replace")
                if entry_id not in wanted or not (data or resource.status in GONE):
                    continue
                etag = _etag(resource.text(f"{DAV}getetag")) or wanted[entry_id][0]
                del wanted[entry_id]
                yield entry_id, etag, data or None
            # What was passed over is asked for by itself.
            for entry_id, (etag, href) in wanted.items():
                try:
                    found = self._read(joined(calendar_id, href))
                except TooLong:
                    found = etag, b"too long"
                yield (entry_id, found[0] or etag, found[1]) if found else (entry_id, "", None)

    def _together(self, calendar_id: str, wanted: dict[str, tuple[str, str]]) -> list[Resource]:
        body = dav_xml.multiget(href for _, href in wanted.values())
        try:
            answer = self._line.ask("REPORT", calendar_id, body, depth="1")
        except TooLong:
            return []  # there are attachments that are written into an entry
        return _resources_or_refuse(answer)

    def _read(self, url: str) -> tuple[str, bytes] | None:
        answer = self._line.ask("GET", url, headers={"Accept": "text/calendar"})
        if answer.status in GONE:
            return None
        if answer.status != 200:
            refuse(answer)
        return _etag(answer.headers.get("etag", "")), answer.body

    def _ask_for_addresses(self) -> None:
        if not self._asked_for_addresses:
            self._asked_for_addresses = True
            with suppress(Rejected):
                self._homes()


def _where_to_look(start: str) -> Iterator[str]:
    """What was typed, and where RFC 6764 has us look: there first, if there is no path."""
    root = urljoin(start, "/")
    known = f"{root}.well-known/caldav"
    yield from (known, root) if start == root else (start, known, root)


def _calendar(base: str, resource: Resource) -> OutsideCalendar | None:
    """The calendar that a resource is, if it is one for events."""
    if f"{CALDAV}calendar" not in resource.inside(f"{DAV}resourcetype"):
        return None
    kinds = resource.props.get(f"{CALDAV}supported-calendar-component-set")
    if kinds is not None and "VEVENT" not in {each.get("name") for each in kinds}:
        return None
    url = _folder(joined(base, resource.href))
    name = resource.text(f"{DAV}displayname") or unquote(url.split("/")[-2])
    rights = f"{DAV}current-user-privilege-set"
    writable = rights not in resource.props or bool(resource.inside(rights) & _WRITES)
    return OutsideCalendar(id=url, name=" ".join(cleaned(name).split())[:255], writable=writable)


def _folder(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"


def _mail_address(href: str) -> str:
    return href.strip().lower().removeprefix("mailto:")


def _entry_id(calendar_id: str, href: str) -> str | None:
    """The resource's name, without its ending; None for what is not in the calendar itself."""
    try:
        folder, _, last = urlsplit(href).path.rpartition("/")
    except ValueError:
        return None
    if not last or path_of(f"{folder}/") != path_of(calendar_id):
        return None
    name = unquote(last)
    return name.removesuffix(".ics") if name.endswith(".ics") else f"/{name}"


def _href(calendar_id: str, entry_id: str) -> str:
    name = entry_id[1:] if entry_id.startswith("/") else f"{entry_id}.ics"
    return _folder(calendar_id) + quote(name, safe="")


def _etag(text: str) -> str:
    """As If-Match wants it: proxies weaken it, some servers forget its quotation marks."""
    etag = text.strip().removeprefix("W/")
    return etag if not etag or etag.startswith('"') else f'"{etag}"'


def _take(found: _Listing, calendar_id: str, resource: Resource) -> bool:
    """Adds what is said of one resource; True if it says that the listing is cut short."""
    entry_id = _entry_id(calendar_id, resource.href)
    if entry_id is None or resource.status == 507:
        return resource.status == 507
    if resource.status >= 500:
        raise Later(BUSY)
    if resource.status == 200:
        found.members[entry_id] = (_etag(resource.text(f"{DAV}getetag")), resource.href)
        found.gone.discard(entry_id)
    elif resource.status in GONE:
        found.members.pop(entry_id, None)
        found.gone.add(entry_id)
    return False


def _counted(found: _Listing) -> _Listing:
    if len(found.members) > MOST_ENTRIES:
        raise Rejected(TOO_MANY)
    return found


def _resources(answer: Answer) -> list[Resource]:
    return list(dav_xml.resources(dav_xml.parse(answer.body)))


def _resources_or_refuse(answer: Answer) -> list[Resource]:
    if answer.status != 207:
        refuse(answer)
    return _resources(answer)


def _refuse_listing(answer: Answer, token: str | None) -> NoReturn:
    """By the element alone: servers disagree on the status of a token that they do not know."""
    forgotten = "valid-sync-token" in dav_xml.conditions(answer.body)
    if token is not None and (forgotten or answer.status in {410, 507}):
        raise Expired(FORGOTTEN)
    refuse(answer)
