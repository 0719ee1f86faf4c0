"""The first start: the practice and its first administrator, or a demo."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import EmailField, Field, PasswordField, RadioField, SelectField, StringField
from wtforms.validators import EqualTo, InputRequired

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import SyncError
from sync_ui.services import demo, practice, setup
from sync_ui.web import security, signing
from sync_ui.web.forms import MODES, blame

blueprint = Blueprint("setup", __name__)

View = str | Response | tuple[str, int]


class CodeForm(FlaskForm):
    code = StringField(
        "Setup code from the console", [InputRequired("Enter the code that the console shows.")]
    )


class SetupForm(CodeForm):
    name = StringField("Name of the practice", [InputRequired("Enter the practice's name.")])
    zone = SelectField("Time zone")
    ceiling = RadioField(
        "The most that calendars may show", choices=MODES, default=DisplayMode.INITIALS.value
    )
    admin_name = StringField("Your name", [InputRequired("Enter your name.")])
    email = EmailField("Your e-mail address", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter a password.")])
    again = PasswordField(
        "Password again", [EqualTo("password", "The two passwords are not the same.")]
    )


class DemoForm(CodeForm):
    password = PasswordField(
        "Password for the demo sign-ins", [InputRequired("Enter a password for the demo.")]
    )


@blueprint.route("/setup", methods=["GET", "POST"])
def begin() -> View:
    if practice.is_set_up():
        return redirect(url_for("accounts.sign_in"))
    form = SetupForm(prefix="practice")
    form.zone.choices = practice.zones()
    if not form.validate_on_submit():
        return _page(form, DemoForm(prefix="demo", formdata=None))
    try:
        setup.set_up(
            form.code.data,
            name=form.name.data,
            zone=form.zone.data,
            ceiling=DisplayMode(form.ceiling.data),
            admin_name=form.admin_name.data,
            email=form.email.data,
            password=form.password.data,
        )
    except SyncError as error:
        blame(_field_of(form, error), error)
        return _page(form, DemoForm(prefix="demo", formdata=None))
    signing.sign_in(form.email.data, form.password.data, security.network())
    flash("Your practice is set up. Add your clinicians next, then import the schedule.")
    return redirect(url_for("people.listed"))


@blueprint.post("/setup/demo")
def fill() -> View:
    if practice.is_set_up():
        return redirect(url_for("accounts.sign_in"))
    form = DemoForm(prefix="demo")
    empty = SetupForm(prefix="practice", formdata=None)
    empty.zone.choices = practice.zones()
    if not form.validate_on_submit():
        return _page(empty, form)
    try:
        setup.check_code(form.code.data)
        demo.fill(password=form.password.data)
    except SyncError as error:
        blame(form.code if "code" in error.sentence else form.password, error)
        return _page(empty, form)
    flash("The demo practice is ready. Sign in as clinician@demo.example, for one.")
    return redirect(url_for("accounts.sign_in"))


def _page(form: SetupForm, demo_form: DemoForm) -> View:
    status = 422 if request.method == "POST" else 200
    return render_template("setup/begin.html", form=form, demo_form=demo_form), status


def _field_of(form: SetupForm, error: SyncError) -> Field:
    words = {"code": form.code, "assword": form.password, "e-mail": form.email, "zone": form.zone}
    return next((field for word, field in words.items() if word in error.sentence), form.name)
