"""Google Calendar: a clinician's account there, as a provider of calendars.

Of calendars that are not ours no title is asked for, only when they are taken.
Nobody is ever invited, and nobody gets mail from Google because of us.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials

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
    SignedOut,
    Stale,
    Trouble,
    Window,
)
from sync_ui.gateways import google_events
from sync_ui.gateways.google_sign_in import NOT_KNOWN, OUT_OF_REACH, TIMEOUT, App, Tokens

_ENTRIES = f"nextPageToken,nextSyncToken,items({google_events.ENTRY})"
_BUSY_TIMES = f"nextPageToken,nextSyncToken,timeZone,items({google_events.BUSY})"
# As many as Google allows, for fewer requests.
_PAGE = 2500

_STALE = "The event was changed in Google Calendar meanwhile."
_MISSING = "The calendar is no longer in the Google account."
_SIGNED_OUT = "Google no longer accepts the sign-in. Connect the account again."
_FORGOTTEN = "Google no longer knows what has changed."
_BUSY = "Google asks us to wait."

# Reasons within a 403 that pass by themselves.
_LIMITS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}
_SWITCHED_OFF = (
    "The Google Calendar API is switched off for this installation. "
    "Ask your administrator to switch it on in the practice's Google Cloud project."
)
_NOT_VERIFIED = (
    "Google does not accept this server's address for its messages. "
    "The administrator has to verify the domain in the practice's Google Cloud project."
)
# What the methods themselves make sense of.
_TOLD = {404, 409, 410, 412}


@dataclass(frozen=True, slots=True)
class Channel:
    """A promise of Google's to call us when a calendar changes."""

    resource_id: str
    expires_at: datetime


