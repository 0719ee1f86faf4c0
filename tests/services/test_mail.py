"""Mail reaches a real mail server, or waits for it."""

import logging
import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Unavailable
from sync_ui.gateways.smtp import MailError, Server
from sync_ui.models import Link, Mail, MailKind, db, transaction
from sync_ui.services import accounts, check, codes, links, mail, notices, upkeep
from sync_ui.services.access import COMMAND
from tests.practice import Clock, Practice, token_of

SEND = Server.send
MAKE_CODE = codes.make


@dataclass
class Envelope:
    sender: str
    recipients: list[str]
    data: bytes

    @property
    def message(self) -> Message:
        return message_from_bytes(self.data)

    @property
    def text(self) -> str:
        payload = self.message.get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload.decode()

    @property
    def code(self) -> str:
        found = re.findall(r"https://calendar\.example\.com/add/(\w+)", self.text)
        assert len(found) == 1
        code: str = found[0]
        return code


@dataclass
class Sink:
    """A mail server that takes everything, unless it is told what to `answer`."""

    port: int = 0
    answer: dict[str, str] = field(default_factory=dict)
    taken: list[Envelope] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


class Session(socketserver.StreamRequestHandler):
    sink: Sink

    def handle(self) -> None:
        self.say("220 sink")
        sender, recipients = "", []
        for line in self.rfile:
            verb, _, argument = line.decode().strip().partition(" ")
            verb = verb.upper()
            refusal = self.sink.answer.get(verb)
            if refusal:
                self.say(refusal)
            elif verb == "MAIL":
                sender = argument
                self.say("250 ok")
            elif verb == "RCPT":
                recipients.append(argument)
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                self.sink.taken.append(Envelope(sender, recipients, self.data()))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def data(self) -> bytes:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Sink]:
    sink = Sink()
    handler = type("Handler", (Session,), {"sink": sink})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as listening:
        sink.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield sink
        listening.shutdown()
        thread.join()


@pytest.fixture
def sink(server: Sink) -> Sink:
    server.answer.clear()
    server.taken.clear()
    return server


@pytest.fixture
def config(config: Config, sink: Sink) -> Config:
    return replace(config, smtp_url=sink.url, mail_from="Riverside <calendar@example.com>")


def owed(practice: Practice) -> Mail:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    return mail.owe_link(practice.unlu, link.id)


def stored() -> Mail:
    db.session.rollback()
    return db.session.scalars(select(Mail)).one()


@pytest.mark.bar("M1", "M2")
def test_a_link_goes_to_the_users_own_address_as_a_page_that_works_once(
    practice: Practice, sink: Sink
) -> None:
    owed(practice)

    assert mail.send_due() == 1
    assert mail.send_due() == 0

    [envelope] = sink.taken
    assert envelope.recipients == ["TO:<unlu@example.com>"]
    assert envelope.sender.startswith("FROM:<calendar@example.com>")
    assert envelope.message["To"] == "unlu@example.com"
    assert envelope.message["Subject"] == "Your calendar link"
    opened, _ = codes.spend(envelope.code, None)
    link = links.allow(practice.unlu, practice.unlus_calendar)
    assert opened.address == links.address(link)
    assert token_of(link) not in envelope.data.decode()
    assert "/cal/" not in envelope.data.decode()
    assert stored().sent_at == clock.now()


@pytest.mark.bar("M3")
def test_the_mailed_code_lives_a_day_and_a_mail_scanner_does_not_spend_it(
    practice: Practice, sink: Sink, now: Clock
) -> None:
    owed(practice)
    mail.send_due()
    code = sink.taken[0].code
    for _ in range(3):
        codes.look_at(code, None)

    now.move(hours=23, minutes=59)
    assert codes.spend(code, None)[0].address is not None
    now.move(minutes=1)
    with pytest.raises(NotFound):
        codes.look_at(code, None)


