"""The clients' list and record."""

from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField

from sync_ui.domain.event import GONE, DisplayMode, Status
from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.models import Client
from sync_ui.services import access, attendance, clients, practice
from sync_ui.services.attendance import Attended
from sync_ui.web import dates
from sync_ui.web.appointment_form import STATUSES
from sync_ui.web.forms import CEILINGS, blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("clients", __name__, url_prefix="/clients")

View = str | Response | tuple[str, int]

ON_A_PAGE = 50


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
    search, archived = request.args.get("q", ""), "archived" in request.args
    found = clients.listed(actor(), search, archived=archived)
    pages = max(1, -(-len(found) // ON_A_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), pages)
    query = {"q": search or None, "archived": "yes" if archived else None}
    return render_template(
        "clients/list.html",
        clients=found[(page - 1) * ON_A_PAGE : page * ON_A_PAGE],
        total=len(found),
        page=page,
        pages=pages,
        address=partial(_page_address, query),
        search=search,
        archived=archived,
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
        added = clients.create(actor(), **form.values(), ceiling=form.most())
    except SyncError as error:
        return _page(form, error)
    flash("The client is added.")
    return redirect(url_for("clients.show", client_id=added.id))


@blueprint.get("/<int:client_id>")
@guard(Permission.OWN_CLIENTS)
def show(client_id: int) -> View:
    client = clients.record_of(actor(), client_id)
    if client.id != client_id:
        return redirect(url_for("clients.show", client_id=client.id))
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
    return redirect(url_for("clients.show", client_id=client_id))


@blueprint.post("/<int:client_id>/archive")
@guard(Permission.EVERY_CLIENT)
def archive(client_id: int) -> View:
    clients.archive(actor(), client_id)
    flash("The client is archived. The record stays, under “Archived”.")
    return redirect(url_for("clients.listed"))


@blueprint.post("/<int:client_id>/restore")
@guard(Permission.EVERY_CLIENT)
def restore(client_id: int) -> View:
    clients.restore(actor(), client_id)
    flash("The client is in the list again.")
    return redirect(url_for("clients.show", client_id=client_id))


def _page_address(query: dict[str, str | None], page: int) -> str:
    return url_for("clients.listed", page=page, **query)  # type: ignore[arg-type]


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
        **_attendance(client),
    ), status


def _attendance(client: Client | None) -> dict[str, Any]:
    if client is None:
        return {}
    found = attendance.of(actor(), client.id)
    return {
        "upcoming": [_row(each) for each in found.upcoming],
        "past": [_row(each) for each in found.past],
        "ahead": found.ahead,
    }


def _row(attended: Attended) -> dict[str, object]:
    """One appointment as the macro `row` takes it."""
    starts = attended.starts_at.astimezone(dates.zone())
    day = attended.starts_local.date() if attended.all_day else starts.date()
    facts = [_time(attended, starts), attended.clinician, attended.location]
    return {
        "title": dates.day(day),
        "meta": "\u00a0· ".join(fact for fact in facts if fact),
        "href": url_for("appointments.edit", appointment_id=attended.id),
        "status": "" if attended.status is Status.SCHEDULED else STATUSES[attended.status.value],
        "gone": attended.status in GONE,
    }


def _time(attended: Attended, starts: datetime) -> str:
    return "All day" if attended.all_day else dates.span(starts, attended.ends_at)
