"""Make a backup, and put one in the database's place."""

import sys
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from sync_ui import config as configuration
from sync_ui.cli.shared import plainly
from sync_ui.models import installation
from sync_ui.services import backups
from sync_ui.services import restore as restoring
from sync_ui.services.access import COMMAND
from sync_ui.services.restore import Outlook, Restored

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("backup")
@click.argument("file", type=FILE)
@with_appcontext
@plainly
def backup(file: Path) -> None:
    """Make a backup while the server runs, and read it back."""
    made = backups.write(COMMAND, file.absolute())
    click.echo(
        f"{file}: {made.size:,} bytes, read back whole. "
        "It opens only with database.key, which is not in it."
    )


@click.command("restore")
@click.argument("file", type=FILE)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reset-links", is_flag=True, help="Give every link a new address.")
@with_appcontext
@plainly
def restore(file: Path, yes: bool, reset_links: bool) -> None:
    """Put a backup in the database's place, with the server stopped."""
    config = configuration.load()
    with installation.hold_alone(config):
        found = installation.lend(current_app, config)
        outlook = restoring.look(found, file)
        asks = not yes
        if asks and not sys.stdin.isatty():
            raise click.UsageError("Say --yes to replace the database by the backup.")
        if asks:
            _ask(outlook)
        if asks and not reset_links and not outlook.knows_the_dead:
            reset_links = click.confirm(f"{DOUBT} Give every link a new address now?")
        _tell(restoring.restore(found, file, reset_links=reset_links))


DOUBT = (
    "Links that were reset or disabled after this backup could come back to life: "
    "the journal of dead links (revoked.log) of its installation is not here."
)


def _ask(outlook: Outlook) -> None:
    now = {
        True: "It replaces the database of the same installation.",
        False: "It replaces the database of ANOTHER installation.",
        None: "There is no database here that opens.",
    }[outlook.same]
    click.echo(f"The backup was made on {outlook.note.made_at:%d %B %Y at %H:%M} UTC. {now}")
    click.confirm("Everybody is signed out. Restore it?", abort=True)


def _tell(done: Restored) -> None:
    """One result on stdout; what somebody has to do on stderr."""
    kept = f" What was there is kept as {done.kept.name}." if done.kept else ""
    click.echo(f"Restored as of {done.note.made_at:%d %B %Y, %H:%M} UTC.{kept}")
    if done.ended:
        click.echo(f"Links that stay dead, since they were ended later: {done.ended}.", err=True)
    if done.lost:
        click.echo(
            "Links that have no address any more, made or reset since the backup: "
            f"{', '.join(done.lost)}. Make them anew and send them; apps that hold the old ones "
            "show a notice instead of appointments.",
            err=True,
        )
    if done.renewed:
        numbers = ", ".join(str(number) for number in done.renewed)
        click.echo(
            f"Links with a fresh address, since the one they had ends soon: {numbers}. "
            "Send it anew.",
            err=True,
        )
    if done.reset:
        click.echo(f"Links with a new address, their old ones dead: {done.reset}.", err=True)
    if done.doubtful:
        click.echo(
            f"{DOUBT} Links that work now: {done.doubtful}. To be sure, restore again with "
            "--reset-links, or reset them under Settings, Policy.",
            err=True,
        )
    if done.unsure and not done.doubtful:
        click.echo(
            "The database that was here could not be read: an end that was set for a link after "
            f"the backup is not known. Look at the links that work now: {done.unsure}.",
            err=True,
        )
    if done.connections:
        click.echo(
            f"Connected calendars that wait until somebody looks at them: {done.connections}.",
            err=True,
        )
