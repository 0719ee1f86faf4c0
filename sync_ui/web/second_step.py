"""The second step of signing in, and signing in by a passkey alone."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired

from sync_ui.errors import SyncError
from sync_ui.services import factors, passkeys, practice, second_step, sessions
from sync_ui.web import security, signing
from sync_ui.web.forms import SignInForm, blame, own_path

blueprint = Blueprint("second_step", __name__, url_prefix="/sign-in")

View = str | Response | tuple[str, int]

# Where the cookie keeps what this browser's passkey is asked to sign.
CHALLENGE = "challenge"


class CodeForm(FlaskForm):
    code = StringField("Code from your app", [InputRequired("Enter the code.")])


class RecoveryForm(FlaskForm):
    code = StringField("Recovery code", [InputRequired("Enter a recovery code.")])


class PasskeyForm(FlaskForm):
    answer = HiddenField()


def go_on() -> Response:
    """All ways of signing in end here: the page that was asked for, as soon as all is shown."""
    target = own_path(request.args.get("next"))
    if signing.half():
        return redirect(url_for("second_step.ask", next=target))
    return redirect(target or url_for("pages.home"))


def answer_with(offered: tuple[str, str]) -> Response:
    """What the browser asks its passkeys (JSON); the challenge stays with this browser."""
    options, session[CHALLENGE] = offered
    return Response(options, mimetype="application/json")


@blueprint.get("/second")
def ask() -> View:
    secret = signing.half()
    return _page(secret) if secret else go_on()


@blueprint.post("/second")
def take_code() -> View:
    secret = signing.half()
    if secret is None:
        return redirect(url_for("accounts.sign_in"))
    recovery = "recovery-code" in request.form
    form = RecoveryForm(prefix="recovery") if recovery else CodeForm(prefix="app")
    if not form.validate_on_submit():
        return _page(secret, form, 422)
    try:
        signing.keep(second_step.by_code(secret, form.code.data))
    except SyncError as error:
        blame(form.code, error)
        return _page(secret, form, error.status)
    return go_on()


@blueprint.post("/second/passkey/options")
def offer_passkey() -> Response:
    """Asked for by a script; without the first step there is nothing to offer."""
    return answer_with(second_step.offer_passkey(signing.half() or ""))


@blueprint.post("/second/passkey")
def take_passkey() -> View:
    secret = signing.half()
    if secret is None:
        return redirect(url_for("accounts.sign_in"))
    form, challenge = PasskeyForm(), session.pop(CHALLENGE, "")
    try:
        signing.keep(second_step.by_passkey(secret, challenge, form.answer.data or ""))
    except SyncError as error:
        return _page(secret, None, error.status, error.sentence)
    return go_on()


@blueprint.post("/passkey/options")
def offer_sign_in() -> Response:
    return answer_with(second_step.offer_sign_in(security.network()))


@blueprint.post("/passkey")
def sign_in() -> View:
    """Whoever holds the passkey is signed in, without an address or a password."""
    form, challenge = PasskeyForm(), session.pop(CHALLENGE, "")
    try:
        answer = form.answer.data or ""
        secret = second_step.sign_in(challenge, answer, security.network(), seat=security.seat())
        signing.keep(secret)
    except SyncError as error:
        return sign_in_page(SignInForm(formdata=None), error.status, error.sentence)
    return go_on()


def sign_in_page(form: SignInForm, status: int = 0, passkey_fault: str = "") -> View:
    """The page of all ways of signing in, with what was wrong with the form or the passkey."""
    return render_template(
        "accounts/sign_in.html",
        form=form,
        practice_name=practice.get().name,
        has_passkeys=passkeys.possible(),
        passkey_fault=passkey_fault,
    ), status or (422 if form.errors else 200)


def _page(
    secret: str, form: FlaskForm | None = None, status: int = 200, passkey_fault: str = ""
) -> View:
    half = sessions.half(secret)
    if half is None:
        return redirect(url_for("accounts.sign_in"))
    return render_template(
        "second_step/ask.html",
        held=factors.held(half.user_id),
        app_form=form if isinstance(form, CodeForm) else CodeForm(prefix="app", formdata=None),
        recovery_form=form
        if isinstance(form, RecoveryForm)
        else RecoveryForm(prefix="recovery", formdata=None),
        has_passkeys=passkeys.possible(),
        passkey_fault=passkey_fault,
        next=own_path(request.args.get("next")),
    ), status
