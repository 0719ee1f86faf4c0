"""One's own second factors: an authenticator app, passkeys, recovery codes."""

from flask import Blueprint, Flask, flash, redirect, render_template, request, session, url_for
from flask_login import current_user, login_required
from flask_wtf import FlaskForm
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired

from sync_ui.errors import SyncError
from sync_ui.services import accounts, enrolment, factors, passkeys, practice
from sync_ui.web import confirming, qr, signing
from sync_ui.web.forms import blame
from sync_ui.web.second_step import CHALLENGE, answer_with
from sync_ui.web.signing import actor

blueprint = Blueprint("factors", __name__, url_prefix="/account/factors")

View = str | Response | tuple[str, int]

# Open to whoever must set up a second factor first; beside the pages that do so.
OPEN = {
    *("accounts.sign_in", "accounts.sign_out", "accounts.state", "confirming.confirm"),
    *("google.notify", "tickets.begin", "tickets.enter", "tickets.spend"),
    *("health.health", "pages.robots", "phone.look", "phone.spend", "static"),
}


class CodeForm(FlaskForm):
    code = StringField("Code that the app shows", [InputRequired("Enter the code.")])


class PasskeyForm(FlaskForm):
    name = StringField("Name of the passkey")
    answer = HiddenField()


def init_app(app: Flask) -> None:
    app.before_request(_lead_to_set_up)


def _lead_to_set_up() -> Response | None:
    """Who must have a second factor and has none comes here first, whatever was asked."""
    if request.endpoint in OPEN or request.blueprint == blueprint.name:
        return None
    if not current_user.is_authenticated:
        return None
    if not factors.owes_one(current_user.user_id, current_user.role):
        return None
    target = url_for("factors.listed")
    return signing.lead_away(target, 403) if htmx_request.htmx else redirect(target)


@blueprint.get("")
@login_required
def listed() -> str:
    return render_template(
        "factors/list.html",
        held=factors.held(current_user.user_id),
        owed=factors.owes_one(current_user.user_id, current_user.role),
        has_passkeys=passkeys.possible(),
    )


@blueprint.post("/app")
@login_required
def begin_app() -> View:
    """A fresh secret each time, which only the next page shows."""
    confirming.require_fresh()
    enrolment.begin_app(actor())
    return redirect(url_for("factors.app"))


@blueprint.get("/app")
@login_required
def app() -> View:
    """Shows the secret that waits, so whoever finds the browser open must not see it."""
    confirming.require_fresh()
    return _app_page(CodeForm())


@blueprint.post("/app/confirm")
@login_required
def confirm_app() -> View:
    confirming.require_fresh()
    form = CodeForm()
    if not form.validate_on_submit():
        return _app_page(form, 422)
    try:
        codes = enrolment.confirm_app(actor(), current_user.id, form.code.data)
    except SyncError as error:
        blame(form.code, error)
        return _app_page(form, error.status)
    return _added("The app is added.", codes)


@blueprint.post("/app/remove")
@login_required
def remove_app() -> View:
    confirming.require_fresh()
    enrolment.remove_app(actor())
    flash("The app is removed: its codes open nothing any more.")
    return redirect(url_for("factors.listed"))


@blueprint.get("/passkey")
@login_required
def passkey() -> View:
    """Where a script asks the browser for a new one."""
    confirming.require_fresh()
    return _passkey_page(PasskeyForm())


@blueprint.post("/passkey/options")
@login_required
def offer_passkey() -> Response:
    confirming.require_fresh()
    user = accounts.user(current_user.user_id)
    return answer_with(passkeys.offer_registration(user))


@blueprint.post("/passkey")
@login_required
def add_passkey() -> View:
    confirming.require_fresh()
    form, challenge = PasskeyForm(), session.pop(CHALLENGE, "")
    try:
        codes = enrolment.add_passkey(
            actor(),
            current_user.id,
            challenge=challenge,
            answer=form.answer.data or "",
            name=form.name.data or "",
        )
    except SyncError as error:
        blame(form.name, error)
        return _passkey_page(form, error.status)
    return _added("The passkey is added.", codes)


@blueprint.post("/passkey/<int:passkey_id>/remove")
@login_required
def remove_passkey(passkey_id: int) -> View:
    confirming.require_fresh()
    enrolment.remove_passkey(actor(), passkey_id)
    flash("The passkey is removed: it opens nothing any more.")
    return redirect(url_for("factors.listed"))


@blueprint.post("/recovery-codes")
@login_required
def draw_codes() -> View:
    confirming.require_fresh()
    return _codes_page("You have new recovery codes.", enrolment.draw_codes(actor()))


def _added(sentence: str, codes: list[str]) -> View:
    """The first one comes with recovery codes, which are shown this once."""
    if codes:
        return _codes_page(sentence, codes)
    flash(sentence)
    return redirect(url_for("factors.listed"))


def _codes_page(sentence: str, codes: list[str]) -> View:
    return render_template("factors/codes.html", sentence=sentence, codes=codes)


def _app_page(form: CodeForm, status: int = 200) -> View:
    secret = enrolment.waiting_app(actor())
    if secret is None:
        return redirect(url_for("factors.listed"))
    issuer = practice.get().name.replace(":", " ") or "Sync Calendar"
    address = factors.address(secret, current_user.email, issuer)
    return render_template(
        "factors/app.html",
        form=form,
        secret=_spaced(secret),
        address=address,
        drawn=qr.svg(address),
    ), status


def _spaced(secret: str) -> str:
    """In groups of four, as people type it."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


def _passkey_page(form: PasskeyForm, status: int = 200) -> View:
    if not passkeys.possible():
        return redirect(url_for("factors.listed"))
    return render_template("factors/passkey.html", form=form), status
