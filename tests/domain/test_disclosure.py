from datetime import date

import pytest

from sync_ui.domain.disclosure import sentence
from sync_ui.domain.event import Choices, DisplayMode, Telehealth

SPAN = (date(2026, 10, 22), date(2027, 5, 21))
SESSIONS = Choices(time_off=False)


def told(
    mode: DisplayMode = DisplayMode.INITIALS,
    choices: Choices = SESSIONS,
    *,
    calendar: str = "Dr. Ünlü",
    practice_wide: bool = False,
    american: bool = False,
    span: tuple[date, date] = SPAN,
) -> str:
    return sentence(calendar, mode, choices, span, practice_wide=practice_wide, american=american)


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (DisplayMode.INTERNAL_ID, "Internal IDs, times"),
        (DisplayMode.INITIALS, "Initials, times"),
        (DisplayMode.FIRST_NAME, "First names, times"),
        (DisplayMode.FULL_NAME, "Full names, titles of meetings, times"),
    ],
)
def test_each_mode_says_which_names_it_tells(mode: DisplayMode, names: str) -> None:
    assert told(mode) == (
        f"{names} and location of Dr. Ünlü's appointments from 22 Oct to 21 May, "
        "to whoever holds the link."
    )


def test_busy_tells_nothing_but_times_whatever_is_chosen() -> None:
    everything = Choices(type=True, telehealth=Telehealth.ADDRESS)

    assert told(DisplayMode.BUSY, everything) == (
        "Times of Dr. Ünlü's appointments and time off, each as no more than “Busy”, "
        "from 22 Oct to 21 May, to whoever holds the link."
    )


@pytest.mark.parametrize("mode", DisplayMode)
def test_every_mode_has_a_sentence(mode: DisplayMode) -> None:
    text = told(mode)

    assert text[0].isupper()
    assert text.endswith("to whoever holds the link.")


@pytest.mark.parametrize(
    ("choices", "told_of"),
    [
        (Choices(location=False, time_off=False), "Initials and times of Dr. Ünlü's appointments"),
        (
            Choices(type=True, time_off=False),
            "Initials, times, location and type of Dr. Ünlü's appointments",
        ),
        (
            Choices(telehealth=Telehealth.BUTTON, time_off=False),
            "Initials, times, location and a button into the video room of Dr. Ünlü's appointments",
        ),
        (
            Choices(location=False, telehealth=Telehealth.ADDRESS, time_off=False),
            "Initials, times and the video room's address of Dr. Ünlü's appointments",
        ),
        (Choices(), "Initials, times and location of Dr. Ünlü's appointments and time off"),
        (
            Choices(time_off=False, cancelled=True),
            "Initials, times and location of Dr. Ünlü's appointments, cancelled ones too,",
        ),
    ],
)
def test_what_is_chosen_is_told(choices: Choices, told_of: str) -> None:
    assert told(choices=choices).startswith(f"{told_of} from 22 Oct")


def test_busy_tells_which_appointments_were_cancelled() -> None:
    assert told(DisplayMode.BUSY, Choices(time_off=False, cancelled=True)) == (
        "Times of Dr. Ünlü's appointments, cancelled ones too, each as no more than “Busy” or "
        "“Cancelled”, from 22 Oct to 21 May, to whoever holds the link."
    )


@pytest.mark.parametrize(
    ("mode", "start"),
    [
        (DisplayMode.INITIALS, "Initials, clinicians' names, times and location of all "),
        (DisplayMode.BUSY, "Clinicians' names and times of all "),
    ],
)
def test_the_practices_calendar_tells_of_every_clinician(mode: DisplayMode, start: str) -> None:
    text = told(mode, Choices(), calendar="Riverside", practice_wide=True)

    assert text.startswith(f"{start}appointments and time off of Riverside")


def test_days_are_written_as_the_country_does_and_with_the_year_where_one_comes_twice() -> None:
    long = (date(2026, 5, 21), date(2027, 5, 21))

    assert " from Oct 22 to May 21, to " in told(american=True)
    assert " from 21 May 2026 to 21 May 2027, to " in told(span=long)
    assert " from May 21, 2026 to May 21, 2027, to " in told(american=True, span=long)


def test_the_end_of_the_link_and_what_shows_less_are_told() -> None:
    text = sentence(
        *("Dr. Ünlü", DisplayMode.INITIALS, SESSIONS, SPAN),
        practice_wide=False,
        american=True,
        ends=date(2026, 11, 21),
        less=(True, True),
    )

    assert text.endswith(
        "from Oct 22 to May 21, to whoever holds the link, until the link ends on Nov 21. "
        "Some types of appointments and some clients show less."
    )
