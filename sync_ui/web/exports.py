"""Export: choose what and from when to when, and download it."""

from datetime import timedelta

from flask import Blueprint, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, DateField, RadioField, SelectField
from wtforms.validators import InputRequired

from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.services import exports, people
from sync_ui.services.exports import Span
from sync_ui.web import confirming, dates
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("exports", __name__, url_prefix="/export")

View = str | Response | tuple[str, int]

EVERYONE = 0

# (the service's function, the file's ending, its media type)
FORMATS = {
    "csv": (exports.schedule_table, "csv", "text/csv; charset=utf-8"),
    "ics": (exports.schedule_calendar, "ics", "text/calendar; charset=utf-8"),
}


class ScheduleForm(FlaskForm):
    clinician = SelectField("Whose schedule", coerce=int)
    first = DateField("From", [InputRequired("Choose the first day.")])
    last = DateField("To", [InputRequired("Choose the last day.")])
    format = RadioField(
        "As", choices={"csv": "A table (CSV)", "ics": "A calendar (ICS)"}, default="csv"
    )
    notes = BooleanField("With private notes")

    def offer(self) -> None:
        """The schedules that this actor keeps."""
        found = {c.id: c.name for c in people.visible(actor())}
        everyone = {EVERYONE: "Everyone"} if actor().may(Permission.EVERY_SCHEDULE) else {}
        self.clinician.choices = everyone | found

    def span(self) -> Span:
        return Span(
            clinician_id=self.clinician.data or None,
            first=self.first.data,
            last=self.last.data,
            notes=bool(self.notes.data),
        )


@blueprint.get("")
@guard(Permission.OWN_SCHEDULE)
def choose() -> View:
    form = ScheduleForm()
    form.offer()
    form.clinician.data = request.args.get("clinician", type=int) or actor().clinician_id
    form.first.data = dates.today().replace(month=1, day=1)
    form.last.data = dates.today() + timedelta(days=365)
    return _page(form)


@blueprint.post("/schedule")
@guard(Permission.OWN_SCHEDULE)
def schedule() -> View:
    form = ScheduleForm()
    form.offer()
    if not form.validate_on_submit():
        return _page(form, 422)
    confirming.require_fresh()
    write, ending, media_type = FORMATS[form.format.data]
    try:
        content = write(actor(), form.span())
    except Invalid as error:
        blame(form.last, error)
        return _page(form, error.status)
    return _download(content, f"schedule-{dates.today()}.{ending}", media_type)


@blueprint.post("/clients")
@guard(Permission.EVERY_CLIENT)
def clients() -> View:
    confirming.require_fresh()
    content = exports.client_table(actor())
    return _download(content, f"clients-{dates.today()}.csv", "text/csv; charset=utf-8")


def _download(content: bytes, name: str, media_type: str) -> Response:
    answer = Response(content, content_type=media_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _page(form: ScheduleForm, status: int = 200) -> View:
    return render_template("exports/choose.html", form=form), status
