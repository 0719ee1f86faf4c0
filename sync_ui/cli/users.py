"""Users who sign in."""

import click
from flask.cli import AppGroup

from sync_ui.cli.shared import password_from, plainly
from sync_ui.domain.roles import Role
from sync_ui.services import accounts, enrolment, tickets
from sync_ui.services.access import COMMAND

user = AppGroup("user", help="Users who sign in.")


@user.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="", help="As calendars show it; else the e-mail's first part.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@plainly
def create_user(email: str, role: str, name: str, password_stdin: bool) -> None:
    """Create a user."""
    password = password_from(stdin=password_stdin)
    found = accounts.create_user(
        COMMAND, email=email, name=name, role=Role(role), password=password
    )
    click.echo(found.email)


@user.command("code")
@click.argument("email")
@plainly
def make_code(email: str) -> None:
    """Print an address where the user chooses a new password, once, within 24 hours."""
    text, _ = tickets.make(COMMAND, accounts.by_email(email).id)
    click.echo(tickets.address(text))


@user.command("list")
def list_users() -> None:
    """List every user: id, e-mail address, role, state."""
    for found in accounts.users():
        state = "disabled" if found.disabled_at else "active"
        click.echo(f"{found.id}\t{found.email}\t{found.role.value}\t{state}")


@user.command("forget-factors")
@click.argument("email")
@plainly
def forget_factors(email: str) -> None:
    """Take away every second factor of a user who has lost them; the password stays."""
    found = accounts.by_email(email)
    enrolment.forget(COMMAND, found.id)
    click.echo(found.email)
