"""Who may come in: the list of networks, and its end when it shuts everyone out."""

import click
from flask.cli import AppGroup

from sync_ui.cli.shared import plainly
from sync_ui.services import doors
from sync_ui.services.access import COMMAND

network = AppGroup("network", help="From which networks people may come in.")


@network.command("show")
@plainly
def show() -> None:
    """Print the list as it stands under Settings, Network."""
    found = doors.rules()
    click.echo(found.text if found.lines else "everybody may come in")


@network.command("lift")
@plainly
def lift() -> None:
    """Let everybody in again; the administrators see a warning until one closes it."""
    number = doors.lift(COMMAND)
    if not number:
        click.echo("everybody may come in already")
        return
    click.echo(f"everybody may come in again; {number} lines stay in the list as remarks")
