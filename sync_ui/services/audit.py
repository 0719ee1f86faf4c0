"""What happened, by whom: one entry in each change's own transaction."""

from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import chain
from sync_ui.models import AuditEntry, db
from sync_ui.models.head import Newest
from sync_ui.models.installation import current
from sync_ui.services import access
from sync_ui.services.access import Actor


class Action(StrEnum):
    """`subject.action`; the list of everything that can be in the audit."""

    PRACTICE_SET_UP = "practice.set_up"
    PRACTICE_CHANGED = "practice.changed"
    POLICY_CHANGED = "practice.policy_changed"
    CLIENT_SETTINGS_CHANGED = "practice.client_settings_changed"
    DEMO_FILLED = "practice.demo_filled"
    SIGNED_IN = "session.signed_in"
    PASSWORD_SHOWN = "session.password_shown"  # noqa: S105
    SIGN_IN_FAILED = "session.sign_in_failed"
    CONFIRMED = "session.confirmed"
    SIGN_IN_POLICY_CHANGED = "practice.sign_in_policy_changed"
    SECOND_STEP_FAILED = "session.second_step_failed"
    APP_BEGUN = "second_factor.app_begun"
    APP_ADDED = "second_factor.app_added"
    PASSKEY_ADDED = "second_factor.passkey_added"
    FACTOR_REMOVED = "second_factor.removed"
    FACTORS_FORGOTTEN = "second_factor.forgotten"
    RECOVERY_CODES_DRAWN = "second_factor.recovery_codes_drawn"
    SIGNED_OUT = "session.signed_out"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    EMAIL_ASKED = "user.email_asked"
    EMAIL_KEPT = "user.email_kept"
    EMAIL_CHANGED = "user.email_changed"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "user.sessions_ended"
    ALL_SESSIONS_ENDED = "practice.sessions_ended"
    TICKET_MADE = "ticket.made"
    TICKET_MAILED = "ticket.mailed"
    TICKET_SPENT = "ticket.spent"
    PASSWORD_FORGOTTEN = "ticket.asked_for"  # noqa: S105
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105
    CLINICIAN_CREATED = "clinician.created"
    CLINICIAN_CHANGED = "clinician.changed"
    CLINICIAN_ARCHIVED = "clinician.archived"
    CLIENT_CREATED = "client.created"
    CLIENT_CHANGED = "client.changed"
    CLIENT_ARCHIVED = "client.archived"
    CLIENT_RESTORED = "client.restored"
    CLIENTS_MERGED = "client.merged"
    CLIENTS_EXPORTED = "client.exported"
    SCHEDULE_EXPORTED = "appointment.exported"
    LOCATION_CREATED = "location.created"
    LOCATION_CHANGED = "location.changed"
    LOCATION_REMOVED = "location.removed"
    TYPE_CREATED = "appointment_type.created"
    TYPE_CHANGED = "appointment_type.changed"
    TYPE_ARCHIVED = "appointment_type.archived"
    HOLIDAY_CREATED = "holiday.created"
    HOLIDAY_REMOVED = "holiday.removed"
    APPOINTMENT_CREATED = "appointment.created"
    APPOINTMENT_CHANGED = "appointment.changed"
    APPOINTMENT_CANCELLED = "appointment.cancelled"
    APPOINTMENT_RESTORED = "appointment.restored"
    ZONES_REPAIRED = "appointment.zones_repaired"
    SERIES_CREATED = "series.created"
    SERIES_CHANGED = "series.changed"
    SERIES_CANCELLED = "series.cancelled"
    SERIES_EXTENDED = "series.extended"
    CHANGE_UNDONE = "change.undone"
    IMPORT_UPLOADED = "import.uploaded"
    IMPORT_ACCEPTED = "import.accepted"
    IMPORT_APPLIED = "import.applied"
    IMPORT_DISCARDED = "import.discarded"
    IMPORT_UNDONE = "import.undone"
    IMPORT_COLUMNS_SAID = "import.columns_said"
    LINK_CREATED = "link.created"
    LINK_CHANGED = "link.changed"
    LINK_MODE_CHANGED = "link.mode_changed"
    LINK_RENEWED = "link.renewed"
    OLD_ADDRESS_ENDED = "link.old_address_ended"
    LINK_RESET = "link.reset"
    LINK_DISABLED = "link.disabled"
    LINK_EXPIRED = "link.expired"
    LINKS_DISABLED = "calendar.links_disabled"
    LINKS_RESET = "calendar.links_reset"
    LINK_MAILED = "link.mailed"
    LINK_FIRST_READ = "link.first_read"
    LINK_OPENED = "link.opened"
    LINK_NEW_READER = "link.new_reader"
    LINK_SILENT = "link.silent"
    NOTICE_PUT_AWAY = "link.notice_put_away"
    CONNECTION_CREATED = "connection.created"
    CONNECTION_STARTED = "connection.started"
    CONNECTION_CHANGED = "connection.changed"
    CONNECTION_SIGNED_IN = "connection.signed_in"
    CONNECTION_ENDED = "connection.ended"
    PROPOSAL_DECIDED = "appointment.proposal_decided"
    CODE_MADE = "code.made"
    CODE_SPENT = "code.spent"
    KEY_ROTATED = "key.rotated"
    KEY_FORGOTTEN = "key.forgotten"
    RECOVERY_SHEET_SHOWN = "key.sheet_shown"
    BACKUP_MADE = "backup.made"
    BACKUP_FAILED = "backup.failed"
    BACKUP_DOWNLOADED = "backup.downloaded"
    BACKUPS_THINNED = "backup.thinned"
    BACKUP_RESTORED = "backup.restored"
    CLEANED_UP = "worker.cleaned_up"
    AUDIT_VERIFIED = "audit.verified"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_RESTARTED = "audit.head_restarted"
    NETWORKS_CHANGED = "network.changed"
    NETWORKS_LIFTED = "network.lifted"
    EMERGENCY_SEEN = "network.emergency_seen"


