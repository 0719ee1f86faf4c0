"""Sync Calendar: a calendar's links, and every way to get one onto a phone."""

from collections.abc import Iterable
from urllib.parse import urlsplit

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
from werkzeug.wrappers import Response
from wtforms import BooleanField, Field, RadioField, SelectField, StringField
from wtforms.validators import InputRequired

from sync_ui import clock, config, worker
from sync_ui.domain import apps, display
from sync_ui.domain.event import Choices, DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import ConfirmationNeeded, Conflict, Invalid, NotFound, Refused, SyncError
from sync_ui.models import Calendar, Link, Reason
from sync_ui.models.installation import current
from sync_ui.services import (
    access,
    codes,
    connections,
    feeds,
    limits,
    links,
    mail,
    notices,
    practice,
    replaced,
)
from sync_ui.web import confirming, connection_states, dates, previews, proposed, qr
from sync_ui.web.forms import MODES, REASONS, blame
from sync_ui.web.link_form import AGREED
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("links", __name__)

View = str | Response | tuple[str, int]

BECAUSE = {
    Reason.LEAKED: "somebody else may have had the link",
    Reason.LOST: "a device was lost or stolen",
    Reason.LEFT: "somebody has left the practice",
    Reason.ROUTINE: "it is time for a routine change",
}


class AllowForm(FlaskForm):
    allowed = BooleanField("Allow this calendar to sync to an external calendaring application")


class ModeForm(FlaskForm):
    mode = RadioField("How client names show", choices=MODES)
    confirmed = BooleanField(AGREED)


class LinkForm(FlaskForm):
    """One more link; the service, not the form, refuses what the practice does not allow."""

    label = StringField("Name of the link", [InputRequired("Name the link, e.g. “Work phone”.")])
    mode = SelectField("How client names show", id="new-mode", validate_choice=False)
    confirmed = BooleanField(AGREED, id="new-confirmed")

    def offer(self, ceiling: DisplayMode) -> None:
        """The modes that the practice allows a link without a note of an agreement."""
        self.mode.choices = {
            word: label
            for word, label in MODES.items()
            if limits.shown(DisplayMode(word), agreed=False) is DisplayMode(word)
        }
        self.mode.data = self.mode.data or display.effective(DisplayMode.INITIALS, ceiling).value


@blueprint.get("/calendars")
@guard(Permission.OWN_LINKS)
def calendars() -> View:
    """Every calendar that the actor may share, and the state of its links."""
    found = links.manageable(actor())
    news = _news(link for calendar in found for link in links.live(calendar))
    return render_template(
        "links/calendars.html",
        calendars=found,
        links=links,
        replaced=replaced,
        **connection_states.by_calendar(actor()),
        news_of=lambda calendar: set().union(*(news[link.id] for link in links.live(calendar))),
    )


@blueprint.get("/calendars/<key>/sync")
@guard(Permission.OWN_LINKS)
def sync(key: str) -> View:
    calendar = access.calendar(actor(), key)
    if "address" in request.args:
        confirming.require_fresh_unless_own(calendar)
    return _page(calendar)


@blueprint.post("/calendars/<key>/sync")
@guard(Permission.OWN_LINKS)
def allow(key: str) -> View:
    """Ticking makes the first link; un-ticking asks before it turns everything off."""
    calendar = access.calendar(actor(), key)
    confirming.require_fresh_unless_own(calendar)
    if not AllowForm().allowed.data:
        asking = _is_allowed(calendar)
        return _page(calendar, asking="disallow") if asking else _done(calendar, "", "allow")
    links.allow(actor(), key)
    sentence = "This calendar can be read outside now. Choose what it shows."
    return _done(calendar, sentence, "allow")


@blueprint.post("/calendars/<key>/sync/disallow")
@guard(Permission.OWN_LINKS)
def disallow(key: str) -> View:
    calendar = access.calendar(actor(), key)
    confirming.require_fresh_unless_own(calendar)
    links.disallow(actor(), key)
    return _done(calendar, "Access is disabled: no link works any more.", "allow")


@blueprint.get("/calendars/<key>/sync/preview")
@guard(Permission.OWN_LINKS)
def preview(key: str) -> View:
    """The next five appointments as they would leave in the mode chosen, before it is saved."""
    calendar = access.calendar(actor(), key)
    mode = _mode(request.args.get("mode"))
    link = _asked_for(links.live(calendar))
    return render_template(
        "links/_preview.html",
        calendar_name=links.name(calendar),
        alone=True,
        unsaved=link is not None and links.shown_mode(link) is not mode,
        **_preview(calendar, link, mode),
    )


