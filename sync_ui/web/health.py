"""For monitors: 200 as soon as the server can serve, set up or not."""

from flask import Blueprint

from sync_ui.services import health as health_service
from sync_ui.services.health import Level

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> tuple[dict[str, str], int]:
    found = health_service.health()
    told = {"status": found.level.value} | {part.name: part.word for part in found.parts}
    return told, 503 if found.level is Level.ERROR else 200
