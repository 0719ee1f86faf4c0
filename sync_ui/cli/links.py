"""Links that show a calendar outside."""

from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar

import click
from flask.cli import AppGroup

from sync_ui.cli.shared import calendar_key, plainly
from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.models import Reason
from sync_ui.services import (
    links,
)
from sync_ui.services.access import COMMAND

P = ParamSpec("P")
R = TypeVar("R")
MODES = click.Choice([mode.value for mode in DisplayMode])
ROOMS = click.Choice([way.value for way in Telehealth])
GRACES = click.Choice([str(hours) for hours in links.GRACES])
REASONS = click.Choice([reason.value for reason in Reason])


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
        calendar_key(calendar),
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
