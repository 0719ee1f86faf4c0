"""A Google Calendar of the tests' own, on real sockets: documented behaviour, not verified.

It follows Google's guides and its API's description, and notes of people who
tried: ids are never free again, a removed event stays as `cancelled`, tokens tell
what changed since. Nobody has held it against Google itself. Any answer can be
put before its own, for what cannot be brought about otherwise.
"""

import json
import re
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest

from sync_ui.gateways.google import Google
from sync_ui.gateways.google_sign_in import TWO_WAY, App, Endpoints, Tokens
from tests.gateways.discovery import BASE, Checked, Tree, selected

Fields = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request, the names of its headers in lower case; `body` was JSON or a form."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Answer:
    errors = [{"domain": "global", "reason": reason, "message": "In Google's words."}]
    return Answer(status, {"error": {"code": status, "errors": errors}}, headers or {})


@dataclass
class Calendar:
    """A calendar with all events that it ever had; `changed` tells which change was their last."""

    id: str
    summary: str
    zone: str = "America/New_York"
    role: str = "owner"
    events: dict[str, Fields] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)

    def store(self, event: Fields, change: int) -> Fields:
        event["etag"] = f'"{change}"'
        self.events[event["id"]] = event
        self.changed[event["id"]] = change
        return event


class ScriptedGoogle:
    """The server's state and its script."""

    def __init__(self, address: str) -> None:
        self.app = App(
            "practice.apps.example",
            "a client's secret",
            Endpoints(f"{address}/auth", f"{address}/token", f"{address}/revoke", address + BASE),
        )
        self.asked: list[Asked] = []
        self.calendars: dict[str, Calendar] = {}
        self.refresh_tokens = {"refresh-1"}
        self.access_tokens: set[str] = set()
        # What the next code is worth: the answer of the token endpoint.
        self.codes: dict[str, Fields] = {}
        # Where people are sent back to, and what the codes they bring were asked for with.
        self.redirects: set[str] = set()
        self._asked_with: dict[str, Mapping[str, str]] = {}
        # By its id: what was asked for, and what Google calls the calendar.
        self.channels: dict[str, Fields] = {}
        self.promises_until = datetime.fromtimestamp(1795000000, UTC)
        self.rotates = False
        self.page_size = 2500
        self.empty_page_first = False
        self._script: list[tuple[str, str, Answer]] = []
        self._change = 0
        self._oldest = 0
        self._lock = threading.Lock()

    @property
    def tokens(self) -> Tokens:
        return Tokens("refresh-1")

    def calendar(self, name: str, **more: Any) -> Calendar:
        # With what an address has to quote, as the ids of Google's own holidays have.
        made = Calendar(f"c{len(self.calendars) + 1}#own@group.calendar.example", name, **more)
        self.calendars[made.id] = made
        return made

    def somebody_writes(self, calendar: Calendar, event_id: str, **fields: Any) -> Fields:
        """A change made in Google's own pages."""
        usual = {"id": event_id, "status": "confirmed", "eventType": "default"}
        return calendar.store(
            {**usual, **calendar.events.get(event_id, {}), **fields}, self._next_change()
        )

    def somebody_removes(self, calendar: Calendar, event_id: str) -> None:
        self.somebody_writes(calendar, event_id, status="cancelled")

    def forget_changes(self) -> None:
        """Every token handed out so far is too old."""
        self._oldest = self._next_change()

    def will_answer(self, method: str, path: str, answer: Answer) -> None:
        """Once, to the next request whose path holds `path`; before anything happens."""
        self._script.append((method, path, answer))

    def _next_change(self) -> int:
        self._change += 1
        return self._change

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            for line in self._script:
                if line[0] == asked.method and line[1] in asked.path:
                    self._script.remove(line)
                    return line[2]
            if asked.path == "/auth":
                return self._consent(asked.query)
            if asked.path == "/token":
                return self._token(asked.body)
            if asked.path == "/revoke":
                known = asked.body["token"] in self.refresh_tokens
                self.refresh_tokens.discard(asked.body["token"])
                return Answer(200 if known else 400, {})
            if asked.headers.get("authorization", "")[7:] not in self.access_tokens:
                return refusal(401, "authError")
            answer = self._of_the_api(asked)
        if "fields" in asked.query and answer.status == 200:
            return Answer(200, _only(answer.body, selected(asked.query["fields"])))
        return answer

    def _consent(self, query: Mapping[str, str]) -> Answer:
        """Whoever comes agrees to all."""
        known = query["client_id"] == self.app.client_id and query["response_type"] == "code"
        if not known or query["redirect_uri"] not in self.redirects:
            return Answer(400, {"error": "redirect_uri_mismatch"})
        assert query["code_challenge_method"] == "S256"
        number = self._next_change()
        code, access, refresh = f"code-{number}", f"access-{number}", f"refresh-{number}"
        told = {"access_token": access, "expires_in": 3600, "token_type": "Bearer"}
        self.codes[code] = {**told, "refresh_token": refresh, "scope": query["scope"]}
        self.access_tokens.add(access)
        self.refresh_tokens.add(refresh)
        self._asked_with[code] = query
        back = urlencode({"state": query["state"], "code": code, "scope": query["scope"]})
        return Answer(302, None, {"Location": f"{query['redirect_uri']}?{back}"})

    def _is_whose_code(self, form: Mapping[str, str]) -> bool:
        asked = self._asked_with.get(form["code"])
        if asked is None:
            return True
        digest = sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        return (asked["code_challenge"], asked["redirect_uri"]) == (challenge, form["redirect_uri"])

    def _token(self, form: Mapping[str, str]) -> Answer:
        if form["client_secret"] != self.app.client_secret:
            return Answer(401, {"error": "invalid_client"})
        if form["grant_type"] == "authorization_code":
            worth = self.codes.pop(form["code"], None)
            if not self._is_whose_code(form):
                worth = None
            return Answer(200, worth) if worth else Answer(400, {"error": "invalid_grant"})
        if form["refresh_token"] not in self.refresh_tokens:
            return Answer(400, {"error": "invalid_grant"})
        access = f"access-{self._next_change()}"
        self.access_tokens.add(access)
        told = {"access_token": access, "expires_in": 3600, "token_type": "Bearer"}
        if self.rotates:
            told["refresh_token"] = f"refresh-{self._next_change()}"
            self.refresh_tokens = {str(told["refresh_token"])}
        return Answer(200, told)

    def _of_the_api(self, asked: Asked) -> Answer:
        path = asked.path.removeprefix(BASE)
        if path == "users/me/calendarList":
            items = [
                {"id": each.id, "summary": each.summary, "accessRole": each.role}
                for each in self.calendars.values()
            ]
            return Answer(200, {"items": items})
        if path == "calendars":
            made = self.calendar(asked.body["summary"], zone=asked.body.get("timeZone", "UTC"))
            return Answer(200, {"id": made.id, "summary": made.summary, "timeZone": made.zone})
        if path == "channels/stop":
            self.channels.pop(asked.body["id"], None)
            return Answer(204)
        found = re.fullmatch(r"calendars/([^/]+)/events(?:/([^/]+))?", path)
        assert found is not None, path
        calendar = self.calendars.get(unquote(found[1]))
        if calendar is None:
            return refusal(404, "notFound")
        if found[2] == "watch":
            resource, ends = f"of {calendar.id}", self.promises_until.timestamp() * 1000
            self.channels[asked.body["id"]] = {**asked.body, "resourceId": resource}
            told = {"id": asked.body["id"], "resourceId": resource, "expiration": str(int(ends))}
            return Answer(200, told)
        if found[2] is None:
            return (self._list if asked.method == "GET" else self._insert)(calendar, asked)
        return self._of_one(calendar, unquote(found[2]), asked)

    def _insert(self, calendar: Calendar, asked: Asked) -> Answer:
        if asked.body["id"] in calendar.events:
            return refusal(409, "duplicate")
        return Answer(200, calendar.store(dict(asked.body), self._next_change()))

    def _of_one(self, calendar: Calendar, event_id: str, asked: Asked) -> Answer:
        event = calendar.events.get(event_id)
        if event is None:
            return refusal(404, "notFound")
        if asked.method == "GET":
            return Answer(200, event)
        if asked.method == "DELETE" and event["status"] == "cancelled":
            return refusal(410, "deleted")
        if asked.headers.get("if-match") not in {None, event["etag"]}:
            return refusal(412, "conditionNotMet")
        if asked.method == "DELETE":
            gone = {"id": event_id, "status": "cancelled"}
            calendar.store(gone, self._next_change())
            return Answer(204)
        merged = _merged(event, asked.body)
        if any(len({"date", "dateTime"} & set(merged[end])) != 1 for end in ("start", "end")):
            return refusal(400, "invalid")
        if merged == event:
            return Answer(200, event)
        return Answer(200, calendar.store(merged, self._next_change()))

    def _list(self, calendar: Calendar, asked: Asked) -> Answer:
        query = asked.query
        asks = sorted({*query} - {"syncToken", "pageToken", "timeMin", "timeMax"})
        kind = json.dumps([(name, query[name]) for name in asks])
        since = 0
        if "syncToken" in query:
            if {"timeMin", "timeMax", "orderBy", "q", "updatedMin"} & set(query):
                return refusal(400, "invalid")
            try:
                since, same_kind = json.loads(query["syncToken"])
            except ValueError:
                return refusal(400, "invalid")
            if since < self._oldest:
                return refusal(410, "fullSyncRequired")
            if same_kind != kind:
                return refusal(400, "invalid")
        events = [
            event
            for event in calendar.events.values()
            if calendar.changed[event["id"]] > since and (since or event["status"] != "cancelled")
        ]
        return Answer(200, self._page(calendar, events, query, kind))

    def _page(
        self, calendar: Calendar, events: list[Fields], query: Mapping[str, str], kind: str
    ) -> Fields:
        page: Fields = {"timeZone": calendar.zone, "items": []}
        if self.empty_page_first and "pageToken" not in query:
            return {**page, "nextPageToken": "0"}
        start = int(query.get("pageToken", "0"))
        end = start + self.page_size
        page["items"] = [_tombstone(event) for event in events[start:end]]
        if end < len(events):
            return {**page, "nextPageToken": str(end)}
        return {**page, "nextSyncToken": json.dumps([self._change, kind])}


