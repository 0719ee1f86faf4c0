"""What commands have in common: errors as sentences, passwords from standard input."""

import sys
from collections.abc import Callable
from functools import wraps
from getpass import getpass
from typing import ParamSpec, TypeVar

import click

from sync_ui.errors import SyncError
from sync_ui.services import (
    access,
    accounts,
    links,
)

P = ParamSpec("P")
R = TypeVar("R")


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Errors are sentences on stderr."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SyncError as error:
            raise click.ClickException(error.sentence) from None

    return wrapped


def password_from(*, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise click.UsageError("Give the password with --password-stdin.")
    return getpass("Password: ")


def calendar_key(calendar: str) -> str:
    if calendar == access.PRACTICE:
        return calendar
    return links.key(access.calendar_of(accounts.clinician_by_email(calendar)))
