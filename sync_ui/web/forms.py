"""What forms of several pages share."""

from urllib.parse import urlsplit

from flask_wtf import FlaskForm
from wtforms import EmailField, Field, PasswordField
from wtforms.validators import InputRequired

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import SyncError

MODES = {
    DisplayMode.INTERNAL_ID.value: "Use Internal ID",
    DisplayMode.INITIALS.value: "Use Initials",
    DisplayMode.FIRST_NAME.value: "Use First Name",
    DisplayMode.FULL_NAME.value: "Use Full Name",
    DisplayMode.BUSY.value: "Busy only",
}

COLOURS = {colour.value: colour.value.capitalize() for colour in Colour}

CEILINGS = {"": "No limit of its own"} | MODES


class SignInForm(FlaskForm):
    email = EmailField("E-mail address", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])


def blame(field: Field, error: SyncError) -> None:
    """Show the service's sentence beside the field that it is about."""
    field.errors = [*field.errors, error.sentence]


def own_path(target: str | None) -> str | None:
    """`target` if it is a path of this application; never another host's address."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    if any(ord(c) < 32 or c == "\\" for c in target) or urlsplit(target).netloc:
        return None
    return target
