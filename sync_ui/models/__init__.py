"""What is stored."""

from sync_ui.models.account import Session, SignInFailure, User
from sync_ui.models.appointment import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Series,
)
from sync_ui.models.audit import AuditEntry
from sync_ui.models.backup import Backup, BackupKind
from sync_ui.models.change import Change
from sync_ui.models.client import Client, Initials
from sync_ui.models.clinician import Clinician
from sync_ui.models.connection import (
    BusyCalendar,
    BusyTime,
    Connection,
    ConnectionState,
    Copy,
    Direction,
    Outcome,
    Proposal,
    ProposalKind,
    ProviderName,
    Step,
)
from sync_ui.models.database import Row, db, transaction
from sync_ui.models.factor import Authenticator, Challenge, Passkey, RecoveryCode
from sync_ui.models.import_file import (
    Import,
    ImportedRow,
    ImportedTitle,
    ImportFile,
    ImportMapping,
    UploadState,
)
from sync_ui.models.link import Calendar, Code, Link, Reason, Token
from sync_ui.models.mail import Mail, MailKind
from sync_ui.models.practice import Holiday, KeyCheck, Location, Practice
from sync_ui.models.ticket import Ticket, TicketKind
from sync_ui.models.visit import FeedFigures, Visit

__all__ = [
    "Appointment",
    "AppointmentClient",
    "AppointmentType",
    "AuditEntry",
    "Authenticator",
    "Backup",
    "BackupKind",
    "BusyCalendar",
    "BusyTime",
    "Calendar",
    "Challenge",
    "Change",
    "Client",
    "Clinician",
    "Code",
    "Connection",
    "ConnectionState",
    "Copy",
    "Direction",
    "FeedFigures",
    "Holiday",
    "Import",
    "ImportFile",
    "ImportMapping",
    "ImportedRow",
    "ImportedTitle",
    "Initials",
    "KeyCheck",
    "Link",
    "Location",
    "Mail",
    "MailKind",
    "Outcome",
    "Passkey",
    "Practice",
    "Proposal",
    "ProposalKind",
    "ProviderName",
    "Reason",
    "RecoveryCode",
    "Row",
    "Series",
    "Session",
    "SignInFailure",
    "Step",
    "Ticket",
    "TicketKind",
    "Token",
    "UploadState",
    "User",
    "Visit",
    "db",
    "transaction",
]
