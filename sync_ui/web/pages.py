"""What every page has: navigation, the way home, versions of static files."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from flask import Blueprint, Flask, current_app, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from sync_ui.config import ROOT
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.services import access, backups, keys, limits, links, practice, sessions
from sync_ui.web.signing import actor

blueprint = Blueprint("pages", __name__)


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation."""

    label: str
    url: str
    active: bool


# (label, endpoint, the permissions of which one is needed)
PLACES = (
    ("Schedule", "schedule.show", {Permission.OWN_SCHEDULE}),
    ("Calendars", "links.calendars", {Permission.EVERY_LINK}),
    ("Clients", "clients.listed", {Permission.OWN_CLIENTS}),
    ("Import", "imports.upload", {Permission.IMPORTS}),
    ("People", "people.listed", {Permission.PEOPLE}),
    ("Settings", "practice.settings", {Permission.SETTINGS}),
)

# The place of the navigation that pages without one of their own belong to.
ABOVE = {
    "appointments": "schedule",
    "audit": "practice",
    "backups": "practice",
    "connection": "links",
    "connections": "links",
    "doors": "practice",
    "duplicates": "clients",
    "exports": "schedule",
    "holidays": "practice",
    "keys": "practice",
    "link": "links",
    "proposals": "schedule",
    "types": "practice",
}


def init_app(app: Flask) -> None:
    app.context_processor(_common)
    app.jinja_env.globals["asset"] = asset
    app.jinja_env.filters["words"] = mode_words


@blueprint.get("/")
def home() -> Response:
    if not practice.is_set_up():
        return redirect(url_for("setup.begin"))
    return redirect(url_for("schedule.show"))


@blueprint.get("/robots.txt")
def robots() -> tuple[str, int, dict[str, str]]:
    """Feeds stay open: Google asks robots.txt before it reads a calendar."""
    lines = "User-agent: *\nAllow: /cal/\nDisallow: /\n"
    return lines, 200, {"Content-Type": "text/plain; charset=utf-8"}


def mode_words(mode: DisplayMode) -> str:
    """`Initials`, `Internal ID` …: what a badge says."""
    words = limits.MODE_WORDS[mode]
    return words[0].upper() + words[1:]


def asset(path: str) -> str:
    """The address of a static file; changes with its content, so that it can be kept for ever."""
    # By hand, since a long list has thousands of icons, and url_for is slow.
    return f"{request.script_root}{current_app.static_url_path}/{path}?v={_version(path)}"


@lru_cache
def _version(path: str) -> str:
    return hashlib.sha256((ROOT / "static" / path).read_bytes()).hexdigest()[:12]


def _common() -> dict[str, object]:
    if not current_user.is_authenticated:
        return {
            "session_seconds": None,
            "nav": [],
            "own_sync_url": None,
            "may": lambda _: False,
            "practice_name": "",
        }
    return {
        "session_seconds": sessions.seconds_left(current_user.id),
        "nav": _navigation(),
        "own_sync_url": _own_sync_url(),
        "may": lambda permission: actor().may(Permission(permission)),
        "practice_name": practice.get().name,
        "needs_sheet": lambda: keys.needs_sheet(actor()),
        "backup_too_old": lambda: actor().may(Permission.SETTINGS) and backups.is_too_old(),
    }


def _navigation() -> list[Place]:
    here = ABOVE.get(request.blueprint or "", request.blueprint)
    return [
        Place(label, url_for(endpoint), endpoint.partition(".")[0] == here)
        for label, endpoint, needed in PLACES
        if any(actor().may(permission) for permission in needed)
    ]


def _own_sync_url() -> str | None:
    own = access.own_calendar(actor())
    if own is not None:
        return url_for("links.sync", key=links.key(own))
    return url_for("links.calendars") if actor().may(Permission.EVERY_LINK) else None
