"""Alerts: whoever's way of signing in changes is told, at the address that counted before.

Whatever other mails they want (ASVS 5.0, 6.3.7).
"""

from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.models import Mail, MailKind, User
from sync_ui.models.installation import current

# Subject, and what has changed: no device's name, and nothing that opens anything.
CHANGES = {
    MailKind.EMAIL_CHANGED: (
        "Your e-mail address was changed",
        "Your sign-in for the practice's calendar has another e-mail address from now on.",
    ),
    MailKind.PASSWORD_CHANGED: (
        "Your password was changed",
        "Your sign-in for the practice's calendar has a new password from now on.",
    ),
    MailKind.APP_ADDED: (
        "An authenticator app was added",
        "Your sign-in for the practice's calendar asks for the codes of an authenticator app "
        "from now on.",
    ),
    MailKind.APP_REMOVED: (
        "An authenticator app was removed",
        "Your sign-in for the practice's calendar takes no codes of an authenticator app any more.",
    ),
    MailKind.PASSKEY_ADDED: (
        "A passkey was added",
        "A new passkey opens your sign-in for the practice's calendar from now on.",
    ),
    MailKind.PASSKEY_REMOVED: (
        "A passkey was removed",
        "One of the passkeys of your sign-in for the practice's calendar opens nothing any more.",
    ),
    MailKind.FACTORS_REMOVED: (
        "Your second steps were removed",
        "An administrator has removed every second step of your sign-in for the practice's "
        "calendar: your password alone opens it.",
    ),
    MailKind.CODES_DRAWN: (
        "You have new recovery codes",
        "Your sign-in for the practice's calendar has new recovery codes; "
        "the former ones are void.",
    ),
}

TELL = "If that was not you, tell an administrator of your practice at once."
CHOOSE = (
    "If this is not what you wanted, choose a new password at once (“Forgot your password?” on the "
    "page where you sign in), and tell an administrator of your practice."
)


def owe(session: Session, user: User, kind: MailKind) -> None:
    """In the transaction under way, before the change: the user's address of now is told of it.

    Nobody without a mail server, and nobody who has no access.
    """
    if current().config.smtp_url is None or user.disabled_at is not None:
        return
    now = clock.now()
    session.add(Mail(kind=kind, user_id=user.id, address=user.email, created_at=now, due_at=now))


def letter(kind: MailKind) -> tuple[str, str]:
    """Subject and text."""
    subject, what = CHANGES[kind]
    # Whoever reads at the old address gets no new password by it.
    otherwise = TELL if kind is MailKind.EMAIL_CHANGED else CHOOSE
    return subject, f"{what}\n\n{otherwise}\n"
