"""Users and clinicians, managed by the administrator."""

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    HiddenField,
    PasswordField,
    SelectField,
    StringField,
)
from wtforms.validators import InputRequired

from sync_ui import config, worker
from sync_ui.domain.colours import Colour
from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import Conflict, Invalid, NotFound, Refused, SyncError
from sync_ui.models import Clinician, User
from sync_ui.models.installation import current
from sync_ui.services import (
    accounts,
    factors,
    links,
    mail,
    people,
    sessions,
    sights,
    tickets,
)
from sync_ui.web import confirming
from sync_ui.web.forms import COLOURS, blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("people", __name__, url_prefix="/people")

View = str | Response | tuple[str, int]

ROLES = {
    Role.CLINICIAN.value: "Clinician: own schedule and calendar",
    Role.SCHEDULER.value: "Scheduler: every schedule and calendar, clients, import",
    Role.ADMINISTRATOR.value: "Administrator: everything, people and settings too",
}


class UserForm(FlaskForm):
    name = StringField("Name", [InputRequired("Enter a name.")])
    role = SelectField("Role", choices=ROLES)
    sees_clients = BooleanField("Sees clients and has a calendar, whatever the role")


class EditForm(UserForm):
    """Carries what it showed, so that an old page takes back nothing that was changed since."""

    shown_name = HiddenField()
    shown_role = HiddenField()
    shown_sees_clients = HiddenField()

    def before(self) -> accounts.Shown:
        """What the page showed; what holds now, where it does not say."""
        sees_clients = self.shown_sees_clients.data == "y"
        return accounts.Shown(self.shown_name.data, self.shown_role.data, sees_clients)


class NewUserForm(UserForm):
    email = EmailField("E-mail address", [InputRequired("Enter the e-mail address.")])
    password = PasswordField("First password", filters=[lambda typed: typed or None])


class PasswordForm(FlaskForm):
    password = PasswordField("New password", [InputRequired("Enter a new password.")])


class ClinicianForm(FlaskForm):
    name = StringField("Name as calendars show it", [InputRequired("Enter the name.")])
    colour = SelectField("Colour in the schedule", choices=COLOURS)


@blueprint.get("")
@guard(Permission.PEOPLE)
def listed() -> View:
    return render_template(
        "people/list.html", users=accounts.users(), clinicians=people.clinicians()
    )


@blueprint.route("/new", methods=["GET", "POST"])
@guard(Permission.PEOPLE)
def new() -> View:
    form = NewUserForm()
    if not form.validate_on_submit():
        return _user_page(form)
    confirming.require_fresh(password=form.password.label.text)
    try:
        added = accounts.create_user(
            actor(),
            email=form.email.data,
            name=form.name.data,
            role=Role(form.role.data),
            password=form.password.data,
            sees_clients=bool(form.sees_clients.data),
        )
    except SyncError as error:
        blame(
            form.password if "assword" in error.sentence else _named(form, error, form.email), error
        )
        return _user_page(form, status=error.status)
    if form.password.data:
        flash("The user is added. Hand over the first password in person.")
    elif mail.is_configured():
        worker.wake(current_app)
        flash("The user is added, and an invitation is on its way. It works for 60 minutes.")
    else:
        return _sheet(added.id)
    return redirect(url_for("people.listed"))


@blueprint.route("/users/<int:user_id>", methods=["GET", "POST"])
@guard(Permission.PEOPLE)
def user(user_id: int) -> View:
    found = accounts.user(user_id)
    form = _edit_form(found)
    if not form.validate_on_submit():
        return _user_page(form, found)
    before = form.before()
    if before != accounts.shown(found):
        return _stale(user_id)
    if form.role.data != found.role.value:
        confirming.require_fresh()
    try:
        accounts.change_user(
            actor(),
            user_id,
            name=form.name.data,
            role=Role(form.role.data),
            sees_clients=bool(form.sees_clients.data),
            before=before,
        )
    except Conflict:
        return _stale(user_id)
    except SyncError as error:
        blame(_named(form, error, form.role), error)
        return _user_page(form, found, error.status)
    flash("The user is changed.")
    return redirect(url_for("people.listed"))


@blueprint.post("/users/<int:user_id>/password")
@guard(Permission.PEOPLE)
def password(user_id: int) -> View:
    found = accounts.user(user_id)
    form = PasswordForm()
    confirming.require_fresh(password=form.password.label.text)
    try:
        accounts.set_password(actor(), user_id, form.password.data or "")
    except SyncError as error:
        blame(form.password, error)
        return _user_page(_edit_form(found, formdata=None), found, error.status, form)
    flash("The password is changed, and every session of this user has ended.")
    return redirect(url_for("people.listed"))


@blueprint.post("/users/<int:user_id>/code")
@guard(Permission.PEOPLE)
def code(user_id: int) -> View:
    """A sheet to print and hand over, with which the user chooses a password."""
    confirming.require_fresh()
    return _sheet(user_id)


@blueprint.post("/users/<int:user_id>/invitation")
@guard(Permission.PEOPLE)
def invite(user_id: int) -> View:
    """The same by mail, to the user's own address."""
    confirming.require_fresh()
    if not mail.is_configured():
        raise NotFound("There is no mail server yet. Print a code instead.")
    tickets.invite(actor(), user_id)
    worker.wake(current_app)
    flash("The message is on its way. Earlier ones, and codes on paper, work no more.")
    return redirect(url_for("people.user", user_id=user_id))


