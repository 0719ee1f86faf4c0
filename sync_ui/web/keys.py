"""The recovery sheet: what to print today for the day on which the machine is gone."""

from flask import Blueprint, render_template

from sync_ui.domain.roles import Permission
from sync_ui.models.installation import current
from sync_ui.services import keys
from sync_ui.web import confirming, qr
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("keys", __name__, url_prefix="/settings")

WHAT_FOR = {
    "database": "opens the database and every backup",
    "token": "opens what is sealed in it: links to show again, passwords of connections",
    "secret": "signs who is signed in",
}


@blueprint.get("/recovery")
@guard(Permission.SETTINGS)
def recovery() -> str:
    """What the sheet is for; it is shown at a press."""
    return render_template("keys/before.html")


@blueprint.post("/recovery")
@guard(Permission.SETTINGS)
def show() -> str:
    """Never kept by a browser, and each look is in the audit."""
    confirming.require_fresh()
    sheet = keys.sheet(actor())
    codes = {name: qr.svg("\n".join(map(str, lines))) for name, lines in sheet.keys.items()}
    config = current().config
    return render_template(
        "keys/recovery.html",
        sheet=sheet,
        codes=codes,
        what_for=WHAT_FOR,
        base_url=config.base_url,
        data_dir=config.data_dir,
        backups=config.backups,
        on_server=config.database_url is not None,
    )
