"""One link: what it shows and for how long, who reads it, and every way to take it back."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response
from wtforms import Field

from sync_ui.domain import display
from sync_ui.domain.roles import Permission
from sync_ui.errors import ConfirmationNeeded, Invalid, NotFound, SyncError
from sync_ui.models import Calendar, Link
from sync_ui.services import links, mail, notices, practice, replaced, visits
from sync_ui.services.links import name
from sync_ui.web import confirming, previews
from sync_ui.web.forms import REASONS, blame
from sync_ui.web.link_form import ChoicesForm, LinkForm, values_of
from sync_ui.web.links import about_address, allowed_modes, door, reason
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("link", __name__, url_prefix="/calendars/<key>/links/<int:link_id>")

View = str | Response | tuple[str, int]


@blueprint.get("")
@guard(Permission.OWN_LINKS)
def show(key: str, link_id: int) -> View:
    calendar, link = door(key, link_id)
    if "address" in request.args:
        confirming.require_fresh_unless_own(calendar)
    return _page(calendar, link)


@blueprint.post("")
@guard(Permission.OWN_LINKS)
def change(key: str, link_id: int) -> View:
    calendar, link = door(key, link_id)
    links.require_live(link)
    form = LinkForm()
    if not form.validate_on_submit():
        return _page(calendar, link, form, status=422)
    confirming.require_fresh_unless_own(calendar)
    try:
        links.change(
            actor(),
            link_id,
            label=form.label.data,
            mode=form.chosen_mode,
            choices=form.choices,
            days_back=form.days_back.data,
            months_ahead=form.months_ahead.data,
            expires_at=form.expires_at(link),
            agreement=form.agreement.data or "",
            confirmed=bool(form.confirmed.data),
        )
    except SyncError as error:
        blame(_at_fault(form, error), error)
        return _page(calendar, link, form, status=error.status)
    return _done(calendar, link, "Saved. Calendar apps show it when they next look.", "choices")


@blueprint.get("/preview")
@guard(Permission.OWN_LINKS)
def preview(key: str, link_id: int) -> View:
    """What the form's choices would show, before anything is saved."""
    calendar, link = door(key, link_id)
    form = ChoicesForm(request.args, meta={"csrf": False})
    if not form.validate():
        return render_template("link/_preview.html", alone=True, fault=_first_fault(form)), 422
    return render_template("link/_preview.html", alone=True, **_preview(calendar, link, form))


@blueprint.post("/access/fresh")
@guard(Permission.OWN_LINKS)
def renew(key: str, link_id: int) -> View:
    calendar, _ = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    hours = request.form.get("hours", 0, type=int)
    link = links.renew(actor(), link_id, hours)
    sentence = f"The link has a fresh address. The old one works for {hours} hours more."
    return _done(calendar, link, sentence, "address")


@blueprint.post("/access/reset")
@guard(Permission.OWN_LINKS)
def reset(key: str, link_id: int) -> View:
    calendar, _ = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    link = links.reset(actor(), link_id, reason())
    sentence = "Access is reset: the old link shows no appointment any more. Add the new one."
    return _done(calendar, link, sentence, "address")


@blueprint.post("/access/disable")
@guard(Permission.OWN_LINKS)
def disable(key: str, link_id: int) -> View:
    calendar, _ = door(key, link_id)
    confirming.require_fresh_unless_own(calendar)
    link = links.disable(actor(), link_id)
    sentence = "This link is disabled: it shows no appointment any more."
    return _done(calendar, link, sentence, "ended")


@blueprint.post("/visits/known", defaults={"visit_id": None})
@blueprint.post("/visits/<int:visit_id>/known")
@guard(Permission.OWN_LINKS)
def known(key: str, link_id: int, visit_id: int | None) -> View:
    """“That was me”: the reader, or all that the page told of, are no news any more."""
    calendar, link = door(key, link_id)
    if visit_id is None:
        notices.put_away_all(actor(), link_id, request.form.get("latest", type=int))
    elif visit_id in {visit.id for visit in visits.of_link(link_id)}:
        notices.put_away(actor(), visit_id)
    else:
        raise NotFound("There is no such visit.")
    return _done(calendar, link, "Good. Nothing else was changed.", "readers")


def _done(calendar: Calendar, link: Link, sentence: str, at: str) -> View:
    """In place with htmx, said in the section `at`; without, back to the page by a redirect."""
    if htmx_request.htmx:
        return _page(calendar, link, done=sentence, done_at=at)
    flash(sentence)
    return redirect(url_for("link.show", key=links.key(calendar), link_id=link.id))


def _page(
    calendar: Calendar,
    link: Link,
    form: LinkForm | None = None,
    *,
    status: int = 200,
    **context: object,
) -> View:
    form = form or LinkForm(formdata=None, data=values_of(link, links.shown_mode(link)))
    template = "link/_link.html" if htmx_request.htmx else "link/show.html"
    return render_template(
        template,
        calendar=calendar,
        key=links.key(calendar),
        practice=practice.get(),
        link=link,
        links=links,
        replaced=replaced,
        https=links.address(link) if confirming.may_see_addresses(calendar) else None,
        form=form,
        graces=links.GRACES,
        reasons=REASONS,
        **about_address(link),
        allowed_modes=allowed_modes(),
        **_preview(calendar, link, form),
        **_readers(link),
        **context,
    ), status


def _preview(calendar: Calendar, link: Link, form: ChoicesForm) -> dict[str, object]:
    """As the form has it, or, where its fields make no sense, as the link is."""
    shown = links.shown_mode(link)
    saved = (shown, link.choices, link.days_back, link.months_ahead)
    wanted = saved
    if form.is_sound:
        mode = display.effective(form.chosen_mode, practice.get().ceiling)
        wanted = (mode, form.choices, form.days_back.data, form.months_ahead.data)
    mode, choices, *_ = wanted
    return {
        "calendar_name": name(calendar),
        "mode": mode,
        "days": previews.next_days(calendar, mode, choices),
        "sentence": links.disclosure_of(
            calendar, *wanted, agreed=True, ends_at=links.ends_at(link)
        ),
        "unsaved": wanted != saved,
    }


def _readers(link: Link) -> dict[str, object]:
    news = notices.of(link)
    owner = mail.owner(link)
    return {
        "is_owner": owner is not None and owner.id == actor().user_id,
        "visits": visits.of_link(link.id),
        "notices": news,
        "rhythm": visits.rhythm,
        "news_of": lambda _: {notice.kind.value for notice in news},
    }


def _first_fault(form: ChoicesForm) -> str:
    field, errors = next(iter(form.errors.items()))
    return f"{form[field].label.text}: {errors[0]}"


def _at_fault(form: LinkForm, error: SyncError) -> Field:
    """The field that the service's sentence is about."""
    if isinstance(error, ConfirmationNeeded):
        return form.confirmed
    if error.status == 403:
        return form.mode
    if isinstance(error, Invalid) and "agreement" in error.sentence:
        return form.agreement
    return form.last_day if "day" in error.sentence else form.label
