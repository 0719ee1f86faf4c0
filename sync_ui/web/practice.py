"""Settings: the practice, its policy on links, its places, and Account Settings > Clients."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, IntegerField, RadioField, SelectField, StringField
from wtforms.validators import InputRequired, Optional

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.models import Reason
from sync_ui.models.installation import current
from sync_ui.services import links, practice, providers, sign_ins
from sync_ui.web import confirming
from sync_ui.web.forms import MODES, REASONS, Count, blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("practice", __name__, url_prefix="/settings")

View = str | Response | tuple[str, int]


class PracticeForm(FlaskForm):
    name = StringField("Name of the practice", [InputRequired("Enter the practice's name.")])
    zone = SelectField("Time zone")
    days_back = IntegerField("Days back", [InputRequired("Enter the number of days.")])
    months_ahead = IntegerField("Months ahead", [InputRequired("Enter the number of months.")])


class PolicyForm(FlaskForm):
    ceiling = RadioField("The most that calendars may show", choices=MODES)
    wants_agreement = BooleanField("Full names only with a note of the agreement (BAA)")
    schedulers_share_practice = BooleanField("Schedulers may share the practice-wide calendar")
    longest_link_days = Count("Longest life of a link, in days", [Optional()])
    confirmed = BooleanField("End these links now")

    @property
    def ending(self) -> int:
        """How many live links the policy would end."""
        return practice.would_end(
            longest_link_days=self.longest_link_days.data,
            schedulers_share_practice=bool(self.schedulers_share_practice.data),
        )


class ResetForm(FlaskForm):
    reason = SelectField("Why?", choices=REASONS)


class ClientsForm(FlaskForm):
    shown = BooleanField("Show internal IDs in the clients' list and record")


class PlaceForm(FlaskForm):
    name = StringField("Name of the place", [InputRequired("Enter the place's name.")])
    exclusive = BooleanField("A room: one appointment at a time")


@blueprint.get("/google")
@guard(Permission.SETTINGS)
def google() -> View:
    """How an administrator gets the practice a client of its own at Google."""
    config = current().config
    return render_template(
        "practice/google.html",
        set_up=providers.has_google(),
        address=sign_ins.redirect_address(),
        secure=config.secure,
    )


@blueprint.route("", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def settings() -> View:
    found = practice.get()
    form = PracticeForm(obj=found)
    form.zone.choices = sorted({*practice.zones(), found.zone})
    if not form.validate_on_submit():
        return render_template("practice/settings.html", form=form), 422 if form.errors else 200
    try:
        practice.change(
            actor(),
            name=form.name.data,
            zone=form.zone.data,
            days_back=form.days_back.data,
            months_ahead=form.months_ahead.data,
        )
    except SyncError as error:
        blame(form.days_back if "back" in error.sentence else form.name, error)
        return render_template("practice/settings.html", form=form), error.status
    flash("Saved. It holds for every link from its next reading on.")
    return redirect(url_for("practice.settings"))


@blueprint.route("/policy", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def policy() -> View:
    """What would end links at once is asked about first."""
    found = practice.get()
    form = PolicyForm(obj=found, ceiling=found.ceiling.value)
    if not form.validate_on_submit():
        return _policy_page(form)
    confirming.require_fresh()
    try:
        practice.check_longest_life(form.longest_link_days.data)
        ending = form.ending
        if ending and not form.confirmed.data:
            return _policy_page(form, ending=ending, status=409)
        ended = practice.change_policy(
            actor(),
            ceiling=DisplayMode(form.ceiling.data),
            longest_link_days=form.longest_link_days.data,
            wants_agreement=bool(form.wants_agreement.data),
            schedulers_share_practice=bool(form.schedulers_share_practice.data),
        )
    except SyncError as error:
        blame(form.longest_link_days, error)
        return _policy_page(form, status=error.status)
    flash(f"Saved. It holds for every link from its next reading on.{_ended(ended)}")
    return redirect(url_for("practice.policy"))


@blueprint.post("/policy/reset-links")
@guard(Permission.SETTINGS)
def reset_links() -> View:
    form = ResetForm()
    if not form.validate_on_submit():
        return _policy_page(PolicyForm(formdata=None, obj=practice.get()), reset_form=form)
    confirming.require_fresh()
    count = links.reset_practice(actor(), Reason(form.reason.data))
    flash(
        f"{count} {'link has a new address' if count == 1 else 'links have new addresses'}; "
        "no old one shows an appointment any more. Add the new ones to every device."
    )
    return redirect(url_for("practice.policy"))


@blueprint.route("/clients", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def clients() -> View:
    form = ClientsForm(shown=practice.get().shows_internal_ids)
    if not form.validate_on_submit():
        return render_template("practice/clients.html", form=form)
    practice.show_internal_ids(actor(), bool(form.shown.data))
    flash("Saved.")
    return redirect(url_for("practice.clients"))


@blueprint.route("/places", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def places() -> View:
    form = PlaceForm()
    if not form.validate_on_submit():
        return _places_page(form)
    try:
        practice.add_location(actor(), form.name.data, exclusive=bool(form.exclusive.data))
    except SyncError as error:
        blame(form.name, error)
        return _places_page(form, error.status)
    flash("The place is added.")
    return redirect(url_for("practice.places"))


@blueprint.post("/places/<int:location_id>")
@guard(Permission.SETTINGS)
def change_place(location_id: int) -> View:
    practice.make_exclusive(actor(), location_id, "exclusive" in request.form)
    flash("Saved.")
    return redirect(url_for("practice.places"))


@blueprint.post("/places/<int:location_id>/remove")
@guard(Permission.SETTINGS)
def remove_place(location_id: int) -> View:
    practice.remove_location(actor(), location_id)
    flash("The place is removed; appointments keep it.")
    return redirect(url_for("practice.places"))


def _policy_page(
    form: PolicyForm, *, ending: int = 0, reset_form: ResetForm | None = None, status: int = 0
) -> View:
    reset_form = reset_form or ResetForm(formdata=None)
    wrong = form.errors or reset_form.errors
    return render_template(
        "practice/policy.html",
        form=form,
        ending=ending,
        reset_form=reset_form,
        live=len(links.every_live()),
    ), status or (422 if wrong else 200)


def _ended(count: int) -> str:
    if not count:
        return ""
    return f" {count} {'link has' if count == 1 else 'links have'} ended."


def _places_page(form: PlaceForm, status: int = 0) -> View:
    return render_template(
        "practice/places.html", form=form, places=practice.locations()
    ), status or (422 if form.errors else 200)