def record(
    session: Session,
    actor: Actor,
    action: Action,
    subject: str = "",
    **detail: str | int | bool | None,
) -> None:
    """Add the entry to the transaction under way.

    `subject` is `table:id`; `detail` holds ids, counts and words of the
    application, never a name, an address or a secret. Entries are numbered and
    chained here: the writers' lock is held, so that nobody is in between.

    Raises Refused if the actor was put out meanwhile: nobody's change comes after their end.
    """
    if subject != actor.word:  # who ends or changes oneself says so when it is done
        access.require_in(actor)
    newest = select(AuditEntry.id, AuditEntry.digest).order_by(AuditEntry.id.desc()).limit(1)
    number, before = session.execute(newest).one_or_none() or (0, chain.START)
    number, at = number + 1, clock.now()
    digest = chain.digest(before, number, at, actor.word, action.value, subject, detail)
    _note_newest(session, Newest(number - 1, before), Newest(number, digest))
    session.add(
        AuditEntry(
            id=number,
            at=at,
            actor=actor.word,
            action=action.value,
            subject=subject,
            detail=detail,
            digest=digest,
        )
    )


def _note_newest(session: Session, before: Newest, newest: Newest) -> None:
    """The head outside the database says so after the commit, if what it says now is true.

    Else the chain was cut off: growing on, it must not hide that.
    """
    if "newest_entry" not in session.info:
        head = current().head.read()
        if head is None or not (head == before or _is_in_chain(session, head)):
            return
    session.info["newest_entry"] = newest


def _is_in_chain(session: Session, head: Newest) -> bool:
    """Another's entries came in between, or a crash before the head could be written."""
    if head.number == 0:
        return head.digest == chain.START
    found = select(AuditEntry.digest).where(AuditEntry.id == head.number)
    return session.scalar(found) == head.digest


def latest_of(subject: str) -> AuditEntry | None:
    """The latest thing that happened to it."""
    return db.session.scalar(
        select(AuditEntry)
        .where(AuditEntry.subject == subject)
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )
