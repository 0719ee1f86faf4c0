"""Account Settings > Holidays: the days on which the practice is closed."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import DateField, StringField
from wtforms.validators import InputRequired, Optional

from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.services import holidays
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("holidays", __name__, url_prefix="/settings/holidays")

View = str | Response | tuple[str, int]


class HolidayForm(FlaskForm):
    name = StringField("Name of the holiday", [InputRequired("Enter the name of the holiday.")])
    first_day = DateField("First day", [InputRequired("Choose the first day.")])
    last_day = DateField("Last day", [Optional()])


@blueprint.route("", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def listed() -> View:
    form = HolidayForm()
    if not form.validate_on_submit():
        return _page(form)
    try:
        added = holidays.add(
            actor(),
            name=form.name.data,
            first_day=form.first_day.data,
            last_day=form.last_day.data,
        )
    except SyncError as error:
        blame(form.first_day if "character" not in error.sentence else form.name, error)
        return _page(form, error.status)
    count = holidays.collisions([added])[added.id]
    flash(
        f"The holiday is added. {count} appointments fall on it; nothing was moved."
        if count
        else "The holiday is added. Nothing is booked then."
    )
    return redirect(url_for("holidays.listed"))


@blueprint.post("/<int:holiday_id>/remove")
@guard(Permission.SETTINGS)
def remove(holiday_id: int) -> View:
    holidays.remove(actor(), holiday_id)
    flash("The holiday is removed.")
    return redirect(url_for("holidays.listed"))


def _page(form: HolidayForm, status: int = 0) -> View:
    found = holidays.upcoming()
    return render_template(
        "holidays/list.html", form=form, holidays=found, collisions=holidays.collisions(found)
    ), status or (422 if form.errors else 200)
