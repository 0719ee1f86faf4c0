"""The installation's keys: rotated, forgotten, typed in from the recovery sheet."""

import sys

import click
from flask.cli import AppGroup

from sync_ui import config
from sync_ui.cli.shared import plainly
from sync_ui.domain import key_sheet
from sync_ui.models.installation import current
from sync_ui.models.keys import NAMES
from sync_ui.services import keys
from sync_ui.services.access import COMMAND

KEYS = click.Choice(NAMES)

PRINT_AGAIN = "Print the recovery sheet again, and keep the former one with older backups."


keys_group = AppGroup("keys", help="The keys that the data cannot be read without.")


@keys_group.command("rotate")
@click.argument("name", type=KEYS)
@plainly
def rotate(name: str) -> None:
    """Put a new key in the place of one: token, secret, or (with the server stopped) database."""
    if name == "token":
        click.echo(
            f"A new token.key: {keys.rotate_token(COMMAND)} values sealed anew, every link goes "
            f"on. {PRINT_AGAIN}"
        )
    elif name == "secret":
        keys.rotate_secret(COMMAND)
        click.echo(f"A new secret.key: everybody has to sign in again. {PRINT_AGAIN}")
    else:
        keys.rotate_database(COMMAND)
        backups_alone = current().config.database_url is not None
        what = "for backups from now on" if backups_alone else "the database is encrypted anew"
        click.echo(f"A new database.key: {what}. {PRINT_AGAIN}")


@keys_group.command("forget")
@click.argument("name", type=click.Choice(["database", "token"]))
@plainly
def forget(name: str) -> None:
    """Remove the older keys from a file; backups of their time need the former sheet then."""
    number = keys.forget(COMMAND, name)
    click.echo(f"{number} older keys removed from {name}.key.")


@keys_group.command("enter")
@click.option("--older", is_flag=True, help="Add them behind the keys in use, for an old backup.")
@plainly
def enter(older: bool) -> None:
    """Write missing key files from the lines of the recovery sheet, typed in or piped."""
    typed = _typed_in() if sys.stdin.isatty() else sys.stdin.read(10_000).splitlines()
    written = keys.enter(config.load(), typed, older=older)
    click.echo(f"Written: {', '.join(written)}." if written else "These keys are there already.")


def _typed_in() -> list[str]:
    """Line by line, each until it is right; an empty line leaves a key out."""
    typed = []
    for letter in key_sheet.LETTERS.values():
        for number in range(1, key_sheet.LINES + 1):
            line = _line_typed_in(f"{letter}{number}")
            if not line:
                break
            typed.append(line)
    return typed


def _line_typed_in(label: str) -> str:
    while True:
        text: str = click.prompt(f"Line {label}", default="", show_default=False).strip()
        if not text:
            return ""
        line = text if text[:2].upper() == label else f"{label} {text}"
        if (trouble := key_sheet.trouble(line)) is None:
            return line
        click.echo(trouble, err=True)