@blueprint.post("/calendars/<key>/links")
@guard(Permission.OWN_LINKS)
def create(key: str) -> View:
    calendar = access.calendar(actor(), key)
    form = LinkForm()
    if not form.validate_on_submit():
        return _page(calendar, link_form=form, status=422)
    confirming.require_fresh_unless_own(calendar)
    try:
        link = links.create(
            actor(),
            key,
            form.label.data,
            _mode(form.mode.data),
            confirmed=bool(form.confirmed.data),
        )
    except SyncError as error:
        blame(_at_fault(form, error), error)
        return _page(calendar, link_form=form, status=error.status)
    return _done(calendar, f"The link “{link.label}” is ready.", "link", link)


@blueprint.post("/calendars/<key>/reset-all")
@guard(Permission.OWN_LINKS)
def reset_all(key: str) -> View:
    calendar = access.calendar(actor(), key)
    confirming.require_fresh_unless_own(calendar)
    count = links.reset_all(actor(), key, reason())
    sentence = f"{count} links have new addresses; the old ones show no appointment any more."
    return _done(calendar, sentence, "link")


@blueprint.post("/calendars/<key>/links/<int:link_id>/mode")
@guard(Permission.OWN_LINKS)
def change_mode(key: str, link_id: int) -> View:
    calendar, link = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    form = ModeForm()
    mode = _mode(form.mode.data)
    try:
        links.change_mode(actor(), link_id, mode, confirmed=bool(form.confirmed.data))
    except Conflict as error:  # it was turned off in another tab
        return _page(calendar, fault=error.sentence, status=error.status)
    except SyncError as error:
        blame(form.confirmed if isinstance(error, ConfirmationNeeded) else form.mode, error)
        return _page(calendar, link, mode_form=form, chosen=mode, status=error.status)
    return _done(calendar, "Saved. Calendar apps show it when they next look.", "display", link)


@blueprint.post("/calendars/<key>/links/<int:link_id>/qr")
@guard(Permission.OWN_LINKS)
def draw(key: str, link_id: int) -> View:
    """A QR code with a fresh single-use code; drawn here, never by anyone else."""
    calendar, link = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    text, code = codes.make(actor(), link_id)
    drawn = {"svg": qr.svg(codes.address(text)), "expires_at": code.expires_at}
    return _page(calendar, link, qr=drawn)


@blueprint.post("/calendars/<key>/links/<int:link_id>/email")
@guard(Permission.OWN_LINKS)
def send(key: str, link_id: int) -> View:
    calendar, link = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    if not mail.is_configured():
        return _page(calendar, link, mailto=mail.mailto(actor(), link_id))
    mail.owe_link(actor(), link_id)
    worker.wake(current_app)
    return _done(calendar, "The link is on its way to your own e-mail address.", "link", link)


@blueprint.post("/calendars/<key>/links/<int:link_id>/reset")
@guard(Permission.OWN_LINKS)
def reset(key: str, link_id: int) -> View:
    calendar, link = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    links.reset(actor(), link_id, reason())
    sentence = "Access is reset: the old link shows no appointment any more. Add the new one."
    return _done(calendar, sentence, "link", link)


@blueprint.post("/calendars/<key>/links/<int:link_id>/disable")
@guard(Permission.OWN_LINKS)
def disable(key: str, link_id: int) -> View:
    calendar, _ = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    links.disable(actor(), link_id)
    at = "link" if links.live(calendar) else "allow"
    return _done(calendar, "This link is disabled: it shows no appointment any more.", at)


def door(key: str, link_id: int) -> tuple[Calendar, Link]:
    """Both, if the actor may share the calendar and the link is one of it. Raises NotFound."""
    calendar = access.calendar(actor(), key)
    link = access.link(actor(), link_id)
    if link.calendar_id != calendar.id:
        raise NotFound("There is no such link.")
    return calendar, link


def _news(found: Iterable[Link]) -> dict[int, set[str]]:
    """The kinds of notices about each link's readers that were not put away."""
    return {
        link_id: {notice.kind.value for notice in of_link}
        for link_id, of_link in notices.of_all(found).items()
    }


def reason() -> Reason | None:
    """Why, as the form says; nobody has to say. Raises Invalid for what is no reason."""
    word = request.form.get("reason", "")
    if word and word not in set(Reason):
        raise Invalid("Choose one of the reasons, or none.")
    return Reason(word) if word else None


