"""Leak help: someone else has a link's address."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.errors import NotFound
from sync_ui.models import Reason
from sync_ui.services import leaks, links
from sync_ui.web import confirming, dates
from sync_ui.web.links import door
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("leaks", __name__)

View = str | Response

# What can be done about it, and the sentence that says so.
_STOPS = {
    "reset": (links.reset, "The old address shows no appointment any more."),
    "disable": (links.disable, "The link is disabled: no address of it shows anything any more."),
}

_GIVEN_UP = {
    None: "",
    Reason.LEAKED: ", given up because somebody else may have it",
    Reason.LOST: ", given up because a device was lost or stolen",
    Reason.LEFT: ", given up because somebody has left the practice",
    Reason.ROUTINE: ", given up as a routine change",
}


@blueprint.get("/calendars/<key>/links/<int:link_id>/leak")
@guard(Permission.OWN_LINKS)
def show(key: str, link_id: int) -> View:
    """What the address has told and to whom; once it is dead, the note and what is to be done."""
    calendar, link = door(key, link_id)
    found = leaks.report(actor(), link_id, request.args.get("address", type=int))
    return render_template(
        "leaks/show.html",
        key=links.key(calendar),
        calendar_name=links.name(calendar),
        link=link,
        report=found,
        is_live=links.is_live(link),
        addresses={address.id: _told(address) for address in found.addresses},
    )


@blueprint.post("/calendars/<key>/links/<int:link_id>/leak")
@guard(Permission.OWN_LINKS)
def stop(key: str, link_id: int) -> View:
    """The address is dead at once: `how` is reset or disable."""
    calendar, _ = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    try:
        act, sentence = _STOPS[request.form.get("how", "")]
    except KeyError:
        raise NotFound("There is no such way to stop a link.") from None
    link = act(actor(), link_id, Reason.LEAKED)
    flash(sentence)
    stopped = next(address.id for address in leaks.addresses(link) if address.until)
    return redirect(url_for("leaks.show", key=key, link_id=link_id, address=stopped))


def _told(address: leaks.Address) -> str:
    """`Until 11:57 today, given up because …`: which of a link's addresses it is."""
    if address.until is None:
        return "The one in use"
    day = dates.short_day(address.until)
    when = "today" if day == dates.short_day(dates.today()) else f"on {day}"
    return f"Until {dates.clock_time(address.until)} {when}{_GIVEN_UP[address.reason]}"
