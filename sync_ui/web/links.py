"""Sync Calendar: a calendar's links, and every way to get one onto a phone."""

from io import BytesIO

import qrcode
import qrcode.image.svg
from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf import FlaskForm
from htmx_flask import request as htmx_request
from markupsafe import Markup
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, RadioField, StringField
from wtforms.validators import InputRequired

from sync_ui import worker
from sync_ui.domain import apps
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import ConfirmationNeeded, NotFound, SyncError
from sync_ui.models import Calendar, Link
from sync_ui.models.installation import current
from sync_ui.services import access, feeds, links, mail, practice
from sync_ui.web.forms import MODES
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("links", __name__)

View = str | Response | tuple[str, int]


class AllowForm(FlaskForm):  # type: ignore[misc]
    allowed = BooleanField("Allow this calendar to sync to an external calendaring application")


class ModeForm(FlaskForm):  # type: ignore[misc]
    mode = RadioField("How client names show", choices=MODES)
    confirmed = BooleanField(
        "The calendar service has an agreement (BAA) with the practice, or keeps nothing"
    )


class LinkForm(FlaskForm):  # type: ignore[misc]
    label = StringField("Name of the link", [InputRequired("Name the link, e.g. “Work phone”.")])
    mode = RadioField("How client names show", choices=MODES, default=DisplayMode.INITIALS.value)
    confirmed = HiddenField()


@blueprint.get("/calendars")
@guard(Permission.OWN_LINKS)
def calendars() -> View:
    """Every calendar that the actor may share, and the state of its links."""
    return render_template("links/calendars.html", calendars=links.manageable(actor()), links=links)


@blueprint.get("/calendars/<key>/sync")
@guard(Permission.OWN_LINKS)
def sync(key: str) -> View:
    return _page(access.calendar(actor(), key))


@blueprint.post("/calendars/<key>/sync")
@guard(Permission.OWN_LINKS)
def allow(key: str) -> View:
    """Ticking makes the first link; un-ticking asks before it turns everything off."""
    calendar = access.calendar(actor(), key)
    if not AllowForm().allowed.data:
        return _page(calendar, asking="disallow") if links.live(calendar) else _done(calendar)
    links.allow(actor(), key)
    return _done(calendar, "This calendar can be read outside now. Choose what it shows.")


@blueprint.post("/calendars/<key>/sync/disallow")
@guard(Permission.OWN_LINKS)
def disallow(key: str) -> View:
    links.disallow(actor(), key)
    return _done(access.calendar(actor(), key), "Access is disabled: no link works any more.")


@blueprint.get("/calendars/<key>/sync/preview")
@guard(Permission.OWN_LINKS)
def preview(key: str) -> View:
    """The next five appointments as they would leave in the mode chosen, before it is saved."""
    calendar = access.calendar(actor(), key)
    mode = _mode(request.args.get("mode"))
    return render_template("links/_preview.html", **_preview(calendar, mode))


@blueprint.post("/calendars/<key>/links")
@guard(Permission.OWN_LINKS)
def create(key: str) -> View:
    calendar = access.calendar(actor(), key)
    form = LinkForm()
    if not form.validate_on_submit():
        return _page(calendar, link_form=form, status=422)
    try:
        link = links.create(
            actor(),
            key,
            form.label.data,
            _mode(form.mode.data),
            confirmed=form.confirmed.data == "yes",
        )
    except SyncError as error:
        return _page(calendar, link_form=form, problem=error)
    return _done(calendar, f"The link “{link.label}” is ready.", link)


@blueprint.post("/calendars/<key>/reset-all")
@guard(Permission.OWN_LINKS)
def reset_all(key: str) -> View:
    count = links.reset_all(actor(), key)
    return _done(access.calendar(actor(), key), f"{count} links have new addresses.")


@blueprint.post("/calendars/<key>/links/<int:link_id>/mode")
@guard(Permission.OWN_LINKS)
def change_mode(key: str, link_id: int) -> View:
    calendar, link = _door(key, link_id)
    form = ModeForm()
    mode = _mode(form.mode.data)
    try:
        links.change_mode(actor(), link_id, mode, confirmed=bool(form.confirmed.data))
    except SyncError as error:
        return _page(calendar, link, chosen=mode, problem=error)
    return _done(calendar, "Saved. Calendar apps show it when they next look.", link)


@blueprint.post("/calendars/<key>/links/<int:link_id>/qr")
@guard(Permission.OWN_LINKS)
def draw(key: str, link_id: int) -> View:
    """A QR code with a fresh single-use code; drawn here, never by anyone else."""
    calendar, link = _door(key, link_id)
    text, code = links.make_code(actor(), link_id)
    drawn = {"svg": _svg(links.code_address(text)), "expires_at": code.expires_at}
    return _page(calendar, link, qr=drawn)


