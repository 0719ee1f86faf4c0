"""Import: upload a calendar, look at what it would do, accept; undo it as a whole."""

from io import BytesIO
from typing import IO, Any

from flask import (
    Blueprint,
    Request,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf import FlaskForm
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response
from wtforms import BooleanField, FileField, SelectField, SelectMultipleField
from wtforms.validators import NumberRange

from sync_ui import worker
from sync_ui.domain import csv_read
from sync_ui.domain.csv_table import Glance, UnknownColumns
from sync_ui.domain.reading import MAX_BYTES
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid, SyncError
from sync_ui.models import ImportFile, UploadState
from sync_ui.services import imports, mappings, people, undo, uploads
from sync_ui.services.imports import Wishes
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("imports", __name__, url_prefix="/import")

View = str | Response | tuple[str, int]

# The file, and room for what a form adds to it.
LARGEST_UPLOAD = MAX_BYTES + 1024 * 1024


class MemoryRequest(Request):
    """An uploaded file stays in memory: on disk it would be in the clear, whatever the database."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return BytesIO()


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
    """`clients` are the titles ticked as clients, `titles` all that were asked about.

    `cancel` are the ticked ones of what is missing in the file.
    """

    titles = SelectMultipleField(validate_choice=False)
    clients = SelectMultipleField(validate_choice=False)
    cancel = SelectMultipleField(validate_choice=False)
    skip_wrong_rows = BooleanField("Leave out the wrong rows and import the others")

    def wishes(self) -> Wishes:
        ticked = set(self.clients.data or [])
        return Wishes(
            answers={title: title in ticked for title in self.titles.data or []},
            skip_wrong_rows=bool(self.skip_wrong_rows.data),
            cancel=tuple(self.cancel.data or ()),
        )


class ColumnsForm(FlaskForm):
    """`columns` holds what each column of the file is, in its order."""

    columns = SelectMultipleField(validate_choice=False)
    order = SelectField(
        "Dates such as 03/04/2026",
        choices={
            "": "as the file suggests",
            "day": "day/month: 3 April",
            "month": "month/day: March 4",
        },
        default="",
    )

    def day_first(self) -> bool | None:
        return None if not self.order.data else self.order.data == "day"


@blueprint.url_value_preprocessor
def _take_large_files(endpoint: str | None, _: dict[str, Any] | None) -> None:
    """Before anything reads the form: no other page takes as much."""
    if endpoint == "imports.upload":
        request.max_content_length = LARGEST_UPLOAD


@blueprint.route("", methods=["GET", "POST"])
@guard(Permission.IMPORTS)
def upload() -> View:
    form = UploadForm()
    form.offer()
    if not form.validate_on_submit():
        return _upload_page(form)
    try:
        kept = uploads.keep(actor(), form.clinician.data, _content())
    except SyncError as error:
        blame(form.file, error)
        return _upload_page(form, error.status)
    if kept.large:
        worker.wake(current_app)
    return redirect(url_for("imports.preview", file_id=kept.id))


@blueprint.route("/<int:file_id>", methods=["GET", "POST"])
@guard(Permission.IMPORTS)
def preview(file_id: int) -> View:
    """What the import would do, row by row; POST with other answers looks again."""
    kept = uploads.kept_file(actor(), file_id)
    form = AcceptForm()
    if request.method == "POST":
        _refuse_another(kept)
    if kept.large and request.method == "POST":
        uploads.look_again(actor(), file_id, form.wishes())
        worker.wake(current_app)
        return redirect(url_for("imports.preview", file_id=file_id))
    if kept.large and kept.state is not UploadState.READY:
        return _progress_page(kept)
    try:
        return _preview_page(kept, form)
    except UnknownColumns:
        return redirect(url_for("imports.columns", file_id=file_id))


@blueprint.get("/<int:file_id>/progress")
@guard(Permission.IMPORTS)
def progress(file_id: int) -> View:
    """How far the worker is: the page asks for it by itself."""
    kept = uploads.kept_file(actor(), file_id)
    if not uploads.is_busy(kept) or not htmx_request.htmx:
        address = url_for("imports.preview", file_id=file_id)
        answer: Response = make_response("", redirect=address)
        return answer if htmx_request.htmx else redirect(address)
    return render_template("imports/_progress.html", kept=kept)


@blueprint.post("/<int:file_id>/apply")
@guard(Permission.IMPORTS)
def apply(file_id: int) -> View:
    form = AcceptForm()
    kept = uploads.kept_file(actor(), file_id)
    _refuse_another(kept)
    clinician_id = kept.clinician_id
    try:
        done = uploads.accept(actor(), file_id, form.wishes())
    except UnknownColumns:
        return redirect(url_for("imports.columns", file_id=file_id))
    except SyncError as error:
        kept = uploads.kept_file(actor(), file_id)
        busy = kept.large and kept.state is not UploadState.READY
        return _progress_page(kept, error) if busy else _preview_page(kept, form, error)
    if done is None:
        worker.wake(current_app)
        return redirect(url_for("imports.preview", file_id=file_id))
    flash(done.summary(applied=True))
    return redirect(url_for("schedule.show", clinician=clinician_id))


@blueprint.post("/<int:file_id>/discard")
@guard(Permission.IMPORTS)
def discard(file_id: int) -> View:
    _refuse_another(uploads.kept_file(actor(), file_id))
    uploads.discard(actor(), file_id)
    flash("The upload is discarded.")
    return redirect(url_for("imports.upload"))


@blueprint.route("/<int:file_id>/columns", methods=["GET", "POST"])
@guard(Permission.IMPORTS)
def columns(file_id: int) -> View:
    """What each column of a table is; remembered for every later file with this header."""
    kept = uploads.kept_file(actor(), file_id)
    if request.method == "POST":
        _refuse_another(kept)
    found = uploads.glance(actor(), file_id)
    form = ColumnsForm()
    if request.method == "GET":
        if found.day_first is not None:
            form.order.data = "day" if found.day_first else "month"
        return _columns_page(kept, found, form, [heading.name for heading in found.headings])
    said = list(form.columns.data or [])
    try:
        if not form.validate():
            raise Invalid("Choose how dates are written from the list.")
        if len(said) != len(found.headings):
            raise Invalid("Say of each column what it is, or that it is left out.")
        mappings.remember(actor(), found.signature, said, form.day_first())
        uploads.look_again(actor(), file_id)
    except SyncError as error:
        missing = [""] * (len(found.headings) - len(said))
        said = [*said, *missing][: len(found.headings)]
        return _columns_page(kept, found, form, said, error), error.status
    worker.wake(current_app)
    return redirect(url_for("imports.preview", file_id=file_id))


@blueprint.post("/done/<int:import_id>/undo")
@guard(Permission.IMPORTS)
def take_back(import_id: int) -> View:
    try:
        undo.undo(actor(), import_id)
    except Conflict as error:
        form = UploadForm(formdata=None)
        form.offer()
        return _upload_page(form, error.status, error)
    flash("The import is undone; the schedule is as it was before.")
    return redirect(url_for("imports.upload"))


def _refuse_another(kept: ImportFile) -> None:
    """A page of an upload that is gone says nothing of the one that got its number."""
    if request.form.get("upload") != kept.mark:
        raise Conflict(
            "This page showed another file. Nothing was changed; open the import again and look "
            "at the file that is there now."
        )


def _content() -> bytes:
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        raise Invalid("Choose a file first.")
    content: bytes = sent.read()
    return content


def _upload_page(form: UploadForm, status: int = 0, problem: SyncError | None = None) -> View:
    done = imports.listed(actor())
    return render_template(
        "imports/upload.html",
        form=form,
        columns=csv_read.COLUMNS,
        done=done,
        undoable=imports.undoable(done),
        unfinished=uploads.unfinished(actor()),
        problem=problem,
    ), status or (422 if form.errors else 200)


def _preview_page(kept: ImportFile, form: AcceptForm, error: SyncError | None = None) -> View:
    file_id, clinician, problem, mark = kept.id, kept.clinician.name, kept.problem, kept.mark
    found = uploads.look(actor(), file_id, form.wishes().answers)
    return render_template(
        "imports/preview.html",
        form=form,
        file_id=file_id,
        mark=mark,
        clinician=clinician,
        preview=found,
        ticked=form.cancel.data or [],
        problem=error.sentence if error else problem,
    ), error.status if error else 200


def _progress_page(kept: ImportFile, error: SyncError | None = None) -> View:
    if kept.state is UploadState.FAILED and kept.found:
        return redirect(url_for("imports.columns", file_id=kept.id))
    done = uploads.restored(kept.found) if kept.state is UploadState.DONE and kept.found else None
    return render_template(
        "imports/progress.html", kept=kept, done=done, problem=error.sentence if error else ""
    ), error.status if error else 200


def _columns_page(
    kept: ImportFile,
    found: Glance,
    form: ColumnsForm,
    said: list[str],
    error: SyncError | None = None,
) -> str:
    return render_template(
        "imports/columns.html",
        file_id=kept.id,
        mark=kept.mark,
        form=form,
        headings=list(zip(found.headings, said, strict=True)),
        offered=[column.name for column in csv_read.COLUMNS],
        problem=error.sentence if error else "",
    )
