"""Account Settings > Audit: who did what, when, to which thing; and is all of it still there."""

from itertools import groupby
from typing import Any

from flask import Blueprint, render_template, request, stream_with_context, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response
from wtforms import DateField, Field, Form, SelectField, StringField
from wtforms.validators import Optional, ValidationError

from sync_ui.domain.roles import Permission
from sync_ui.services import plans, trail
from sync_ui.services.access import LARGEST_ID
from sync_ui.services.audit import Action
from sync_ui.services.audit_words import kind_words, words
from sync_ui.services.trail import Asked
from sync_ui.web import confirming, dates
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("audit", __name__, url_prefix="/settings/audit")

View = str | Response | tuple[str, int]

ON_A_PAGE = 100

# Who acts and is no user.
OTHERS = {
    "command": "A command on the server",
    "worker": "The worker",
    "setup": "The set-up",
    "phone": "Whoever holds a link",
    "nobody": "Somebody not signed in",
}


class AskedForm(Form):
    """What the page is asked for, in its address."""

    who = SelectField("Who", validate_choice=False)
    what = SelectField("What", validate_choice=False)
    which = StringField("Which")
    first = DateField("From", [Optional()])
    last = DateField("To", [Optional()])

    def validate_first(self, field: Field) -> None:
        if field.data and not plans.is_near(field.data):
            raise ValidationError(plans.TOO_FAR)

    def validate_last(self, field: Field) -> None:
        self.validate_first(field)
        if field.data and self.first.data and field.data < self.first.data:
            raise ValidationError("The last day must not come before the first.")

    def asked(self) -> Asked:
        """What was understood: a wrong day is none."""
        return Asked(
            actor=self.who.data or "",
            action=self.what.data or "",
            subject=_subject(self.which.data or ""),
            first=None if self.first.errors else self.first.data,
            last=None if self.last.errors else self.last.data,
        )


@blueprint.get("")
@guard(Permission.SETTINGS)
def entries() -> View:
    form = AskedForm(request.args)
    return _page(form, request.args, 200 if form.validate() else 422)


def _page(form: AskedForm, given: MultiDict[str, str], status: int) -> View:
    """The entries that the form asks for; `given` is what the form was made from."""
    names = trail.names() | OTHERS
    form.who.choices = {"": "Everybody"} | names
    form.what.choices = _actions()
    before = request.args.get("before", type=int)
    before = before if before is not None and abs(before) <= LARGEST_ID else None
    found = trail.page(actor(), form.asked(), before, ON_A_PAGE + 1)
    shown = found[:ON_A_PAGE]
    asked: dict[str, Any] = {
        name: value for name, value in given.items() if value and name in form.data
    }
    older = shown[-1].id if len(found) > ON_A_PAGE else None
    return render_template(
        "audit/list.html",
        form=form,
        entries=shown,
        names=names,
        asked=asked,
        words=words,
        newest=url_for("audit.entries", **asked) if before else None,
        older=url_for("audit.entries", before=older, **asked) if older else None,
        verified=trail.last_verified(),
    ), status


@blueprint.post("/export")
@guard(Permission.SETTINGS)
def export() -> View:
    """The same entries as CSV, oldest first."""
    form = AskedForm(request.form)
    if not form.validate():
        return _page(form, request.form, 422)
    confirming.require_fresh()
    table = trail.export(actor(), form.asked())
    answer = Response(stream_with_context(table), content_type="text/csv; charset=utf-8")
    name = f"audit-{dates.today()}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _actions() -> dict[str, list[tuple[str, str]]]:
    """Every action in plain words, and for each kind all of it."""
    found: dict[str, list[tuple[str, str]]] = {"All": [("", "Everything")]}
    in_order = sorted(Action, key=lambda action: kind_words(_kind(action)))
    for kind, actions in groupby(in_order, key=_kind):
        name = kind_words(kind)
        every = (f"{kind}.", f"{name}: all")
        found[name] = [every, *((action.value, words(action)) for action in actions)]
    return found


def _kind(action: str) -> str:
    return action.partition(".")[0]


def _subject(text: str) -> str:
    """`link 5` and `Link: 5` are `link:5`."""
    parts = text.lower().replace(":", " ").split()
    if len(parts) > 1 and parts[-1].isdigit():
        return f"{'_'.join(parts[:-1])}:{parts[-1]}"
    return "_".join(parts)
