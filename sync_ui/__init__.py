"""Sync Calendar: a practice's schedule, on every phone, in as few words as allowed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from sync_ui.config import Config


def create_app(config: "Config | None" = None) -> "Flask":
    """The application on its data directory; settings come from the environment.

    Raises CannotStart with one sentence if the installation is not fit to serve.
    """
    from sync_ui.web.application import build  # late: reading a file needs none of this

    return build(config)
