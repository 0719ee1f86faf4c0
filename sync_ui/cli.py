"""Commands: the same services, for scripts and for whoever runs the host.

Each prints one result on stdout, errors on stderr with an exit code, and asks
nothing when its input is no terminal.
"""

import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from getpass import getpass
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from sync_ui import server, worker
from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.domain.reading import Problem
from sync_ui.domain.roles import Role
from sync_ui.errors import SyncError
from sync_ui.models import Direction, Reason
from sync_ui.services import (
    access,
    accounts,
    appointments,
    check,
    clashes,
    clients,
    connections,
    demo,
    imports,
    limits,
    links,
    plans,
    practice,
    providers,
    sync,
)
from sync_ui.services.access import COMMAND
from sync_ui.services.plans import Plan

P = ParamSpec("P")
R = TypeVar("R")

MODES = click.Choice([mode.value for mode in DisplayMode])
ROOMS = click.Choice([way.value for way in Telehealth])
GRACES = click.Choice([str(hours) for hours in links.GRACES])
DIRECTIONS = click.Choice([way.value.replace("_", "-") for way in Direction])
REASONS = click.Choice([reason.value for reason in Reason])


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Errors are sentences on stderr."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SyncError as error:
            raise click.ClickException(error.sentence) from None

    return wrapped


def register_commands(app: Flask) -> None:
    app.cli.add_command(serve)
    app.cli.add_command(work)
    app.cli.add_command(fill_demo)
    app.cli.add_command(check_health)
    for group in (user, appointments_group, link, connection):
        app.cli.add_command(group)


@click.command("serve")
@click.option("--host", default=None, help="Address to listen on (HOST, or 127.0.0.1).")
@click.option("--port", type=int, default=None, help="Port to listen on (PORT, or 8000).")
@with_appcontext
@plainly
def serve(host: str | None, port: int | None) -> None:
    """Serve the application and do its background work, until SIGTERM."""
    server.serve(host, port)


@click.command("worker")
@with_appcontext
def work() -> None:
    """Do the background work alone, until SIGTERM."""
    worker.run(current_app)


@click.command("demo")
@click.option("--password", default=None, help="For all three sign-ins; random if left out.")
@click.option("--clinicians", type=click.IntRange(1, 50), default=4, show_default=True)
@click.option("--weeks", type=click.IntRange(1, 52), default=26, show_default=True)
@with_appcontext
@plainly
def fill_demo(password: str | None, clinicians: int, weeks: int) -> None:
    """Fill in a demo practice with invented people."""
    click.echo(demo.fill(password=password, clinicians=clinicians, weeks=weeks))


@click.command("check")
@with_appcontext
def check_health() -> None:
    """Tell the health of database, keys, worker and public link."""
    findings = check.findings()
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'PROBLEM'} {finding.subject}: {finding.words}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


user = AppGroup("user", help="Users who sign in.")


@user.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="", help="As calendars show it; else the e-mail's first part.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@plainly
def create_user(email: str, role: str, name: str, password_stdin: bool) -> None:
    """Create a user."""
    password = _password(password_stdin)
    found = accounts.create_user(
        COMMAND, email=email, name=name, role=Role(role), password=password
    )
    click.echo(found.email)


@user.command("list")
def list_users() -> None:
    """List every user: id, e-mail address, role, state."""
    for found in accounts.users():
        state = "disabled" if found.disabled_at else "active"
        click.echo(f"{found.id}\t{found.email}\t{found.role.value}\t{state}")


appointments_group = AppGroup("appointments", help="The schedule.")


@appointments_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--clinician", "email", required=True, help="E-mail address of the clinician.")
@click.option("--dry-run", is_flag=True, help="Tell what would happen, and change nothing.")
@click.option("--skip-wrong-rows", is_flag=True, help="Import the others if some rows are wrong.")
@click.option(
    "--cancel-missing", is_flag=True, help="Cancel what an earlier file had and this one has not."
)
@plainly
def import_file(
    file: Path, email: str, dry_run: bool, skip_wrong_rows: bool, cancel_missing: bool
) -> None:
    """Bring in a calendar: CSV or ICS, told by its content."""
    clinician_id = accounts.clinician_by_email(email).id
    data = imports.read_file(file)
    try:
        if dry_run:
            preview = imports.look(COMMAND, clinician_id, data, take_titles=True)
        else:
            preview = imports.apply(
                COMMAND,
                clinician_id,
                data,
                take_titles=True,
                skip_wrong_rows=skip_wrong_rows,
                cancel_missing=None if cancel_missing else (),
            )
    except imports.WrongRows as error:
        _refuse_wrong_rows(error.problems, skip=False)
    _refuse_wrong_rows(preview.problems, skip=skip_wrong_rows)
    if preview.missing and not cancel_missing:
        click.echo(
            f"{len(preview.missing)} missing in the file; nothing of it cancelled.", err=True
        )
    click.echo(preview.summary(applied=not dry_run))


def _refuse_wrong_rows(problems: Collection[Problem], *, skip: bool) -> None:
    for problem in problems:
        click.echo(f"line {problem.line}: {problem.reason}", err=True)
    if problems and not skip:
        raise click.ClickException(
            f"Nothing was imported: {len(problems)} wrong rows. "
            "Mend the file, or leave them out with --skip-wrong-rows."
        )


