"""The phone's page: what a QR code and an e-mail open."""

from flask import Blueprint, render_template, request, session

from sync_ui.domain import apps
from sync_ui.errors import SyncError
from sync_ui.models.installation import current
from sync_ui.services import codes
from sync_ui.services.codes import Opened

blueprint = Blueprint("phone", __name__)

View = tuple[str, int]


@blueprint.get("/add/<code>")
def look(code: str) -> View:
    """Looking spends nothing: mail scanners look too."""
    try:
        return _page(codes.look_at(code, session.get("browser")))
    except SyncError as error:
        return render_template("phone/spent.html", sentence=error.sentence), 410


@blueprint.post("/add/<code>")
def spend(code: str) -> View:
    """A person's press spends the code and binds it to this browser."""
    try:
        opened, session["browser"] = codes.spend(code, session.get("browser"))
    except SyncError as error:
        return render_template("phone/spent.html", sentence=error.sentence), 410
    return _page(opened)


def _page(opened: Opened) -> View:
    https = opened.address
    user_agent = request.headers.get("User-Agent", "")
    return render_template(
        "phone/add.html",
        calendar_name=opened.calendar_name,
        disclosure=opened.disclosure,
        expires_at=opened.expires_at,
        device=apps.device(user_agent),
        safari=apps.in_safari(user_agent),
        https=https,
        webcal=apps.webcal(https) if https else None,
        app_links=apps.ways_in(https, opened.calendar_name) if https else {},
        pressed=request.form.get("app", ""),
        reachable=current().config.reachable_by_phones,
    ), 200