@blueprint.post("/users/<int:user_id>/sessions/end")
@guard(Permission.PEOPLE)
def end_sessions(user_id: int) -> View:
    confirming.require_fresh()
    sessions.end_of_user(actor(), user_id)
    flash("This user is signed out everywhere.")
    return redirect(url_for("people.user", user_id=user_id))


@blueprint.post("/sessions/end")
@guard(Permission.PEOPLE)
def end_all_sessions() -> View:
    confirming.require_fresh()
    sessions.end_of_everyone(actor())
    flash("Everyone is signed out, you too.")
    return redirect(url_for("accounts.sign_in"))


@blueprint.post("/users/<int:user_id>/disable")
@guard(Permission.PEOPLE)
def disable(user_id: int) -> View:
    confirming.require_fresh()
    try:
        accounts.disable_user(actor(), user_id)
    except Refused as error:
        flash(error.sentence, "error")
        return redirect(url_for("people.user", user_id=user_id))
    flash("The user is out: sessions, links and codes are dead. See below what remains to do.")
    return redirect(url_for("people.user", user_id=user_id))


@blueprint.post("/users/<int:user_id>/reset-known")
@guard(Permission.PEOPLE)
def reset_known(user_id: int) -> View:
    """Links of others whose addresses a disabled user had seen get new ones."""
    confirming.require_fresh()
    count = sights.reset_known(actor(), user_id)
    flash(
        f"{count} {'link has a new address' if count == 1 else 'links have new addresses'}. "
        "Tell their owners to add them again."
    )
    return redirect(url_for("people.user", user_id=user_id))


@blueprint.post("/users/<int:user_id>/enable")
@guard(Permission.PEOPLE)
def enable(user_id: int) -> View:
    confirming.require_fresh()
    accounts.enable_user(actor(), user_id)
    flash("The user can sign in again. Old links stay dead.")
    return redirect(url_for("people.listed"))


@blueprint.route("/clinicians/new", methods=["GET", "POST"])
@guard(Permission.PEOPLE)
def new_clinician() -> View:
    form = ClinicianForm()
    del form.colour  # the next that is free
    if not form.validate_on_submit():
        return _clinician_page(form)
    try:
        people.create(actor(), form.name.data)
    except Invalid as error:
        blame(form.name, error)
        return _clinician_page(form)
    flash("The clinician is added.")
    return redirect(url_for("people.listed"))


@blueprint.route("/clinicians/<int:clinician_id>", methods=["GET", "POST"])
@guard(Permission.PEOPLE)
def clinician(clinician_id: int) -> View:
    found = people.clinician(clinician_id)
    form = ClinicianForm(obj=found, colour=found.colour.value)
    if not form.validate_on_submit():
        return _clinician_page(form, found)
    try:
        people.change(actor(), clinician_id, form.name.data, Colour(form.colour.data))
    except Invalid as error:
        blame(form.name, error)
        return _clinician_page(form, found)
    flash("The clinician is changed.")
    return redirect(url_for("people.listed"))


@blueprint.post("/clinicians/<int:clinician_id>/archive")
@guard(Permission.PEOPLE)
def archive(clinician_id: int) -> View:
    confirming.require_fresh()
    people.archive(actor(), clinician_id)
    flash("The clinician has left: every link of their calendar is dead.")
    return redirect(url_for("people.listed"))


def _named(form: NewUserForm | EditForm, error: SyncError, other: Field) -> Field:
    """The field of the name if the sentence is about that, else `other`."""
    return form.name if error.sentence.startswith("A name ") else other


def _clinician_page(form: ClinicianForm, found: Clinician | None = None) -> View:
    status = 422 if form.errors else 200
    return render_template("people/clinician.html", form=form, clinician=found), status


def _sheet(user_id: int) -> View:
    text, ticket = tickets.make(actor(), user_id)
    return render_template(
        "people/sheet.html",
        user=accounts.user(user_id),
        page=tickets.page(),
        code=text,
        ticket=ticket,
        loopback=config.is_loopback(urlsplit(current().config.base_url).hostname or ""),
    )


def _edit_form(found: User, **more: object) -> EditForm:
    now = accounts.shown(found)
    return EditForm(
        obj=found,
        role=now.role,
        sees_clients=now.sees_clients,
        shown_name=now.name,
        shown_role=now.role,
        shown_sees_clients="y" if now.sees_clients else "",
        **more,
    )


def _stale(user_id: int) -> View:
    """The present values, under a sentence that says why."""
    found = accounts.user(user_id)
    form = _edit_form(found, formdata=None)
    form.form_errors = [accounts.STALE]
    return _user_page(form, found, HTTPStatus.CONFLICT)


def _user_page(
    form: UserForm,
    found: User | None = None,
    status: int = 0,
    password_form: PasswordForm | None = None,
) -> View:
    return render_template(
        "people/user.html",
        form=form,
        user=found,
        sight=sights.could_see(found) if found else None,
        links=links,
        has_factors=factors.has_any(found.id) if found else False,
        by_mail=mail.is_configured(),
        password_form=password_form or PasswordForm(formdata=None),
    ), status or (422 if form.errors else 200)
