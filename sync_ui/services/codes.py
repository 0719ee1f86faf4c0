"""Codes: what a QR code or an e-mail carries, to open the phone's page of a link."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.errors import NotFound
from sync_ui.models import Code, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import access, links
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

QR_LIFETIME = timedelta(minutes=10)
MAIL_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Opened:
    """What the phone's page shows; the address only to the browser that spent the code."""

    calendar_name: str
    disclosure: str
    address: str | None
    expires_at: datetime


def make(actor: Actor, link_id: int, lifetime: timedelta = QR_LIFETIME) -> tuple[str, Code]:
    """A code that opens the phone's page of the link; its text exists only here."""
    text = tokens.new_code()
    with transaction() as session:
        link = access.link(actor, link_id)
        links.require_live(link)
        now = clock.now()
        code = Code(
            digest=tokens.digest(text),
            link=link,
            made_by_id=actor.user_id,
            created_at=now,
            expires_at=now + lifetime,
        )
        session.add(code)
        record(session, actor, Action.CODE_MADE, f"link:{link_id}")
    return text, code


def address(text: str) -> str:
    """The phone's page that the code opens."""
    return f"{current().config.base_url}/add/{text}"


def look_at(text: str, browser: str | None) -> Opened:
    """What the code opens for this browser; looking spends nothing. Raises NotFound."""
    return _opened(_usable(text, browser), browser)


def spend(text: str, browser: str | None) -> tuple[Opened, str]:
    """The code belongs to this browser from now on; returns the browser's secret too.

    Of several presses at once one wins. Raises NotFound for a spent, late or
    unknown code.
    """
    with transaction() as session:
        code = _usable(text, browser)
        if code.spent_at is None:
            browser = browser or tokens.new_code()
            code.spent_at, code.browser = clock.now(), tokens.digest(browser)
            record(session, access.PHONE, Action.CODE_SPENT, f"link:{code.link_id}")
        assert browser is not None
        return _opened(code, browser), browser


def _usable(text: str, browser: str | None) -> Code:
    code = db.session.scalar(select(Code).where(Code.digest == tokens.digest(text)))
    if code is None or code.expires_at <= clock.now() or not links.is_live(code.link):
        raise NotFound("This code is no longer valid. Draw a new QR code or e-mail a new link.")
    if code.spent_at is None:
        return code
    if browser is None or code.browser != tokens.digest(browser):
        raise NotFound(
            "This code was used already, on another device or browser. "
            "Draw a new QR code or e-mail a new link."
        )
    return code


def _opened(code: Code, browser: str | None) -> Opened:
    bound = code.spent_at is not None and browser is not None
    return Opened(
        calendar_name=links.name(code.link.calendar),
        disclosure=links.disclosure(code.link),
        address=links.address(code.link) if bound else None,
        expires_at=code.expires_at,
    )
