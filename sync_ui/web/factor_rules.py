"""What administrators say about signing in: who must have a second factor, and lost phones."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, IntegerField, SelectMultipleField
from wtforms.validators import InputRequired

from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import SyncError
from sync_ui.services import enrolment, factors, practice
from sync_ui.web import confirming
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("factor_rules", __name__)

View = str | Response | tuple[str, int]

ROLES = {
    Role.ADMINISTRATOR.value: "Administrators",
    Role.SCHEDULER.value: "Schedulers",
    Role.CLINICIAN.value: "Clinicians",
}


class PolicyForm(FlaskForm):
    roles = SelectMultipleField("Who must have a second factor", choices=ROLES)
    idle_minutes = IntegerField(
        "Minutes until an idle session ends", [InputRequired("Enter the number of minutes.")]
    )
    confirmed = BooleanField("I will set up a second factor now")


@blueprint.route("/settings/sign-in", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def policy() -> View:
    """Who would shut themselves out until they have one is asked first."""
    chosen = [role.value for role in factors.roles_that_must()]
    form = PolicyForm(roles=chosen, idle_minutes=practice.get().idle_minutes)
    if not form.validate_on_submit():
        return _page(form, 422 if form.errors else 200)
    roles = frozenset(map(Role, form.roles.data))
    if current_user.role in roles and not _has_one() and not form.confirmed.data:
        return _page(form, 409, asking=True)
    confirming.require_fresh()
    try:
        factors.change_policy(actor(), roles=roles, idle_minutes=form.idle_minutes.data)
    except SyncError as error:
        blame(form.idle_minutes, error)
        return _page(form, error.status)
    flash("Saved. It holds from everyone’s next page on.")
    return redirect(url_for("factor_rules.policy"))


@blueprint.post("/people/users/<int:user_id>/forget-factors")
@guard(Permission.PEOPLE)
def forget(user_id: int) -> View:
    """For whoever has lost their phone: the password alone counts again."""
    confirming.require_fresh()
    enrolment.forget(actor(), user_id)
    flash("The second factors are taken away, and every session of this user has ended.")
    return redirect(url_for("people.user", user_id=user_id))


def _has_one() -> bool:
    return factors.has_any(current_user.user_id)


def _page(form: PolicyForm, status: int = 200, *, asking: bool = False) -> View:
    counted = {role.value: numbers for role, numbers in factors.counted().items()}
    return render_template(
        "factor_rules/policy.html",
        form=form,
        counted=counted,
        has_one=_has_one(),
        asking=asking,
        recommends=not any(with_one for _, with_one in counted.values()),
    ), status
