"""How forms answer in the schedule's dialog, and on pages of their own."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import flash, redirect, request, url_for
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

from sync_ui.services import changes
from sync_ui.services.series import Scope
from sync_ui.web.signing import actor

View = str | Response | tuple[str, int]

Undo = Mapping[str, object]


def done(words: str, day: date, undo: Undo | None = None) -> View:
    """Said where it was done: in the schedule, whose dialog closes, or on the next page."""
    if htmx_request.htmx:
        toast = {"text": words} | ({"undo": undo} if undo else {})
        events = {"dialog-done": {}, "schedule-changed": {}, "toast": toast}
        answer: Response = make_response("", 204, trigger=events)
        return answer
    flash(words)
    query: dict[str, Any] = {"from": day.isoformat()}  # a reserved word of Python
    query["clinician"] = request.args.get("clinician", type=int)
    return redirect(url_for("schedule.show", **query))


def undo_of(appointment_id: int) -> Undo | None:
    """What takes back the change of a series that the actor has just made."""
    change_id = changes.latest(actor(), appointment_id)
    if change_id is None:
        return None
    return {"url": url_for("moves.undo", change_id=change_id), "values": {}}


def in_dialog() -> bool:
    return request.headers.get("HX-Target") == "dialog-body"


def scope_of(word: str | None) -> Scope | None:
    return Scope(word) if word in set(Scope) else None


def number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None
