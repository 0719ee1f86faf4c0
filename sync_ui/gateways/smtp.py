"""The practice's mail server."""

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

TIMEOUT = 20


class MailError(Exception):
    """The message was not taken; `permanent` if trying again is of no use."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Server:
    """`smtp://user:password@host:587` (TLS by STARTTLS where offered) or `smtps://…:465`."""

    url: str = field(repr=False)
    sender: str

    def send(self, to: str, subject: str, text: str) -> None:
        """One plain message to one address. Raises MailError."""
        to = in_ascii(to)
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="sync-calendar.invalid")
        message.set_content(text)
        try:
            with self._connect() as connection:
                connection.send_message(message, to_addrs=[to])
        except smtplib.SMTPRecipientsRefused:
            raise MailError("the mail server refuses the address", permanent=True) from None
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(
                f"the mail server failed ({type(error).__name__})", permanent=False
            ) from None

    def _connect(self) -> smtplib.SMTP:
        url = urlsplit(self.url)
        host = url.hostname or "localhost"
        context = ssl.create_default_context()
        connection: smtplib.SMTP
        if url.scheme == "smtps":
            connection = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT, context=context)
        else:
            connection = smtplib.SMTP(host, url.port or 587, timeout=TIMEOUT)
            connection.ehlo()
            if connection.has_extn("starttls"):
                connection.starttls(context=context)
        if url.username:
            connection.login(unquote(url.username), unquote(url.password or ""))
        return connection


def in_ascii(address: str) -> str:
    """With its domain as every mail server takes it (RFC 5891): few know RFC 6531."""
    try:
        found = validate_email(
            address, allow_smtputf8=False, check_deliverability=False, test_environment=True
        ).ascii_email
    except EmailNotValidError:
        return address
    return found or address
