"""The schedule."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import click
from flask.cli import AppGroup

from sync_ui.cli.shared import plainly
from sync_ui.domain.reading import Problem
from sync_ui.services import (
    accounts,
    appointments,
    clashes,
    clients,
    imports,
    plans,
    practice,
)
from sync_ui.services.access import COMMAND
from sync_ui.services.plans import Plan

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
