"""The forms of a connection: the account, what it shows, and what becomes of changes outside."""

import re
from collections.abc import Iterable

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, PasswordField, RadioField, StringField, SubmitField
from wtforms.validators import AnyOf, InputRequired, Length

from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.domain.outside import OutsideCalendar
from sync_ui.domain.reconcile import Rule
from sync_ui.errors import ConfirmationNeeded, Refused, SyncError
from sync_ui.models import Connection
from sync_ui.services.limits import LONGEST_AGREEMENT
from sync_ui.services.providers import LONGEST_ADDRESS, LONGEST_USER
from sync_ui.web.forms import MODES, blame
from sync_ui.web.link_form import AGREED, TELEHEALTH

RULES = {
    Rule.ASK.value: "Ask me",
    Rule.FOLLOW.value: "Move it here too; ask me where the time is taken, or if it was removed",
    Rule.PUT_BACK.value: "Put it back",
}

ITS_OWN = "A calendar of its own, made there now"


class ShownForm(FlaskForm):
    """How names show, and what a change outside means."""

    mode = RadioField(
        "How client names show",
        [AnyOf(MODES, "Choose one of these ways to show names.")],
        choices=MODES,
        validate_choice=False,
    )
    confirmed = BooleanField(AGREED)
    agreement = StringField(
        "Which agreement?",
        [Length(max=LONGEST_AGREEMENT, message=f"At most {LONGEST_AGREEMENT} characters.")],
    )
    rule = RadioField(
        "When an appointment is moved or removed there",
        [AnyOf(RULES, "Choose what becomes of it.")],
        choices=RULES,
        default=Rule.ASK.value,
        validate_choice=False,
    )

    @property
    def chosen_mode(self) -> DisplayMode:
        return DisplayMode(self.mode.data)

    @property
    def chosen_rule(self) -> Rule:
        return Rule(self.rule.data)

    def blame(self, error: SyncError) -> None:
        """The sentence beside the field that it is about; above all if it is about none."""
        field = self.at_fault(error)
        if field is None:
            self.form_errors.append(error.sentence)
        else:
            blame(field, error)

    def at_fault(self, error: SyncError) -> Field | None:
        if isinstance(error, ConfirmationNeeded):
            return self.confirmed
        if isinstance(error, Refused):
            return self.mode
        return self.agreement if "agreement" in error.sentence else None


def without_sign_in(address: str | None) -> str | None:
    """An address may name a user and a password, which no page may send back."""
    return address and re.sub("//[^/@]*@", "//", address)


class ConnectForm(ShownForm):
    """An account on a CalDAV server. The password is never sent back."""

    server = StringField(
        "Address of the server", [Length(max=LONGEST_ADDRESS)], filters=[without_sign_in]
    )
    user = StringField("User name", [Length(max=LONGEST_USER)])
    password = PasswordField("App password")
    outside = RadioField("Where to write", choices={"": ITS_OWN}, default="", validate_choice=False)
    look = SubmitField("Show the calendars there")

    def offer(self, found: Iterable[OutsideCalendar]) -> None:
        """The calendars that could be written to."""
        there = {each.id: each.name for each in found if each.writable}
        self.outside.choices = {"": ITS_OWN} | there

    def at_fault(self, error: SyncError) -> Field | None:
        about = {
            "Enter the address": self.server,
            "This is no address": self.server,
            "No calendar was found": self.server,
            "Enter the user name": self.user,
            "This account": self.user,
            "Enter the password": self.password,
            "The calendar server does not accept": self.password,
            "Choose a calendar": self.outside,
            "The calendar server makes no": self.outside,
        }
        for beginning, field in about.items():
            if error.sentence.startswith(beginning):
                return field
        return super().at_fault(error)


class ChangeForm(ShownForm):
    """What a connection shows, and its rule."""

    location = BooleanField("Location")
    type = BooleanField("Appointment type")
    time_off = BooleanField("Time off")
    telehealth = RadioField(
        "Address of the video room",
        [AnyOf(TELEHEALTH, "Choose how the video room’s address shows.")],
        choices={word: TELEHEALTH[word] for word in (Telehealth.NONE, Telehealth.ADDRESS)},
        validate_choice=False,
    )

    @property
    def choices(self) -> Choices:
        return Choices(
            location=bool(self.location.data),
            type=bool(self.type.data),
            telehealth=Telehealth(self.telehealth.data),
            time_off=bool(self.time_off.data),
        )


class SecretForm(FlaskForm):
    """A new sign-in to the same account."""

    password = PasswordField("App password", [InputRequired("Enter the password.")])


def values_of(connection: Connection, shown: DisplayMode) -> dict[str, object]:
    """What the form holds before anything is changed; `shown` is what the ceiling leaves."""
    choices = connection.choices
    return {
        "mode": shown.value,
        "agreement": connection.agreement,
        "rule": connection.rule.value,
        "location": choices.location,
        "type": choices.type,
        "time_off": choices.time_off,
        "telehealth": choices.telehealth.value,
    }
