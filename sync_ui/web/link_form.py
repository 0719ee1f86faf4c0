"""The form of one link: what it shows, how far it reaches, and how long it lives."""

from datetime import date, datetime, timedelta

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    Field,
    Form,
    RadioField,
    StringField,
)
from wtforms.validators import (
    AnyOf,
    InputRequired,
    Length,
    NumberRange,
    Optional,
    StopValidation,
    ValidationError,
)

from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.models import Link
from sync_ui.services import links
from sync_ui.services.limits import LONGEST_AGREEMENT
from sync_ui.services.practice import MOST_DAYS_BACK, MOST_MONTHS_AHEAD
from sync_ui.web import dates
from sync_ui.web.forms import MODES, Count

AGREED = "The calendar service has an agreement (BAA) with the practice, or keeps nothing"

TELEHEALTH = {
    Telehealth.NONE.value: "Not at all",
    Telehealth.BUTTON.value: "As a button to join, where the app has one",
    Telehealth.ADDRESS.value: "Written out",
}

# Whoever means a longer time means for ever.
LONGEST = timedelta(days=3660)


class Day(DateField):
    """A day that may stay empty."""

    data: date | None

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        try:
            super().process_formdata([text for text in valuelist if text.strip()])
        except ValueError:
            raise ValueError("Choose a day of the calendar, or leave it empty.") from None

    def pre_validate(self, form: Form) -> None:
        """No validator speaks of what could not even be read."""
        if self.process_errors:
            raise StopValidation


class ChoicesForm(FlaskForm):
    """What a link shows: all that its preview depends on."""

    mode = RadioField(
        "How client names show",
        [AnyOf(MODES, "Choose one of these ways to show names.")],
        choices=MODES,
        validate_choice=False,
    )
    location = BooleanField("Location")
    type = BooleanField("Appointment type")
    time_off = BooleanField("Time off")
    cancelled = BooleanField("Cancelled appointments, marked as cancelled")
    telehealth = RadioField(
        "Address of the video room",
        [AnyOf(TELEHEALTH, "Choose how the video room’s address shows.")],
        choices=TELEHEALTH,
        validate_choice=False,
    )
    days_back = Count(
        "Days back", [Optional(), NumberRange(0, MOST_DAYS_BACK, f"From 0 to {MOST_DAYS_BACK}.")]
    )
    months_ahead = Count(
        "Months ahead",
        [Optional(), NumberRange(1, MOST_MONTHS_AHEAD, f"From 1 to {MOST_MONTHS_AHEAD}.")],
    )

    @property
    def is_sound(self) -> bool:
        """Whether there is something to preview."""
        fields = (self.mode, self.telehealth, self.days_back, self.months_ahead)
        return not any(field.errors for field in fields)

    @property
    def chosen_mode(self) -> DisplayMode:
        return DisplayMode(self.mode.data)

    @property
    def choices(self) -> Choices:
        return Choices(
            location=bool(self.location.data),
            type=bool(self.type.data),
            telehealth=Telehealth(self.telehealth.data),
            time_off=bool(self.time_off.data),
            cancelled=bool(self.cancelled.data),
        )


class LinkForm(ChoicesForm):
    """The whole of a link's page."""

    label = StringField(
        "Name of the link",
        [
            InputRequired("Name the link, e.g. “Anna’s iPhone”."),
            Length(max=100, message="A name has at most 100 characters."),
        ],
    )
    confirmed = BooleanField(AGREED)
    agreement = StringField(
        "Which agreement?",
        [Length(max=LONGEST_AGREEMENT, message=f"At most {LONGEST_AGREEMENT} characters.")],
    )
    last_day = Day("Works until the end of", [Optional()])

    def validate_last_day(self, field: Field) -> None:
        if field.data < dates.today():
            raise ValidationError(
                "This day is over. Choose today or a later one, or leave it empty."
            )
        if field.data > dates.today() + LONGEST:
            raise ValidationError("Choose a day within ten years, or leave it empty.")

    def expires_at(self, link: Link) -> datetime | None:
        """The midnight that ends the day; the link's own moment if that is the day already."""
        day = self.last_day.data
        if day is None or day == last_day(link):
            return link.expires_at if day else None
        return links.end_of(day)


def values_of(link: Link, shown: DisplayMode) -> dict[str, object]:
    """What the form holds before anything is changed; `shown` is what the ceiling leaves."""
    choices = link.choices
    return {
        "label": link.label,
        "mode": shown.value,
        "agreement": link.agreement,
        "location": choices.location,
        "type": choices.type,
        "telehealth": choices.telehealth.value,
        "time_off": choices.time_off,
        "cancelled": choices.cancelled,
        "days_back": link.days_back,
        "months_ahead": link.months_ahead,
        "last_day": last_day(link),
    }


def last_day(link: Link) -> date | None:
    """The last day, in the practice's zone, on which the link works, if only for a part of it."""
    if link.expires_at is None:
        return None
    return (link.expires_at - timedelta(microseconds=1)).astimezone(dates.zone()).date()
