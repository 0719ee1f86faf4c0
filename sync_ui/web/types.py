"""Account Settings > Types: what sessions are for, how long they take, and their colour."""

from typing import TypedDict

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, NumberRange

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.models import AppointmentType
from sync_ui.services import types
from sync_ui.services.types import LONGEST_MINUTES
from sync_ui.web.forms import CEILINGS, COLOURS, blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("types", __name__, url_prefix="/settings/types")

View = str | Response | tuple[str, int]


class Values(TypedDict):
    name: str
    minutes: int
    colour: Colour
    ceiling: DisplayMode | None


class TypeForm(FlaskForm):
    name = StringField("Name of the type", [InputRequired("Enter the name of the type.")])
    minutes = IntegerField(
        "Minutes",
        [NumberRange(1, LONGEST_MINUTES, "From a minute to a day.")],
        default=50,
    )
    colour = SelectField("Colour", choices=COLOURS)
    ceiling = SelectField("Calendars never show more than", choices=CEILINGS)

    def values(self) -> Values:
        return {
            "name": self.name.data,
            "minutes": self.minutes.data,
            "colour": Colour(self.colour.data),
            "ceiling": DisplayMode(self.ceiling.data) if self.ceiling.data else None,
        }


@blueprint.route("", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def listed() -> View:
    form = TypeForm()
    if not form.validate_on_submit():
        return _list_page(form)
    try:
        types.create(actor(), **form.values())
    except SyncError as error:
        blame(form.name, error)
        return _list_page(form, error.status)
    flash("The type is added.")
    return redirect(url_for("types.listed"))


@blueprint.route("/<int:type_id>", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def edit(type_id: int) -> View:
    found = types.get(type_id)
    ceiling = found.ceiling.value if found.ceiling else ""
    form = TypeForm(obj=found, colour=found.colour.value, ceiling=ceiling)
    if not form.validate_on_submit():
        return _edit_page(form, found)
    try:
        types.change(actor(), type_id, **form.values())
    except SyncError as error:
        blame(form.name, error)
        return _edit_page(form, found, error.status)
    flash("The type is changed.")
    return redirect(url_for("types.listed"))


@blueprint.post("/<int:type_id>/archive")
@guard(Permission.SETTINGS)
def archive(type_id: int) -> View:
    types.archive(actor(), type_id)
    flash("The type is offered no more; appointments keep it.")
    return redirect(url_for("types.listed"))


def _list_page(form: TypeForm, status: int = 0) -> View:
    return render_template("types/list.html", form=form, types=types.offered()), status or (
        422 if form.errors else 200
    )


def _edit_page(form: TypeForm, found: AppointmentType, status: int = 0) -> View:
    return render_template("types/edit.html", form=form, type=found), status or (
        422 if form.errors else 200
    )
