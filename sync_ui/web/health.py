"""For monitors: 200 as soon as the server can serve, set up or not."""

from flask import Blueprint
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from sync_ui.models import Practice, db

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> tuple[dict[str, str], int]:
    try:
        db.session.scalar(select(Practice.id))
    except SQLAlchemyError:
        db.session.rollback()
        return {"status": "error", "database": "out of order"}, 503
    return {"status": "ok", "database": "ok"}, 200
