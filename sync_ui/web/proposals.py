"""Changes made outside that wait for a decision: made here too, or put back there."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.errors import NotFound, SyncError
from sync_ui.models import db
from sync_ui.services import proposals
from sync_ui.services.clashes import Clashing
from sync_ui.web import proposed
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("proposals", __name__, url_prefix="/proposals")

View = str | Response | tuple[str | Response, int]


@blueprint.get("")
@guard(Permission.OWN_SCHEDULE)
def listed() -> View:
    return _page()


@blueprint.post("/<int:proposal_id>/accept")
@guard(Permission.OWN_SCHEDULE)
def accept(proposal_id: int) -> View:
    """The appointment is moved or cancelled here too; a clash asks for a reason first."""
    try:
        proposals.accept(actor(), proposal_id, despite=request.form.get("despite", ""))
    except NotFound:
        raise
    except SyncError as error:
        db.session.rollback()
        clashes = error.clashes if isinstance(error, Clashing) else ()
        return _page(error, proposal_id, clashes=clashes)
    return _done("Done here too.")


@blueprint.post("/<int:proposal_id>/put-back")
@guard(Permission.OWN_SCHEDULE)
def put_back(proposal_id: int) -> View:
    try:
        proposals.put_back(actor(), proposal_id)
    except NotFound:
        raise
    except SyncError as error:
        db.session.rollback()
        return _page(error, proposal_id)
    return _done("It is put back there within moments.")


def _done(sentence: str) -> View:
    """In place with htmx, where the schedule behind it is drawn anew."""
    if not htmx_request.htmx:
        flash(sentence)
        return redirect(url_for("proposals.listed"))
    page, status = _page(proposal_done=sentence)
    answer: Response = make_response(page, trigger={"schedule-changed": {}})
    return answer, status


def _page(
    error: SyncError | None = None, asking: int | None = None, **context: object
) -> tuple[str, int]:
    """`asking` is the proposal that the error is about."""
    in_place = bool(htmx_request.htmx)
    page = render_template(
        "proposals/_waiting.html" if in_place else "proposals/list.html",
        decided=[] if in_place else proposed.told(proposals.decided(actor())),
        proposal_fault=error.sentence if error else "",
        asking=asking,
        shown=request.args.get("shown", type=int) if in_place else None,
        **proposed.about(actor()),
        **context,
    )
    return page, error.status if error else 200
