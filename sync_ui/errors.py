"""What can be wrong, in sentences that a user can act on.

Every error carries the sentence to show and the HTTP status that fits. A
message never holds a client's name, a secret or a link.
"""


class SyncError(Exception):
    """Something that the person in front of the page can understand."""

    status = 500

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Invalid(SyncError):
    """The input is wrong; the sentence says what and how to mend it."""

    status = 422


class Refused(SyncError):
    """The actor may not do this."""

    status = 403


class NotFound(SyncError):
    """There is no such thing, or none that the actor may know of."""

    status = 404


class Conflict(SyncError):
    """It was true when the page was drawn, and is no longer."""

    status = 409


class ConfirmationNeeded(SyncError):
    """Allowed, but only after the actor has said yes to the sentence."""

    status = 409


class Throttled(SyncError):
    """Too many tries; the sentence says when to try again."""

    status = 429


class Unavailable(SyncError):
    """Out of order for now: disk, database or a server outside."""

    status = 503


class CannotStart(SystemExit):
    """The installation is not fit to serve; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"Sync Calendar cannot start: {sentence}")
