"""The Flask application, put together from its parts."""

from flask import Flask
from flask_wtf import CSRFProtect
from htmx_flask import Htmx

from sync_ui import config as configuration
from sync_ui import worker
from sync_ui.cli import register_commands
from sync_ui.config import ROOT, Config
from sync_ui.models import installation
from sync_ui.services import feeds as feed_service
from sync_ui.services import providers, visits
from sync_ui.web import (
    accounts,
    appointments,
    audit,
    backups,
    bodies,
    clients,
    confirming,
    connection,
    connections,
    dates,
    doors,
    duplicates,
    errors,
    exports,
    factor_rules,
    factors,
    feeds,
    google,
    health,
    holidays,
    imports,
    keys,
    leaks,
    link,
    links,
    moves,
    numbering,
    origins,
    pages,
    people,
    phone,
    practice,
    proposals,
    reach,
    schedule,
    search,
    second_step,
    security,
    setup,
    signing,
    tickets,
    types,
)

BLUEPRINTS = (
    accounts.blueprint,
    appointments.blueprint,
    audit.blueprint,
    backups.blueprint,
    clients.blueprint,
    confirming.blueprint,
    connection.blueprint,
    connections.blueprint,
    doors.blueprint,
    duplicates.blueprint,
    exports.blueprint,
    factor_rules.blueprint,
    factors.blueprint,
    google.blueprint,
    health.blueprint,
    holidays.blueprint,
    imports.blueprint,
    keys.blueprint,
    leaks.blueprint,
    link.blueprint,
    links.blueprint,
    moves.blueprint,
    pages.blueprint,
    people.blueprint,
    phone.blueprint,
    practice.blueprint,
    proposals.blueprint,
    reach.blueprint,
    schedule.blueprint,
    search.blueprint,
    second_step.blueprint,
    setup.blueprint,
    tickets.blueprint,
    types.blueprint,
)

# An upload of a calendar may be larger; see `web.imports`.
LARGEST_REQUEST = 6 * 1024 * 1024


def build(config: Config | None = None) -> Flask:
    config = config or configuration.load()
    app = Flask(
        "sync_ui",
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        instance_path=str(config.data_dir),
    )
    app.request_class = imports.MemoryRequest
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    app.url_map.merge_slashes = False  # a mangled link is found or not, never sent elsewhere
    installation.init_app(app, config)
    feed_service.init_app(app, config)
    visits.init_app(app)
    providers.init_app(app)
    security.init_app(app, config)
    origins.init_app(app)
    doors.init_app(app)  # before whatever else looks at a request
    bodies.init_app(app)
    feeds.init_app(app)
    CSRFProtect(app)
    google.init_app(app)
    Htmx(app)
    signing.init_app(app)
    factors.init_app(app)
    errors.init_app(app)
    confirming.init_app(app)
    dates.init_app(app)
    pages.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    worker.init_app(app)
    register_commands(app)
    numbering.init_app(app)  # last: it stands before all others
    return app
