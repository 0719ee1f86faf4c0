"""What forms of several pages share."""

from urllib.parse import urlsplit

from flask_wtf import FlaskForm
from wtforms import EmailField, Field, Form, IntegerField, PasswordField
from wtforms.validators import InputRequired, StopValidation

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import SyncError
from sync_ui.models import Reason

MODES = {
    DisplayMode.INTERNAL_ID.value: "Use Internal ID",
    DisplayMode.INITIALS.value: "Use Initials",
    DisplayMode.FIRST_NAME.value: "Use First Name",
    DisplayMode.FULL_NAME.value: "Use Full Name",
    DisplayMode.BUSY.value: "Busy only",
}

COLOURS = {colour.value: colour.value.capitalize() for colour in Colour}

CEILINGS = {"": "No limit of its own"} | MODES

REASONS = {
    Reason.LEAKED.value: "Somebody else may have the link",
    Reason.LOST.value: "A device was lost or stolen",
    Reason.LEFT.value: "Somebody has left the practice",
    Reason.ROUTINE.value: "A routine change",
}


class Count(IntegerField):
    """A number that may stay empty; what is no number says so in one sentence."""

    data: int | None

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        try:
            super().process_formdata([text for text in valuelist if text.strip()])
        except ValueError:
            raise ValueError("Enter a whole number, or leave it empty.") from None

    def pre_validate(self, form: Form) -> None:
        """No validator speaks of what could not even be read."""
        if self.process_errors:
            raise StopValidation


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
