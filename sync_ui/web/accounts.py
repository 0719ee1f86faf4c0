"""Sign in, sign out, and the user's own account."""

from flask import (
    Blueprint,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    session,
    url_for,
)
from flask_login import current_user, login_required, logout_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, EmailField, PasswordField
from wtforms.validators import EqualTo, InputRequired

from sync_ui import worker
from sync_ui.errors import SyncError
from sync_ui.services import accounts, factors, mail, notices, own_email, practice, sessions
from sync_ui.web import confirming, second_step, security, signing
from sync_ui.web.forms import SignInForm, blame

blueprint = Blueprint("accounts", __name__)

View = str | Response | tuple[str, int]


class PasswordForm(FlaskForm):
    old = PasswordField("Current password", [InputRequired("Enter your current password.")])
    new = PasswordField("New password", [InputRequired("Enter a new password.")])
    again = PasswordField(
        "New password again", [EqualTo("new", "The two new passwords are not the same.")]
    )


class EmailForm(FlaskForm):
    email = EmailField("New e-mail address", [InputRequired("Enter the new e-mail address.")])


class NoticesForm(FlaskForm):
    wanted = BooleanField("E-mail me when somebody new reads my link, or my phone goes silent")


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> View:
    if not practice.is_set_up():
        return redirect(url_for("setup.begin"))
    if current_user.is_authenticated:
        return redirect(url_for("pages.home"))
    form = SignInForm()
    if not form.validate_on_submit():
        return second_step.sign_in_page(form)
    try:
        signing.sign_in(form.email.data, form.password.data, security.network())
    except SyncError as error:
        blame(form.password, error)
        return second_step.sign_in_page(form, error.status)
    return second_step.go_on()


@blueprint.post("/sign-out")
def sign_out() -> Response:
    if current_user.is_authenticated:
        sessions.sign_out(current_user.id)
    if half := signing.half():
        sessions.sign_out(half)
    logout_user()
    session.clear()
    answer = redirect(url_for("accounts.sign_in"))
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@blueprint.route("/account", methods=["GET", "POST"])
@login_required
def account() -> View:
    form = PasswordForm()
    if not form.validate_on_submit():
        return _account_page(form)
    email = current_user.email
    second_factor_at = sessions.second_factor_at(current_user.id)
    try:
        accounts.change_own_password(signing.actor(), form.old.data, form.new.data)
    except SyncError as error:
        blame(form.old if "current" in error.sentence else form.new, error)
        return _account_page(form, error.status)
    new, network = form.new.data, security.network()
    signing.sign_in(email, new, network, second_factor_at=second_factor_at)
    flash("Your password is changed. You are signed out everywhere else.")
    return redirect(url_for("accounts.account"))


@blueprint.post("/account/email")
@login_required
def change_email() -> View:
    form = EmailForm()
    if not form.validate_on_submit():
        return _account_page(PasswordForm(formdata=None), 422, email_form=form)
    confirming.require_fresh()
    try:
        counts = own_email.change(signing.actor(), form.email.data)
    except SyncError as error:
        blame(form.email, error)
        return _account_page(PasswordForm(formdata=None), error.status, email_form=form)
    if counts:
        flash("Your e-mail address is changed. Sign in with it from now on.")
    else:
        worker.wake(current_app)
    return redirect(url_for("accounts.account"))


@blueprint.post("/account/email/keep")
@login_required
def keep_email() -> Response:
    if own_email.keep(signing.actor()):
        flash("Your e-mail address stays as it is.")
    else:
        flash("There was nothing to take back. Below is the address that counts.")
    return redirect(url_for("accounts.account"))


@blueprint.get("/session")
def state() -> Response:
    """How long this session lives on; asking does not keep it awake."""
    if not current_user.is_authenticated:
        return Response(status=401)
    return jsonify(seconds=sessions.seconds_left(current_user.id))


@blueprint.post("/account/sessions/<int:session_id>/end")
@login_required
def end_session(session_id: int) -> Response:
    sessions.end(signing.actor(), session_id)
    flash("That session has ended.")
    return redirect(url_for("accounts.account"))


@blueprint.post("/account/sessions/end-others")
@login_required
def end_others() -> Response:
    sessions.end_others(signing.actor(), current_user.id)
    flash("You are signed out everywhere else.")
    return redirect(url_for("accounts.account"))


@blueprint.post("/account/notices")
@login_required
def notify() -> Response:
    wanted = NoticesForm().wanted.data
    notices.want_mails(signing.actor(), wanted)
    flash("You get these e-mails from now on." if wanted else "You get no such e-mail any more.")
    return redirect(url_for("accounts.account"))


def _account_page(
    form: PasswordForm, status: int = 0, *, email_form: EmailForm | None = None
) -> View:
    return render_template(
        "accounts/account.html",
        form=form,
        wanted_email=own_email.wanted(signing.actor()),
        email_form=email_form or EmailForm(formdata=None),
        sessions=sessions.of_actor(signing.actor()),
        is_this=lambda each: sessions.is_of(each, current_user.id),
        notices_form=NoticesForm(formdata=None, wanted=notices.wants_mails(signing.actor())),
        mail_is_set_up=mail.is_configured(),
        held=factors.held(current_user.user_id),
    ), status or (422 if form.errors else 200)
