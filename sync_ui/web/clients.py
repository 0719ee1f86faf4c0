"""The clients' list and record."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.models import Client
from sync_ui.services import access, clients, practice
from sync_ui.web.forms import CEILINGS, blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("clients", __name__, url_prefix="/clients")

View = str | Response | tuple[str, int]


class ClientForm(FlaskForm):
    first_name = StringField("First name")
    last_name = StringField("Last name")
    preferred_name = StringField("Preferred first name")
    internal_id = StringField("Internal ID")
    ceiling = SelectField("Calendars never show more than", choices=CEILINGS)

    def values(self) -> dict[str, str]:
        fields = (self.first_name, self.last_name, self.preferred_name, self.internal_id)
        return {field.name: field.data or "" for field in fields}

    def most(self) -> DisplayMode | None:
        return DisplayMode(self.ceiling.data) if self.ceiling.data else None


@blueprint.get("")
@guard(Permission.OWN_CLIENTS)
def listed() -> View:
    search = request.args.get("q", "")
    return render_template(
        "clients/list.html",
        clients=clients.listed(actor(), search),
        search=search,
        shows_ids=practice.get().shows_internal_ids,
        may_write=actor().may(Permission.EVERY_CLIENT),
    )


@blueprint.route("/new", methods=["GET", "POST"])
@guard(Permission.EVERY_CLIENT)
def new() -> View:
    form = ClientForm()
    if not form.validate_on_submit():
        return _page(form)
    try:
        clients.create(actor(), **form.values(), ceiling=form.most())
    except SyncError as error:
        return _page(form, error)
    flash("The client is added.")
    return redirect(url_for("clients.listed"))


@blueprint.get("/<int:client_id>")
@guard(Permission.OWN_CLIENTS)
def show(client_id: int) -> View:
    client = access.client(actor(), client_id)
    return _page(ClientForm(formdata=None, obj=client), client=client)


@blueprint.post("/<int:client_id>")
@guard(Permission.EVERY_CLIENT)
def change(client_id: int) -> View:
    client = access.client(actor(), client_id)
    form = ClientForm()
    if not form.validate_on_submit():
        return _page(form, client=client)
    try:
        clients.change(actor(), client_id, **form.values(), ceiling=form.most())
    except SyncError as error:
        return _page(form, error, client)
    flash("The client is changed. Feeds show it at their next reading.")
    return redirect(url_for("clients.listed"))


def _page(form: ClientForm, error: SyncError | None = None, client: Client | None = None) -> View:
    if error is not None:
        blame(form.internal_id if "internal ID" in error.sentence else form.first_name, error)
    status = error.status if error else (422 if form.errors else 200)
    return render_template(
        "clients/edit.html",
        form=form,
        client=client,
        shows_ids=practice.get().shows_internal_ids,
        may_write=actor().may(Permission.EVERY_CLIENT),
    ), status