@pytest.mark.bar("D9")
def test_a_worker_killed_after_its_claim_loses_nothing(
    practice: Practice, sink: Sink, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    owed(practice)
    monkeypatch.setattr(Server, "send", die)
    with pytest.raises(Killed):
        mail.send_due()
    monkeypatch.setattr(Server, "send", SEND)

    assert mail.send_due() == 0  # claimed, perhaps by someone who still lives
    now.move(minutes=2)
    assert mail.send_due() == 1
    assert len(sink.taken) == 1


@pytest.mark.bar("D9")
def test_of_two_workers_one_sends(app: Flask, practice: Practice, sink: Sink) -> None:
    owed(practice)
    sent = []

    def work() -> None:
        with app.app_context():
            sent.append(mail.send_due())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert (sum(sent), len(sink.taken)) == (1, 1)


def test_a_failure_is_tried_again_ever_later_and_at_last_stays(
    practice: Practice, sink: Sink, now: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    owed(practice)
    sink.answer["MAIL"] = "451 try later"
    waits = []
    for _ in range(mail.MOST_ATTEMPTS):
        assert mail.send_due() == 0
        waits.append(stored().due_at - clock.now())
        now.set(stored().due_at)

    assert waits == [timedelta(minutes=2**n) for n in range(1, 9)]
    sink.answer.clear()
    assert mail.send_due() == 0
    kept = stored()
    assert (kept.attempts, kept.sent_at) == (8, None)
    assert kept.failure == "the mail server failed (SMTPSenderRefused)"
    assert "unlu" not in caplog.text
    [finding] = [each for each in check.findings() if each.subject == "mail"]
    assert finding.ok is False
    now.move(days=31)
    upkeep.clean_up()
    assert db.session.scalar(select(Mail.id)) is None


def test_a_mail_server_that_is_back_gets_what_waited(
    practice: Practice, sink: Sink, now: Clock
) -> None:
    owed(practice)
    sink.answer["MAIL"] = "451 try later"
    mail.send_due()
    assert sink.taken == []

    sink.answer.clear()
    now.move(minutes=2)

    assert mail.send_due() == 1


def test_a_refused_address_is_not_tried_again(practice: Practice, sink: Sink, now: Clock) -> None:
    owed(practice)
    sink.answer["RCPT"] = "550 no such user"
    mail.send_due()
    sink.answer.clear()
    now.move(days=1)

    assert mail.send_due() == 0
    assert stored().failure == "the mail server refuses the address"


def test_a_busy_database_is_no_reason_to_give_up(
    practice: Practice, sink: Sink, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed(practice)

    def busy(*_: object) -> None:
        raise Unavailable("The database is busy.")

    monkeypatch.setattr(codes, "make", busy)
    assert mail.send_due() == 0
    monkeypatch.setattr(codes, "make", MAKE_CODE)
    now.move(minutes=2)

    assert mail.send_due() == 1


@pytest.mark.bar("Z3")
def test_a_disabled_user_gets_no_mail_any_more(practice: Practice, sink: Sink) -> None:
    desk = links.create(practice.ada, "practice", "Front desk", DisplayMode.BUSY)
    mail.owe_link(practice.sam, desk.id)
    accounts.disable_user(practice.ada, practice.sam.user_id or 0)

    assert mail.send_due() == 0

    assert links.state(desk) == "live"
    assert sink.taken == []
    assert list(db.session.scalars(select(Mail.id))) == []


def test_a_link_that_died_meanwhile_is_not_mailed(practice: Practice, sink: Sink) -> None:
    owed(practice)
    links.disallow(practice.unlu, practice.unlus_calendar)

    assert mail.send_due() == 0

    assert sink.taken == []
    assert stored().failure == "This link was turned off already. Make a new one."


def test_a_colleagues_or_a_dead_link_cannot_be_mailed(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    with pytest.raises(NotFound):
        mail.owe_link(practice.anna, link.id)
    with pytest.raises(Invalid):
        mail.owe_link(COMMAND, link.id)
    links.disable(practice.unlu, link.id)
    with pytest.raises(Conflict):
        mail.owe_link(practice.unlu, link.id)


@pytest.mark.bar("M1")
@pytest.mark.parametrize(
    "to",
    [
        "anna@example.com\r\nBcc: mallory@example.com",
        "anna@example.com\nRCPT TO:<mallory@example.com>",
        "anna@example.com, mallory@example.com",
        "anna@example.com\u2028Bcc: mallory@example.com",
        "anna@example.com\x85Bcc: mallory@example.com",
    ],
)
def test_an_address_that_smuggles_in_another_reaches_nobody(
    practice: Practice, sink: Sink, to: str
) -> None:
    """Past the checks of users' addresses, as if the database had been edited."""
    owed(practice)
    with transaction() as session:
        session.get_one(Mail, 1).user.email = to

    upkeep.sweep()

    assert [e.recipients for e in sink.taken if "mallory" in str(e.recipients)] == []
    assert [e.message["Bcc"] for e in sink.taken if e.message["Bcc"]] == []
    with pytest.raises(Invalid):
        accounts.checked_email(to)


def test_the_message_for_the_users_own_program_is_the_same(practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)

    address = urlsplit(mail.mailto(practice.unlu, link.id))

    assert (address.scheme, unquote(address.path)) == ("mailto", "unlu@example.com")
    query = parse_qs(address.query)
    assert query["subject"] == ["Your calendar link"]
    assert token_of(link) not in query["body"][0]
    [code] = re.findall(r"/add/(\w+)", query["body"][0])
    assert codes.spend(code, None)[0].address == links.address(link)


@pytest.mark.bar("D9")
def test_a_bad_message_does_not_hold_up_the_others(
    practice: Practice, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    bad = owed(practice).id
    mail.owe_link(practice.ada, links.allow(practice.ada, "practice").id)
    with transaction() as session:
        session.get_one(Mail, bad).user.email = "two@example.com\nlines@example.com"
    caplog.set_level(logging.DEBUG)

    upkeep.sweep()
    upkeep.sweep()

    assert [e.recipients for e in sink.taken] == [["TO:<ada@example.com>"]]
    assert "example.com" not in caplog.text.replace("calendar.example.com", "")


def test_without_a_mail_server_nothing_is_tried(config: Config) -> None:
    server = Server("smtp://127.0.0.1:1", "calendar@example.com")

    with pytest.raises(MailError) as failed:
        server.send("anna@example.com", "Subject", "Text")

    assert (str(failed.value), failed.value.permanent) == (
        "the mail server failed (ConnectionRefusedError)",
        False,
    )


@pytest.mark.bar("M2")
@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (MailKind.NEW_READER, "Somebody new reads a calendar link"),
        (MailKind.SILENT, "Is your phone still connected?"),
    ],
)
def test_a_notice_names_the_links_page_and_nothing_else(
    practice: Practice, sink: Sink, kind: MailKind, subject: str
) -> None:
    """SECURITY L7, L12: no name, no label, no secret."""
    notices.want_mails(practice.unlu, True)
    link = links.create(practice.unlu, practice.unlus_calendar, "Zoë's phone", DisplayMode.BUSY)
    with transaction() as session:
        mail.owe_notice(session, session.get_one(Link, link.id), kind)

    upkeep.sweep()

    [envelope] = sink.taken
    assert envelope.recipients == ["TO:<unlu@example.com>"]
    assert envelope.message["Subject"] == subject
    page = f"https://calendar.example.com/calendars/{practice.unlus_calendar}/links/{link.id}"
    assert re.findall(r"https?://\S+", envelope.text) == [page]
    told = envelope.data.decode()
    assert [w for w in (token_of(link), "Zo", "phone's", "Riverside's", "Ünlü") if w in told] == []


def test_a_notice_about_a_link_that_died_meanwhile_is_not_sent(
    practice: Practice, sink: Sink
) -> None:
    notices.want_mails(practice.unlu, True)
    link = links.allow(practice.unlu, practice.unlus_calendar)
    with transaction() as session:
        mail.owe_notice(session, session.get_one(Link, link.id), MailKind.NEW_READER)
    links.disable(practice.unlu, link.id)

    assert mail.send_due() == 0

    assert sink.taken == []
    assert stored().failure == "This link was turned off already. Make a new one."
