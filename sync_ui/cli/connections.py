"""Outside calendars that are kept up to date."""

import click
from flask.cli import AppGroup

from sync_ui.cli.shared import calendar_key, password_from, plainly
from sync_ui.domain.event import DisplayMode
from sync_ui.models import Direction
from sync_ui.services import (
    connections,
    limits,
    links,
    providers,
    sync,
)
from sync_ui.services.access import COMMAND

MODES = click.Choice([mode.value for mode in DisplayMode])
DIRECTIONS = click.Choice([way.value.replace("_", "-") for way in Direction])


connection = AppGroup("connection", help="Outside calendars that are kept up to date.")


@connection.command("add")
@click.option("--calendar", required=True, help="A clinician's e-mail address.")
@click.option("--caldav", "server", required=True, help="The address of the CalDAV server.")
@click.option("--user", required=True, help="The user name there.")
@click.option("--password-stdin", is_flag=True, help="Read the password there from stdin.")
@click.option("--direction", type=DIRECTIONS, required=True, help="Whether anything is read.")
@click.option("--display", type=MODES, required=True, help="How clients' names show.")
@click.option("--agreement", default="", help="Note of the agreement (BAA) for full names.")
@plainly
def add_connection(
    calendar: str,
    server: str,
    user: str,
    password_stdin: bool,
    direction: str,
    display: str,
    agreement: str,
) -> None:
    """Connect a clinician's calendar and print the connection's id."""
    key = calendar_key(calendar)
    login = providers.caldav_login(server, user, password_from(stdin=password_stdin))
    made = connections.connect(
        COMMAND,
        key,
        providers.look_around(login),
        Direction(direction.replace("-", "_")),
        DisplayMode(display),
        agreement=agreement,
        confirmed=True,
    )
    click.echo(connections.start(COMMAND, made.id).id)


@connection.command("list")
def list_connections() -> None:
    """List every connection: id, calendar, provider, direction, display mode, state, success."""
    for found in connections.manageable(COMMAND):
        succeeded = f"{found.succeeded_at:%Y-%m-%d %H:%M}Z" if found.succeeded_at else "never"
        columns = (
            found.id,
            links.name(found.calendar),
            found.provider.value,
            found.direction.value.replace("_", "-"),
            limits.shown(found.mode, agreed=bool(found.agreement)).value,
            found.state.value,
            succeeded,
        )
        click.echo("\t".join(str(column) for column in columns))


@connection.command("sync")
@click.argument("connection_id", type=int)
@plainly
def sync_connection(connection_id: int) -> None:
    """Run one pass and print what moved."""
    connections.one(COMMAND, connection_id)
    passed = sync.run_until_done(connection_id)
    if passed is None:
        raise click.ClickException("It is not to be worked on now, or the worker is at it.")
    if passed.trouble:
        raise click.ClickException(passed.trouble)
    moved = (f"{word.replace('_', ' ')} {count}" for word, count in passed.moved.items())
    click.echo(", ".join(moved) or "nothing moved")


@connection.command("remove")
@click.argument("connection_id", type=int)
@click.option("--keep", is_flag=True, help="Leave what was written where it is.")
@plainly
def remove_connection(connection_id: int, keep: bool) -> None:
    """Disconnect, take back everything that was written, and print the id."""
    connections.disconnect(COMMAND, connection_id, remove=not keep)
    if not keep:
        passed = sync.run_until_done(connection_id)
        if passed is not None and passed.trouble:
            raise click.ClickException(f"It is disconnected, but not clean yet: {passed.trouble}")
    click.echo(connection_id)