@blueprint.post("/calendars/<key>/links/<int:link_id>/email")
@guard(Permission.OWN_LINKS)
def send(key: str, link_id: int) -> View:
    calendar, link = _door(key, link_id)
    if not mail.is_configured():
        return _page(calendar, link, mailto=mail.mailto(actor(), link_id))
    mail.owe_link(actor(), link_id)
    worker.wake(current_app)
    return _done(calendar, "The link is on its way to your own e-mail address.", link)


@blueprint.post("/calendars/<key>/links/<int:link_id>/reset")
@guard(Permission.OWN_LINKS)
def reset(key: str, link_id: int) -> View:
    calendar, link = _door(key, link_id)
    links.reset(actor(), link_id)
    sentence = "Access is reset: the old link shows no appointment any more. Add the new one."
    return _done(calendar, sentence, link)


@blueprint.post("/calendars/<key>/links/<int:link_id>/disable")
@guard(Permission.OWN_LINKS)
def disable(key: str, link_id: int) -> View:
    calendar, _ = _door(key, link_id)
    links.disable(actor(), link_id)
    return _done(calendar, "This link is disabled: it shows no appointment any more.")


def _door(key: str, link_id: int) -> tuple[Calendar, Link]:
    calendar = access.calendar(actor(), key)
    link = access.link(actor(), link_id)
    if link.calendar_id != calendar.id:
        raise NotFound("There is no such link.")
    return calendar, link


def _mode(word: str | None) -> DisplayMode:
    """An unknown word is an error, never a guess: it decides what leaves the building."""
    try:
        return DisplayMode(word or "")
    except ValueError:
        raise NotFound("There is no such way to show names.") from None


def _done(calendar: Calendar, sentence: str = "", link: Link | None = None) -> View:
    """In place with htmx; without, back to the page by a redirect."""
    if htmx_request.htmx:
        return _page(calendar, link, done=sentence)
    if sentence:
        flash(sentence)
    chosen = link.id if link else None
    return redirect(url_for("links.sync", key=links.key(calendar), link=chosen))


def _page(
    calendar: Calendar,
    link: Link | None = None,
    *,
    chosen: DisplayMode | None = None,
    problem: SyncError | None = None,
    link_form: LinkForm | None = None,
    status: int = 200,
    **context: object,
) -> View:
    live = links.live(calendar)
    link = link or _asked_for(live)
    mode = chosen or (link.mode if link else practice.get().ceiling)
    template = "links/_sync.html" if htmx_request.htmx else "links/sync.html"
    return render_template(
        template,
        calendar=calendar,
        key=links.key(calendar),
        calendar_name=links.name(calendar),
        practice=practice.get(),
        live=live,
        ended=[ended for ended in calendar.links if ended not in live],
        link=link,
        allow_form=AllowForm(formdata=None, allowed=bool(live)),
        mode_form=ModeForm(formdata=None, mode=mode.value),
        link_form=link_form or LinkForm(formdata=None),
        problem=problem,
        must_confirm=isinstance(problem, ConfirmationNeeded),
        reachable=current().config.reachable_by_phones,
        base_url=current().config.base_url,
        smtp=mail.is_configured(),
        **_preview(calendar, mode),
        **_addresses(link),
        **context,
    ), (problem.status if problem else status)


def _asked_for(live: list[Link]) -> Link | None:
    asked = request.args.get("link", type=int)
    return next((link for link in live if link.id == asked), live[0] if live else None)


def _preview(calendar: Calendar, mode: DisplayMode) -> dict[str, object]:
    ceiling = practice.get().ceiling
    return {
        "mode": mode,
        "above_ceiling": mode.disclosure > ceiling.disclosure,
        "ceiling_words": links.MODE_WORDS[ceiling],
        "events": feeds.preview(calendar, mode),
        "zone": practice.get().zone,
    }


def _addresses(link: Link | None) -> dict[str, object]:
    """Where each calendar app goes to add the link."""
    https = links.address(link) if link else None
    if link is None or https is None:
        return {"https": None, "webcal": None, "app_links": {}}
    name = links.name(link.calendar)
    return {"https": https, "webcal": apps.webcal(https), "app_links": apps.ways_in(https, name)}


def _svg(text: str) -> Markup:
    image = qrcode.make(text, image_factory=qrcode.image.svg.SvgPathImage, border=4)
    drawn = BytesIO()
    image.save(drawn)
    svg = drawn.getvalue().decode()
    return Markup(svg[svg.index("<svg") :])  # noqa: S704 - drawn by us from our own address
