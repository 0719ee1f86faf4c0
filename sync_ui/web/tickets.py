"""The pages of tickets: an invitation, a forgotten password, a code on paper."""

from flask import Blueprint, current_app, flash, redirect, render_template, session, url_for
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired

from sync_ui import worker
from sync_ui.domain import tokens
from sync_ui.errors import NotFound, SyncError
from sync_ui.models import TicketKind
from sync_ui.services import mail, own_email, practice, sessions, tickets
from sync_ui.services.tickets import Opened
from sync_ui.web import security, signing
from sync_ui.web.forms import blame

blueprint = Blueprint("tickets", __name__)

View = str | Response | tuple[str, int]


class CodeForm(FlaskForm):
    code = StringField("Code", [InputRequired("Enter the code that the sheet shows.")])


class PasswordForm(FlaskForm):
    new = PasswordField("New password", [InputRequired("Enter a new password.")])
    again = PasswordField(
        "New password again", [EqualTo("new", "The two passwords are not the same.")]
    )


class ForgottenForm(FlaskForm):
    email = EmailField("E-mail address", [InputRequired("Enter your e-mail address.")])


@blueprint.route("/enter", methods=["GET", "POST"])
def begin() -> View:
    """Where a code that stands on paper is typed."""
    form = CodeForm()
    if not form.validate_on_submit():
        return render_template("tickets/code.html", form=form), 422 if form.errors else 200
    code = tokens.normalise("".join(form.code.data.replace("-", "").split()))
    if not code:
        blame(form.code, NotFound("This is not a code. It has 26 letters and digits."))
        return render_template("tickets/code.html", form=form), 422
    return redirect(url_for("tickets.enter", code=code))


@blueprint.get("/enter/<code>")
def enter(code: str) -> View:
    """Looking spends nothing: mail scanners look too."""
    try:
        opened = tickets.look_at(code)
        if opened.kind is TicketKind.EMAIL:
            return _proof_page(code, opened)
        return _page(opened, PasswordForm())
    except NotFound as error:
        return _dead(error)


@blueprint.post("/enter/<code>")
def spend(code: str) -> View:
    """The password is chosen, and everyone who was signed in with the old one is out; or the
    address that the ticket was sent to counts.
    """
    try:
        if tickets.look_at(code).kind is TicketKind.EMAIL:
            return _prove(code)
        opened, form = tickets.look_at(code), PasswordForm()
        if not form.validate_on_submit():
            return _page(opened, form, 422)
        tickets.spend(code, form.new.data)
    except NotFound as error:
        return _dead(error)
    except SyncError as error:
        blame(form.new, error)
        return _page(opened, form, error.status)
    if current_user.is_authenticated:
        sessions.sign_out(current_user.id)
    logout_user()
    session.clear()
    flash("Your password is set. Sign in with it.")
    return redirect(url_for("accounts.sign_in"))


@blueprint.route("/forgotten", methods=["GET", "POST"])
def forgotten() -> View:
    """The same answer whether there is such a user or not."""
    if not practice.is_set_up():
        return redirect(url_for("setup.begin"))
    form = ForgottenForm()
    sent = False
    status = 200
    if mail.is_configured() and form.validate_on_submit():
        try:
            tickets.forgotten(form.email.data, security.network())
            worker.wake(current_app)
            sent = True
        except SyncError as error:
            blame(form.email, error)
            status = error.status
    elif form.errors:
        status = 422
    return render_template(
        "tickets/forgotten.html", form=form, sent=sent, by_mail=mail.is_configured()
    ), status


def _page(opened: Opened, form: PasswordForm, status: int = 200) -> View:
    return render_template("tickets/enter.html", opened=opened, form=form), status


def _prove(code: str) -> View:
    actor = signing.actor() if current_user.is_authenticated else None
    try:
        own_email.prove(actor, code)
    except NotFound:
        raise
    except SyncError as error:
        return _proof_page(code, tickets.look_at(code), error)
    worker.wake(current_app)
    flash("Your e-mail address is changed. Sign in with it from now on.")
    return redirect(url_for("accounts.account"))


def _proof_page(code: str, opened: Opened, error: SyncError | None = None) -> View:
    """It names the new address alone: whoever reads there may be a stranger."""
    mine = current_user.is_authenticated and current_user.user_id == opened.user_id
    return render_template(
        "tickets/prove.html", code=code, opened=opened, mine=mine, fault=error and error.sentence
    ), error.status if error else 200


def _dead(error: SyncError) -> View:
    return render_template("tickets/dead.html", sentence=error.sentence), 410
