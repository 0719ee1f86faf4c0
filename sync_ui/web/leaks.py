"""Leak help: someone else has a link's address."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.errors import NotFound
from sync_ui.models import Reason
from sync_ui.services import leaks, links
from sync_ui.web.links import door
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("leaks", __name__)

View = str | Response

# What can be done about it, and the sentence that says so.
_STOPS = {
    "reset": (links.reset, "The old address shows no appointment any more."),
    "disable": (links.disable, "The link is disabled: no address of it shows anything any more."),
}


@blueprint.get("/calendars/<key>/links/<int:link_id>/leak")
@guard(Permission.OWN_LINKS)
def show(key: str, link_id: int) -> View:
    """What the address has told and to whom; once it is dead, the note and what is to be done."""
    calendar, link = door(key, link_id)
    found = leaks.report(actor(), link_id, taken_back="taken" in request.args)
    return render_template(
        "leaks/show.html",
        key=links.key(calendar),
        calendar_name=links.name(calendar),
        link=link,
        report=found,
        is_live=links.is_live(link),
    )


@blueprint.post("/calendars/<key>/links/<int:link_id>/leak")
@guard(Permission.OWN_LINKS)
def stop(key: str, link_id: int) -> View:
    """The address is dead at once: `how` is reset or disable."""
    door(key, link_id)
    try:
        act, sentence = _STOPS[request.form.get("how", "")]
    except KeyError:
        raise NotFound("There is no such way to stop a link.") from None
    act(actor(), link_id, Reason.LEAKED)
    flash(sentence)
    return redirect(url_for("leaks.show", key=key, link_id=link_id, taken="1"))