def about_address(link: Link | None) -> dict[str, object]:
    """What pages say of where a link is read, beside the link's own words."""
    ceilings = limits.ceilings()
    was_reset = replaced.reset_by_another(actor(), link) if link else None
    return {
        "disclosure": lambda each: links.disclosure(each, ceilings),
        "because": BECAUSE,
        "was_reset": was_reset,
        "today": dates.short_day(clock.now()),
    }


def allowed_modes() -> set[str]:
    ceiling = practice.get().ceiling
    return {word for word in MODES if _within(DisplayMode(word), ceiling)}


def _mode(word: str | None) -> DisplayMode:
    """An unknown word is an error, never a guess: it decides what leaves the building."""
    try:
        return DisplayMode(word or "")
    except ValueError:
        raise NotFound("There is no such way to show names.") from None


def _at_fault(form: LinkForm, error: SyncError) -> Field:
    """The field that the service's sentence is about."""
    if isinstance(error, ConfirmationNeeded):
        return form.confirmed
    no_such_mode = isinstance(error, Refused) or "agreement" in error.sentence
    return form.mode if no_such_mode else form.label


def _done(calendar: Calendar, sentence: str, at: str, link: Link | None = None) -> View:
    """In place with htmx, said in the section `at`; without, back to the page by a redirect."""
    if htmx_request.htmx:
        return _page(calendar, link, done=sentence, done_at=at)
    if sentence:
        flash(sentence)
    chosen = link.id if link else None
    return redirect(url_for("links.sync", key=links.key(calendar), link=chosen))


def _page(
    calendar: Calendar,
    link: Link | None = None,
    *,
    chosen: DisplayMode | None = None,
    mode_form: ModeForm | None = None,
    link_form: LinkForm | None = None,
    status: int = 200,
    **context: object,
) -> View:
    live = links.live(calendar)
    news = _news(calendar.links)
    link = link or _asked_for(live)
    ceiling = practice.get().ceiling
    saved = links.shown_mode(link) if link else display.effective(DisplayMode.INITIALS, ceiling)
    mode = display.effective(chosen or saved, ceiling)
    mode_form = mode_form or ModeForm(formdata=None)
    mode_form.mode.data = mode.value
    link_form = link_form or LinkForm(formdata=None)
    link_form.offer(ceiling)
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
        links=links,
        replaced=replaced,
        news_of=lambda shown: news[shown.id],
        reasons=REASONS,
        allow_form=AllowForm(formdata=None, allowed=_is_allowed(calendar)),
        mode_form=mode_form,
        link_form=link_form,
        allowed_modes=allowed_modes(),
        unsaved=mode is not saved,
        how_fast=apps.HOW_FAST,
        smtp=mail.is_configured(),
        **_reach(),
        large=feeds.is_large(calendar),
        **_preview(calendar, link, mode),
        **_addresses(link if confirming.may_see_addresses(calendar) else None),
        **about_address(link),
        **connection_states.about(calendar),
        **_proposed(calendar),
        **context,
    ), status


def _is_allowed(calendar: Calendar) -> bool:
    """Whether anything of it can leave: by a link or by a connection."""
    return bool(links.live(calendar) or connections.of_calendar(calendar.id))


def _proposed(calendar: Calendar) -> dict[str, object]:
    """Changes of this calendar's appointments, made outside, that wait for the actor."""
    of_practice = calendar.clinician_id is None
    return {} if of_practice else proposed.about(actor(), calendar.clinician_id)


def _within(mode: DisplayMode, ceiling: DisplayMode) -> bool:
    return mode.disclosure <= ceiling.disclosure


def _asked_for(live: list[Link]) -> Link | None:
    asked = request.args.get("link", type=int)
    return next((link for link in live if link.id == asked), live[0] if live else None)


def _reach() -> dict[str, object]:
    """Whether phones and calendar services can get at this server, and why not."""
    settings = current().config
    return {
        "reachable": settings.reachable_by_phones,
        "loopback": config.is_loopback(urlsplit(settings.base_url).hostname or ""),
    }


def _preview(calendar: Calendar, link: Link | None, mode: DisplayMode) -> dict[str, object]:
    choices = link.choices if link else Choices()
    return {
        "mode": mode,
        "ceiling": practice.get().ceiling,
        "days": previews.next_days(calendar, mode, choices),
    }


def _addresses(link: Link | None) -> dict[str, object]:
    """Where each calendar app goes to add the link."""
    https = links.address(link) if link else None
    if link is None or https is None:
        return {"https": None, "webcal": None, "app_links": {}}
    name = links.name(link.calendar)
    return {"https": https, "webcal": apps.webcal(https), "app_links": apps.ways_in(https, name)}
