"""Two records of one person: choose, look at both, make them one."""

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import RadioField
from wtforms.validators import InputRequired

from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid, SyncError
from sync_ui.models import Client
from sync_ui.services import access, attendance, clients, duplicates
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("duplicates", __name__, url_prefix="/clients")

View = str | Response | tuple[str, int]

MOST_OFFERED = 20


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two records, as they are compared."""

    client: Client
    appointments: int


class MergeForm(FlaskForm):
    kept = RadioField(
        "Which record is kept?", [InputRequired("Choose which one is kept.")], coerce=int
    )


@blueprint.get("/duplicates")
@guard(Permission.EVERY_CLIENT)
def suggested() -> View:
    pairs = duplicates.suggestions(actor())
    counts = attendance.counts([client.id for pair in pairs for client in pair])
    return render_template("clients/duplicates.html", pairs=pairs, counts=counts)


@blueprint.get("/<int:client_id>/merge")
@guard(Permission.EVERY_CLIENT)
def choose(client_id: int) -> View:
    """The other record is looked for by name."""
    client = access.client(actor(), client_id)
    search = request.args.get("q", client.last_name or client.first_name)
    others = [other for other in clients.listed(actor(), search) if other.id != client_id]
    return render_template(
        "clients/choose.html",
        client=client,
        search=search,
        others=others[:MOST_OFFERED],
        more=len(others) - MOST_OFFERED,
        counts=attendance.counts([other.id for other in others[:MOST_OFFERED]]),
    )


@blueprint.route("/<int:client_id>/merge/<int:other_id>", methods=["GET", "POST"])
@guard(Permission.EVERY_CLIENT)
def merge(client_id: int, other_id: int) -> View:
    client, other = (access.client(actor(), each) for each in (client_id, other_id))
    if client_id == other_id:
        raise Invalid("Choose two different records.")
    if client.merged_into_id or other.merged_into_id:
        raise Conflict("One of these records was merged already. Look at the list again.")
    form = MergeForm(kept=client_id)
    form.kept.choices = [(each.id, _name(each)) for each in (client, other)]
    if not form.validate_on_submit():
        return _merge_page(form, client, other)
    kept_id = form.kept.data
    duplicate_id = other_id if kept_id == client_id else client_id
    try:
        duplicates.merge(actor(), kept_id, duplicate_id)
    except SyncError as error:
        form.form_errors = [error.sentence]
        return _merge_page(form, client, other, error.status)
    flash("The two records are one. Feeds show it at their next reading.")
    return redirect(url_for("clients.show", client_id=kept_id))


def _merge_page(form: MergeForm, client: Client, other: Client, status: int = 0) -> View:
    counts = attendance.counts([client.id, other.id])
    sides = [Side(each, counts[each.id]) for each in (client, other)]
    return render_template("clients/merge.html", form=form, sides=sides), status or (
        422 if form.errors else 200
    )


def _name(client: Client) -> str:
    return f"{client.first_name} {client.last_name}".strip()
