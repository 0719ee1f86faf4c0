"""Check my link: what keeps calendar apps from reading it, and how to mend that."""

from flask import Blueprint, render_template
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.errors import SyncError
from sync_ui.services import links, reach
from sync_ui.web.links import door
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("reach", __name__)

View = str | Response | tuple[str, int]


@blueprint.post("/calendars/<key>/links/<int:link_id>/check")
@guard(Permission.OWN_LINKS)
def check(key: str, link_id: int) -> View:
    """The server calls itself from outside; a part of the link's page, or a page of its own."""
    calendar, link = door(key, link_id)
    findings, trouble = [], None
    try:
        findings = reach.check(actor(), link_id)
    except SyncError as error:
        trouble = error
    template = "reach/_findings.html" if htmx_request.htmx else "reach/check.html"
    return render_template(
        template,
        wrong=[finding for finding in findings if finding.ok is False],
        unsure=[finding for finding in findings if finding.ok is None],
        well=[finding for finding in findings if finding.ok],
        trouble=trouble,
        key=links.key(calendar),
        label=link.label,
        link_id=link_id,
    ), trouble.status if trouble else 200