class Google:
    """An account at Google, signed in with `tokens`. Fulfils `Provider`."""

    def __init__(self, app: App, tokens: Tokens) -> None:
        expires_at = tokens.expires_at
        # Made by hand: what google-auth offers for stored tokens forgets `token_uri`.
        self._credentials = Credentials(
            token=tokens.access or None,
            refresh_token=tokens.refresh,
            token_uri=app.at.token,
            client_id=app.client_id,
            client_secret=app.client_secret,
            # The library counts in UTC without saying so.
            expiry=expires_at and expires_at.astimezone(UTC).replace(tzinfo=None),
        )
        self.signing_in = requests.Session()
        self.session = AuthorizedSession(self._credentials, auth_request=Request(self.signing_in))
        for session in (self.signing_in, self.session):
            session.trust_env = False
        self._api = app.at.api

    @property
    def tokens(self) -> Tokens:
        """As they are now; to be stored whenever they differ from those given."""
        held = self._credentials
        expires_at = held.expiry and held.expiry.replace(tzinfo=UTC)
        return Tokens(held.refresh_token, held.token or "", expires_at)

    def calendars(self) -> list[OutsideCalendar]:
        """Every calendar in the account's list. Needs the permissions of two-way."""
        query = {"fields": "nextPageToken,items(id,summary,summaryOverride,accessRole)"}
        return [
            OutsideCalendar(
                id=item["id"],
                name=item.get("summaryOverride") or item.get("summary", ""),
                writable=item.get("accessRole") in {"owner", "writer"},
            )
            for page in self._pages("users/me/calendarList", {**query, "maxResults": 250})
            for item in page.get("items", [])
        ]

    def make_calendar(self, name: str, time_zone: str = "") -> OutsideCalendar:
        """A new one of the account's own, in that zone (IANA) or in Google's choice."""
        body = {"summary": name} | ({"timeZone": time_zone} if time_zone else {})
        made = _read(_insist(self._ask("POST", "calendars", {"fields": "id,summary"}, body)))
        return OutsideCalendar(id=made["id"], name=made.get("summary", name), writable=True)

    def changes(self, calendar_id: str, token: str | None) -> Changes:
        query = {"fields": _ENTRIES, "maxResults": _PAGE}
        pages = self._listed(calendar_id, query, token)
        there, gone = _parted(pages)
        return Changes(
            entries=tuple(google_events.entry(item) for item in there),
            gone=gone,
            token=pages[-1].get("nextSyncToken", ""),
            whole=not token,
        )

    def get(self, calendar_id: str, entry_id: str) -> Entry | None:
        found = self._found(calendar_id, entry_id)
        if found is None or found.get("status") == "cancelled":
            return None
        return google_events.entry(found)

    def put(self, calendar_id: str, copy: Copy, etag: str | None) -> str:
        if etag is not None:
            return self._overwrite(calendar_id, copy, etag)
        body = {"id": copy.id, **google_events.body(copy), **google_events.QUIET}
        response = self._ask("POST", _events(calendar_id), _WRITING, body)
        if response.status_code == 409:
            return self._revive(calendar_id, copy)
        return _etag(_insist(response, missing=Missing(_MISSING)))

    def _revive(self, calendar_id: str, copy: Copy) -> str:
        """Google keeps the id of a removed event for good: such a one stands up again."""
        found = self._found(calendar_id, copy.id)
        if found is None or found.get("status") != "cancelled":
            raise Stale(_STALE)
        return self._overwrite(calendar_id, copy, found.get("etag"), google_events.QUIET)

    def _overwrite(
        self, calendar_id: str, copy: Copy, etag: str | None, more: Mapping[str, Any] | None = None
    ) -> str:
        # A patch: the colour and reminders that somebody chose for it stay.
        body = {**google_events.body(copy, clearing=True), **(more or {})}
        path = _events(calendar_id, copy.id)
        response = self._ask("PATCH", path, _WRITING, body, etag)
        return _etag(_insist(response, missing=Stale(_STALE)))

    def remove(self, calendar_id: str, entry_id: str, etag: str | None) -> None:
        query = {"sendUpdates": "none"}
        response = self._ask("DELETE", _events(calendar_id, entry_id), query, etag=etag)
        if response.status_code not in {404, 410}:
            _insist(response)

    def busy(self, calendar_id: str, token: str | None, window: Window) -> Busy:
        query = {
            "fields": _BUSY_TIMES,
            "maxResults": _PAGE,
            "singleEvents": "true",
            # So that of all guests only the account's own owner is told.
            "maxAttendees": 1,
        }
        if not token:  # afterwards Google knows by the token, and allows neither
            query["timeMin"] = window.starts_at.isoformat()
            query["timeMax"] = window.ends_at.isoformat()
        pages = self._listed(calendar_id, query, token)
        zone = pages[-1].get("timeZone", "UTC")
        there, gone = _parted(pages)
        spans = {item["id"]: tuple(google_events.spans(item, zone, window)) for item in there}
        return Busy(
            # What takes no time tells something only to whoever knew of it.
            spans={each: taken for each, taken in spans.items() if taken or token},
            gone=gone,
            token=pages[-1].get("nextSyncToken", ""),
            whole=not token,
        )

    def watch(
        self, calendar_id: str, channel_id: str, token: str, address: str, seconds: int
    ) -> Channel:
        """Google calls `address` with `token` on changes, for about so long. Raises Missing.

        `channel_id` was never used before; `address` is https.
        """
        body = {
            "id": channel_id,
            "type": "web_hook",
            "address": address,
            "token": token,
            "params": {"ttl": str(seconds)},
        }
        response = self._ask("POST", f"{_events(calendar_id)}/watch", body=body)
        told = _read(_insist(response, missing=Missing(_MISSING)))
        expires_at = datetime.fromtimestamp(int(told["expiration"]) / 1000, UTC)
        return Channel(told["resourceId"], expires_at)

    def stop(self, channel_id: str, resource_id: str) -> None:
        """Google calls no longer; a message under way may still come."""
        body = {"id": channel_id, "resourceId": resource_id}
        response = self._ask("POST", "channels/stop", body=body)
        if response.status_code != 404:
            _insist(response)

    def _found(self, calendar_id: str, entry_id: str) -> dict[str, Any] | None:
        query = {"fields": google_events.ENTRY}
        response = self._ask("GET", _events(calendar_id, entry_id), query)
        return None if response.status_code in {404, 410} else _read(_insist(response))

    def _listed(
        self, calendar_id: str, query: Mapping[str, Any], token: str | None
    ) -> list[dict[str, Any]]:
        """All pages of a listing of events, at least one."""
        query = {**query, "syncToken": token or None}
        try:
            return list(self._pages(_events(calendar_id), query))
        except Rejected:
            if token:  # the answer to a token that Google never gave
                raise Expired(_FORGOTTEN) from None
            raise

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        next_page = None
        while next_page != "":
            response = self._ask("GET", path, {**query, "pageToken": next_page})
            if response.status_code == 410 and query.get("syncToken"):
                raise Expired(_FORGOTTEN)
            page = _read(_insist(response, missing=Missing(_MISSING)))
            yield page
            next_page = page.get("nextPageToken") or ""

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        etag: str | None = None,
    ) -> requests.Response:
        """An answer that says yes, or one of `_TOLD`. Raises SignedOut, Later, Rejected."""
        try:
            response: requests.Response = self.session.request(
                method,
                self._api + path,
                params=query,
                json=body,
                headers={"If-Match": etag} if etag else {},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except RefreshError as error:
            raise _not_refreshed(error) from None
        except (GoogleAuthError, requests.RequestException):
            raise Later(OUT_OF_REACH) from None
        if response.status_code in {200, 204, *_TOLD}:
            return response
        raise _trouble(response)


def _parted(pages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The events that are there, and the ids of those that are no more.

    What changes while the pages are read can be told twice: the last word counts.
    """
    items = {item["id"]: item for page in pages for item in page.get("items", [])}
    there = [item for item in items.values() if item.get("status") != "cancelled"]
    gone = [item["id"] for item in items.values() if item.get("status") == "cancelled"]
    return there, tuple(gone)


def _events(calendar_id: str, entry_id: str = "") -> str:
    path = f"calendars/{quote(calendar_id, safe='')}/events"
    return f"{path}/{quote(entry_id, safe='')}" if entry_id else path


_WRITING = {"sendUpdates": "none", "fields": "etag"}


def _insist(response: requests.Response, missing: Trouble | None = None) -> requests.Response:
    """The same answer if it says yes; `missing` is raised where there is nothing (any more)."""
    if response.status_code in {409, 412}:
        raise Stale(_STALE)
    if response.status_code in {404, 410}:
        raise missing or _trouble(response)
    return response


def _read(response: requests.Response) -> dict[str, Any]:
    try:
        read = response.json()
    except requests.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        raise Later("Google's answer could not be read.")
    return read


def _etag(response: requests.Response) -> str:
    etag: str = _read(response).get("etag", "")
    return etag


def _not_refreshed(error: RefreshError) -> Trouble:
    if error.retryable:
        return Later(OUT_OF_REACH)
    told = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    if told.get("error") in {"invalid_client", "unauthorized_client", "deleted_client"}:
        return Later(NOT_KNOWN)
    return SignedOut(_SIGNED_OUT)


def _trouble(response: requests.Response) -> Trouble:
    status, reason = response.status_code, _reason(response)
    if reason == "accessNotConfigured":  # mends itself as soon as somebody has done it
        return Later(_SWITCHED_OFF)
    if reason == "push.webhookUrlUnauthorized":  # a 401, though the sign-in is good
        return Rejected(_NOT_VERIFIED)
    if status in {408, 429} or status >= 500 or (status == 403 and reason in _LIMITS):
        return Later(_BUSY, _retry_after(response))
    if status == 401:
        return SignedOut(_SIGNED_OUT)
    if reason == "insufficientPermissions":
        return SignedOut("Google was not given the permission for this. Connect again.")
    return Rejected(f"Google refuses this ({reason or status}).")


def _reason(response: requests.Response) -> str:
    try:
        reason: str = response.json()["error"]["errors"][0]["reason"]
    except (requests.JSONDecodeError, LookupError, TypeError):
        return ""
    return reason


def _retry_after(response: requests.Response) -> float | None:
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else None
