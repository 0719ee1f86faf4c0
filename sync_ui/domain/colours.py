"""The colours that tell clinicians, or types of appointments, apart in the schedule."""

from enum import StrEnum


class Colour(StrEnum):
    """Words; what each looks like, in light and dark, is the style sheet's."""

    TEAL = "teal"
    BLUE = "blue"
    VIOLET = "violet"
    PINK = "pink"
    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    BROWN = "brown"
    GREY = "grey"


def nth(number: int) -> Colour:
    """A colour for the `number`th of several, from 0; grey is for those that have none."""
    colours = [colour for colour in Colour if colour is not Colour.GREY]
    return colours[number % len(colours)]
