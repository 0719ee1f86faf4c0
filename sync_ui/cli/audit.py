"""The audit: is it whole, what does it say, and a new head after a loss."""

from datetime import datetime

import click
from flask.cli import AppGroup

from sync_ui.cli.shared import plainly
from sync_ui.services import trail
from sync_ui.services.access import COMMAND
from sync_ui.services.trail import Asked

audit = AppGroup("audit", help="Who changed what.")

DAY = click.DateTime(["%Y-%m-%d"])


@audit.command("verify")
@plainly
def verify() -> None:
    """Tell whether every entry is as it was written, or the first that is not."""
    found = trail.verify()
    if found.wrong:
        raise click.ClickException(found.wrong)
    click.echo(found.words)


@audit.command("export")
@click.option("--from", "first", type=DAY, help="The first day, such as 2026-11-01.")
@click.option("--to", "last", type=DAY, help="The last day, included.")
@plainly
def export(first: datetime | None, last: datetime | None) -> None:
    """Write the audit as CSV to standard output; the days are the practice's."""
    asked = Asked(first=first and first.date(), last=last and last.date())
    for rows in trail.export(COMMAND, asked):
        click.echo(rows, nl=False)


@audit.command("restart")
@plainly
def restart_head() -> None:
    """Take the audit's end for true as it is now, after audit.head was lost."""
    trail.restart_head(COMMAND)
    click.echo(trail.verify().words)
