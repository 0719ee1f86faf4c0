"""Account Settings > Backups: what there is, one more, a copy to carry away, how to restore."""

import shlex

from flask import Blueprint, flash, redirect, render_template, send_file, url_for
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.models.installation import current
from sync_ui.services import backups
from sync_ui.web import confirming
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("backups", __name__, url_prefix="/settings/backups")

View = str | Response | tuple[str, int]


@blueprint.get("")
@guard(Permission.SETTINGS)
def listed() -> View:
    return _page()


@blueprint.post("")
@guard(Permission.SETTINGS)
def make() -> View:
    try:
        backups.make(actor())
    except SyncError as error:
        return _page(error)
    flash("The backup is made, and was read back whole.")
    return redirect(url_for("backups.listed"))


@blueprint.post("/<int:backup_id>/download")
@guard(Permission.SETTINGS)
def download(backup_id: int) -> View:
    confirming.require_fresh()
    path = backups.download(actor(), backup_id)
    answer = send_file(path, "application/octet-stream", as_attachment=True, max_age=0)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _page(fault: SyncError | None = None) -> View:
    config = current().config
    settings = [f"SYNC_DATA_DIR={shlex.quote(str(config.data_dir))}"]
    if config.database_url:
        settings.append("SYNC_DATABASE_URL=…")
    return render_template(
        "backups/list.html",
        made=backups.listed(actor()),
        folder=config.backups,
        beside=config.backup_dir is None,
        restore=f"{' '.join(settings)} .venv/bin/flask restore",
        fault=fault,
    ), fault.status if fault else 200
