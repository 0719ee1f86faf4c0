"""Import: upload a calendar, look at what it would do, accept."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, FileField, SelectField, SelectMultipleField
from wtforms.validators import NumberRange

from sync_ui.domain import csv_read
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid, SyncError
from sync_ui.services import imports, people
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("imports", __name__, url_prefix="/import")

View = str | Response | tuple[str, int]


class UploadForm(FlaskForm):
    clinician = SelectField(
        "Whose schedule", [NumberRange(1, message="Choose whose schedule it is.")], coerce=int
    )
    file = FileField("Calendar file (.ics or .csv)")

    def offer(self) -> None:
        """Nobody is preselected where it could be the wrong one."""
        found = {c.id: c.name for c in people.visible(actor())}
        self.clinician.choices = found if len(found) == 1 else {0: "Choose …"} | found


class AcceptForm(FlaskForm):
    """`clients` are the titles ticked as clients, `titles` all that were asked about."""

    titles = SelectMultipleField(validate_choice=False)
    clients = SelectMultipleField(validate_choice=False)
    skip_wrong_rows = BooleanField("Leave out the wrong rows and import the others")

    def answers(self) -> dict[str, bool]:
        ticked = set(self.clients.data or [])
        return {title: title in ticked for title in self.titles.data or []}


@blueprint.route("", methods=["GET", "POST"])
@guard(Permission.IMPORTS)
def upload() -> View:
    form = UploadForm()
    form.offer()
    if not form.validate_on_submit():
        return _upload_page(form)
    try:
        kept = imports.keep(actor(), form.clinician.data, _content())
    except SyncError as error:
        blame(form.file, error)
        return _upload_page(form, error.status)
    return redirect(url_for("imports.preview", file_id=kept.id))


@blueprint.route("/<int:file_id>", methods=["GET", "POST"])
@guard(Permission.IMPORTS)
def preview(file_id: int) -> View:
    """What the import would do, row by row; POST with other answers looks again."""
    return _preview_page(file_id, AcceptForm())


@blueprint.post("/<int:file_id>/apply")
@guard(Permission.IMPORTS)
def apply(file_id: int) -> View:
    form = AcceptForm()
    kept = imports.kept_file(actor(), file_id)
    clinician_id = kept.clinician_id
    try:
        done = imports.apply(
            actor(),
            clinician_id,
            kept.content,
            form.answers(),
            skip_wrong_rows=bool(form.skip_wrong_rows.data),
        )
    except SyncError as error:
        return _preview_page(file_id, form, error)
    imports.discard(actor(), file_id)
    flash(done.summary(applied=True))
    return redirect(url_for("schedule.show", clinician=clinician_id))


@blueprint.post("/<int:file_id>/discard")
@guard(Permission.IMPORTS)
def discard(file_id: int) -> View:
    imports.discard(actor(), file_id)
    flash("The upload is discarded; nothing was imported.")
    return redirect(url_for("imports.upload"))


def _content() -> bytes:
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        raise Invalid("Choose a file first.")
    content: bytes = sent.read()
    return content


def _upload_page(form: UploadForm, status: int = 0) -> View:
    return render_template("imports/upload.html", form=form, columns=csv_read.COLUMNS), status or (
        422 if form.errors else 200
    )


def _preview_page(file_id: int, form: AcceptForm, error: SyncError | None = None) -> View:
    kept = imports.kept_file(actor(), file_id)
    clinician = kept.clinician.name
    found = imports.look(actor(), kept.clinician_id, kept.content, form.answers())
    return render_template(
        "imports/preview.html",
        form=form,
        file_id=file_id,
        clinician=clinician,
        preview=found,
        problem=error,
    ), error.status if error else 200
