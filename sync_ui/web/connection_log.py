"""The log of a connection, as sentences: counts, and never a name."""

from sync_ui.models import Step
from sync_ui.services.steps import Did

# For one, and for several.
SENTENCES = {
    Did.WROTE: ("Wrote an appointment.", "Wrote {} appointments."),
    Did.REMOVED: ("Removed an appointment.", "Removed {} appointments."),
    Did.LEFT: ("Left a past appointment as it is.", "Left {} past appointments as they are."),
    Did.ADOPTED: ("Found an appointment as it should be.", "Found {} as they should be."),
    Did.RESTORED: ("Put back what was changed outside.", "Put back {} that were changed outside."),
    Did.MOVED_OUTSIDE: ("An appointment was moved outside.", "{} were moved outside."),
    Did.REMOVED_OUTSIDE: ("An appointment was removed outside.", "{} were removed outside."),
    Did.OVERTAKEN: (
        "One was changed both outside and here: what is here holds.",
        "{} were changed both outside and here: what is here holds.",
    ),
    Did.FOUND_AGAIN: ("Found one that was written before.", "Found {} that were written before."),
    Did.BUSY_TIMES: ("Read a busy time.", "Read {} busy times."),
    Did.STOPPED: (
        "Stopped: one was changed or removed outside.",
        "Stopped: {} were changed or removed outside at once.",
    ),
    Did.FAILED: ("It did not work.", "It did not work."),
    Did.PARKED: ("Put one aside that does not work.", "Put {} aside that do not work."),
    Did.ACCEPTED: ("A change made outside was made here too.", "{} changes were made here too."),
    Did.PUT_BACK: ("A change made outside was put back.", "{} changes were put back."),
    Did.READ_WHOLE: ("Read the whole calendar.", "Read the whole calendar, {} events."),
    Did.NO_CHANNEL: ("Google does not call us: it is asked every few minutes instead.",) * 2,
}


def sentence(step: Step) -> str:
    one, several = SENTENCES[Did(step.word)]
    words = one if step.count == 1 else several.format(step.count)
    return f"{words} {step.detail}".strip()