def _tombstone(event: Fields) -> Fields:
    """Of a removed event only the id is promised."""
    if event["status"] != "cancelled":
        return event
    return {"id": event["id"], "status": "cancelled"}


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(new, dict):
        return new
    old = old if isinstance(old, dict) else {}
    merged = {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def _only(body: Any, tree: Tree) -> Any:
    if not tree:
        return body
    if isinstance(body, list):
        return [_only(each, tree) for each in body]
    return {name: _only(body[name], below) for name, below in tree.items() if name in body}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    google: ScriptedGoogle

    def _answer(self) -> None:
        url = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.headers.get_content_type() == "application/json":
            body: Any = json.loads(sent)
        else:
            body = dict(parse_qsl(sent))
        query = dict(parse_qsl(url.query))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.google.answer(Asked(self.command, url.path, query, headers, body))
        told = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def google_server() -> Iterator[ScriptedGoogle]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        google = ScriptedGoogle(f"http://127.0.0.1:{server.server_port}")
        server.RequestHandlerClass = type("Handler", (_Handler,), {"google": google})
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield google
        server.shutdown()


@contextmanager
def signed_in(app: App, tokens: Tokens, scopes: Iterable[str] = TWO_WAY) -> Iterator[Google]:
    """Google as our gateway sees it, held to Google's description of its API."""
    google = Google(app, tokens)
    google.session.mount("http://", Checked(scopes))
    yield google
    google.session.close()
    google.signing_in.close()


@pytest.fixture
def google(google_server: ScriptedGoogle) -> Iterator[Google]:
    """The account of a clinician who has connected it both ways."""
    with signed_in(google_server.app, google_server.tokens) as account:
        yield account