@appointments_group.command("add")
@click.option("--clinician", "email", required=True, help="E-mail address of the clinician.")
@click.option("--client", "names", multiple=True, help="“First Last”; may be given twice.")
@click.option("--start", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]), required=True)
@click.option("--minutes", type=click.IntRange(1, 1440), default=50, show_default=True)
@click.option("--location", default="")
@plainly
def add(email: str, names: tuple[str, ...], start: datetime, minutes: int, location: str) -> None:
    """Add an appointment (practice time) and print its id."""
    clinician = accounts.clinician_by_email(email)
    ends = plans.end_of(start, timedelta(minutes=minutes))
    plan = Plan(starts=start, ends=ends, zone=practice.get().zone, location=location)
    plans.check(plan)  # before clients are made who would be left behind
    found = tuple(clients.find_or_create(COMMAND, name, clinician.id) for name in names)
    plan = replace(plan, clients=found)
    if clashes.found(COMMAND, plan, clinician.id):
        click.echo("Warning: the clinician or a client has another appointment then.", err=True)
    click.echo(appointments.create(COMMAND, clinician.id, plan, despite="By command").id)


@appointments_group.command("cancel")
@click.argument("appointment_id", type=int)
@plainly
def cancel(appointment_id: int) -> None:
    """Cancel an appointment."""
    click.echo(appointments.cancel(COMMAND, appointment_id).id)


link = AppGroup("link", help="Links that show a calendar outside.")


def chooses(command: Callable[P, R]) -> Callable[P, R]:
    """The options by which a link says what it shows beside names."""
    options = (
        click.option("--location/--no-location", default=True, help="Show where."),
        click.option("--type", "type", is_flag=True, help="Show the type of appointment."),
        click.option("--telehealth", type=ROOMS, default="none", help="The video room's address."),
        click.option("--time-off/--no-time-off", default=True, help="Show time off."),
        click.option("--cancelled", is_flag=True, help="Keep cancelled ones, marked as such."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@link.command("create")
@click.option("--calendar", required=True, help="A clinician's e-mail address, or “practice”.")
@click.option("--label", required=True, help="What to call the link, e.g. “Anna's iPhone”.")
@click.option("--display", type=MODES, required=True, help="How clients' names show.")
@click.option("--days-back", type=int, default=None, help="Else the practice's count.")
@click.option("--months-ahead", type=int, default=None, help="Else the practice's count.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Its last day.")
@click.option("--agreement", default="", help="Note of the agreement (BAA) for full names.")
@chooses
@plainly
def create_link(
    calendar: str,
    label: str,
    display: str,
    days_back: int | None,
    months_ahead: int | None,
    expires: datetime | None,
    agreement: str,
    telehealth: str,
    **shown: bool,
) -> None:
    """Create a link and print its address."""
    made = links.create(
        COMMAND,
        _calendar_key(calendar),
        label,
        DisplayMode(display),
        choices=Choices(telehealth=Telehealth(telehealth), **shown),
        days_back=days_back,
        months_ahead=months_ahead,
        expires_at=links.end_of(expires.date()) if expires else None,
        agreement=agreement,
        confirmed=True,
    )
    click.echo(links.address(made))


@link.command("list")
def list_links() -> None:
    """List every link: id, calendar, label, display mode, state, last reading."""
    for calendar in links.manageable(COMMAND):
        for found in calendar.links:
            read = f"{found.read_at:%Y-%m-%d %H:%M}Z {found.read_by}" if found.read_at else "never"
            columns = (
                found.id,
                links.name(calendar),
                found.label,
                links.shown_mode(found).value,
                links.state(found),
                read,
            )
            click.echo("\t".join(str(column) for column in columns))


@link.command("renew")
@click.argument("link_id", type=int)
@click.option("--hours", type=GRACES, default="24", show_default=True, help="The old one works on.")
@plainly
def renew(link_id: int, hours: str) -> None:
    """Give a link a fresh address and print it; the old one works a while longer."""
    click.echo(links.address(links.renew(COMMAND, link_id, int(hours))))


@link.command("reset")
@click.argument("link_id", type=int)
@click.option("--reason", type=REASONS, default=None, help="Why, for the audit.")
@plainly
def reset(link_id: int, reason: str | None) -> None:
    """Give a link a new address and print it; the old one is dead."""
    why = Reason(reason) if reason else None
    click.echo(links.address(links.reset(COMMAND, link_id, why)))


@link.command("disable")
@click.argument("link_id", type=int)
@plainly
def disable(link_id: int) -> None:
    """Turn a link off for good."""
    click.echo(links.disable(COMMAND, link_id).id)


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
    key = _calendar_key(calendar)
    login = providers.caldav_login(server, user, _password(password_stdin))
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


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise click.UsageError("Give the password with --password-stdin.")
    return getpass("Password: ")


def _calendar_key(calendar: str) -> str:
    if calendar == access.PRACTICE:
        return calendar
    return links.key(access.calendar_of(accounts.clinician_by_email(calendar)))
