"""Check my link, against the real product behind a real proxy with one fault at a time.

SECURITY L7 and L12: the check tells no secret to anyone, and is no reader.
"""

import gzip
import logging
import shutil
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from flask import Flask

from sync_ui import clock, create_app
from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.reach import Finding
from sync_ui.errors import Conflict, NotFound, Throttled
from sync_ui.models import db
from sync_ui.models.installation import Installation
from sync_ui.services import access, demo, links, reach, visits
from tests.front import Asked, Authority, Reply, Way, sound, standing
from tests.journeys.product import Product, running, until
from tests.practice import Practice, token_of

On = Callable[[], Reply]
Check = Callable[..., list[Finding]]

# The only one of the demo.
LINK = 1

# Whoever reads beside the checks.
READER = "Nextcloud Webcal Service"

HERE = "Who can reach it"


@pytest.fixture(scope="module")
def product(
    tmp_path_factory: pytest.TempPathFactory, empty_installation: Path
) -> Iterator[Product]:
    made = Product(tmp_path_factory.mktemp("product"))
    shutil.copytree(empty_installation, made.data_dir)
    app = create_app(Config(data_dir=made.data_dir, base_url=made.url))
    with app.app_context():
        demo.fill(clinicians=1, weeks=2)
        link = links.create(access.COMMAND, "practice", "Phone", DisplayMode.INITIALS)
        assert link.id == LINK
        address = links.address(link)
        assert address is not None
        db.engine.dispose()
    for served in running(made):
        # By its date alone what has changed in this second is not yet called unchanged; and a
        # worker that has just started may find something to do.
        until(lambda: age(address) > timedelta(seconds=6), seconds=40)
        yield served


def age(address: str) -> timedelta:
    """Since the feed last changed."""
    request = urllib.request.Request(address, headers={"User-Agent": READER})
    with urllib.request.urlopen(request) as answer:
        return clock.now() - parsedate_to_datetime(answer.headers["Last-Modified"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def trusted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(request.getfixturevalue("authority").path))


@pytest.fixture(scope="module")
def application(product: Product) -> Iterator[Flask]:
    """What runs a check, in another process than what answers it."""
    app = create_app(Config(data_dir=product.data_dir, base_url=product.url))
    yield app
    with app.app_context():
        db.engine.dispose()


class Stand:
    """What "Check my link" says of the product at this address."""

    def __init__(self, app: Flask, url: str) -> None:
        installed: Installation = app.extensions["installation"]
        config = replace(installed.config, base_url=url)
        app.extensions["installation"] = replace(installed, config=config)
        self._app = app

    def check(self) -> list[Finding]:
        with self._app.app_context():
            return reach.check(access.COMMAND, LINK)

    def outside(self) -> list[Finding]:
        with self._app.app_context():
            return reach.outside()


@pytest.fixture
def found(
    product: Product, application: Flask, authority: Authority
) -> Callable[..., list[Finding]]:
    """`found(way)`: what a check finds, beside that nobody else reaches a loopback address."""

    def check(way: Way = sound, context: ssl.SSLContext | None = None) -> list[Finding]:
        with standing(product.url, way, context or authority.context("127.0.0.1")) as front:
            return Stand(application, front.url).check()

    return check


def wrong(findings: list[Finding]) -> list[tuple[str, str, bool | None]]:
    """What is not well: the subject, the app, and whether it fails or only could be better."""
    return [(f.subject, f.app, f.ok) for f in findings if not f.ok and f.subject != HERE]


def words(findings: list[Finding], subject: str) -> list[str]:
    return [finding.words for finding in findings if finding.subject == subject]


READERS = (
    "Google Calendar, Apple Calendar, Outlook.com and Microsoft 365, Outlook for Windows, "
    "Thunderbird, ICSx⁵ on Android, Apps with odd names, Apps without a name"
)


def test_a_sound_server_passes_every_check(found: Check) -> None:
    findings = found()

    assert wrong(findings) == []
    assert [finding.subject for finding in findings if finding.ok] == [
        "Name",
        "Connection over IPv4",
        "robots.txt",
        "From http to https",
        "Clock",
        "Length of the address",
        "Reading the calendar",
        "Content",
        "Size",
        "HEAD",
        "Unchanged, by ETag",
        "Unchanged, by Last-Modified",
        "Unchanged, by both",
    ]
    assert next(f.app for f in findings if f.subject == "Reading the calendar") == READERS
    assert words(findings, "Connection over IPv4") == [
        "The server answers; its certificate is valid for 90 more days."
    ]


def test_a_loopback_address_is_told_to_reach_nobody(found: Check) -> None:
    told = [finding for finding in found() if finding.subject == HERE]

    assert [(finding.app, finding.ok) for finding in told] == [
        ("Google Calendar, Outlook.com and Microsoft 365, and every phone", False)
    ]


def on_feeds(spoil: Callable[[Asked, Reply], Reply]) -> Way:
    """Sound but for what comes of the feed."""

    def way(asked: Asked, on: On) -> Reply:
        reply = sound(asked, on)
        return spoil(asked, reply) if asked.secure and asked.for_feed else reply

    return way


def compressing(asked: Asked, reply: Reply) -> Reply:
    """As nginx with `gzip on`, weak validators and all."""
    if "gzip" not in asked.headers.get("Accept-Encoding", "") or reply.status != 200:
        return reply
    weak = reply.having(ETag=f"W/{reply.headers['ETag']}", Content_Encoding="gzip")
    return Reply(200, weak.headers, gzip.compress(reply.body))


def test_compression_fails_for_outlook_com(found: Check) -> None:
    findings = found(on_feeds(compressing))

    assert wrong(findings) == [
        ("Reading the calendar", "Apple Calendar, Thunderbird, ICSx⁵ on Android", None),
        ("Reading the calendar", "Outlook.com and Microsoft 365", False),
    ]


ON_FEEDS: dict[str, tuple[Callable[[Asked, Reply], Reply], str]] = {
    "a redirect to the login": (
        lambda asked, _: Reply(302, {"Location": f"/login?next={asked.path}"}),
        "It is sent to sign in (302), which no calendar app can do.",
    ),
    "a redirect to another place": (
        lambda asked, _: Reply(301, {"Location": f"https://elsewhere.example{asked.path}"}),
        "It is sent to another server, elsewhere.example (301).",
    ),
    "a redirect to a slash": (
        lambda asked, _: Reply(307, {"Location": f"{asked.path}/"}),
        "It is sent to another page of the same server (307).",
    ),
    "a login page": (
        lambda *_: Reply(200, {"Content-Type": "text/html"}, b"<!doctype html><h1>Sign in"),
        "It gets a web page instead of the calendar: every appointment would vanish.",
    ),
    "a login page in disguise": (
        lambda *_: Reply(200, {"Content-Type": "text/calendar"}, b"\n<html><h1>Sign in"),
        "It gets a web page instead of the calendar: every appointment would vanish.",
    ),
    "another content type": (
        lambda _, reply: reply.having(Content_Type="text/plain; charset=utf-8"),
        "The answer calls itself text/plain, not text/calendar.",
    ),
    "no content type": (
        lambda _, reply: reply.having(Content_Type=""),
        "The answer calls itself nothing at all, not text/calendar.",
    ),
    "no calendar": (
        lambda _, reply: Reply(200, reply.headers, b"OK"),
        "The answer is no calendar, whatever it calls itself.",
    ),
    "a password": (
        lambda *_: Reply(401, {"WWW-Authenticate": "Basic"}),
        "It is turned away (401). One such answer can switch the calendar off.",
    ),
    "nothing": (lambda *_: Reply(404), "The calendar is not there (404)."),
    "an error": (lambda *_: Reply(502), "The server answers with an error (502)."),
}


@pytest.mark.parametrize("fault", ON_FEEDS)
def test_what_no_app_can_read_is_found_for_every_app(found: Check, fault: str) -> None:
    spoil, sentence = ON_FEEDS[fault]
    findings = found(on_feeds(spoil))
    failing = [f for f in findings if f.subject == "Reading the calendar"]

    assert [(finding.app, finding.ok, finding.words) for finding in failing] == [
        (READERS, False, sentence)
    ]


def without(name: str, value: str, status: int = 403) -> Way:
    """Turns away whoever sends (or, with "", does not send) such a header."""

    def spoil(asked: Asked, reply: Reply) -> Reply:
        sent = asked.headers.get(name, "")
        return Reply(status) if (value in sent if value else not sent) else reply

    return on_feeds(spoil)


@pytest.mark.parametrize(
    ("way", "app"),
    [
        (without("User-Agent", "Google"), "Google Calendar"),
        (without("User-Agent", "Exchange"), "Outlook.com and Microsoft 365"),
        (without("Authorization", "Bearer", 401), "Outlook for Windows"),
        (without("User-Agent", ""), "Apps without a name"),
        (without("User-Agent", "ICSx5", 429), "ICSx⁵ on Android"),
    ],
)
def test_who_is_turned_away_is_named(found: Check, way: Way, app: str) -> None:
    assert ("Reading the calendar", app, False) in wrong(found(way))


def breaking_off(_: Asked, reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.body[:2000], len(reply.body))


def cut_short(_: Asked, reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.body[:2000])


def without_its_middle(_: Asked, reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.body.replace(b"END:VEVENT\r\n", b"", 1))


@pytest.mark.parametrize("spoil", [breaking_off, cut_short, without_its_middle])
def test_a_calendar_that_is_not_whole_is_noticed(
    found: Check, spoil: Callable[[Asked, Reply], Reply]
) -> None:
    def way(asked: Asked, reply: Reply) -> Reply:
        return spoil(asked, reply) if asked.method == "GET" and reply.status == 200 else reply

    assert wrong(found(on_feeds(way))) == [("Content", "Every app", False)]


def test_a_calendar_that_cannot_be_parsed_is_noticed(found: Check) -> None:
    def rewriting(_: Asked, reply: Reply) -> Reply:
        return Reply(reply.status, reply.headers, reply.body.replace(b"DTSTART", b"DTSTART;;"))

    assert wrong(found(on_feeds(rewriting))) == [("Content", "Every app", False)]


@pytest.mark.parametrize(("size", "ok"), [(950_000, None), (1_000_001, False)])
def test_a_calendar_larger_than_google_takes_is_noticed(
    found: Check, size: int, ok: bool | None
) -> None:
    def padded(asked: Asked, reply: Reply) -> Reply:
        # For Google alone: the check has ten seconds for all that it asks.
        if (
            reply.status != 200
            or not reply.body
            or "Google" not in asked.headers.get("User-Agent", "")
        ):
            return reply
        lines = b"X-PAD:%s\r\n" % (b"x" * 66) * ((size - len(reply.body)) // 74 + 1)
        body = reply.body.replace(b"END:VCALENDAR", lines + b"END:VCALENDAR")
        return Reply(200, reply.headers, body)

    assert wrong(found(on_feeds(padded))) == [("Size", "Google Calendar", ok)]


def test_lost_validators_are_noticed(found: Check) -> None:
    def forgetful(_: Asked, reply: Reply) -> Reply:
        return reply.having(ETag="", Last_Modified="")

    assert wrong(found(on_feeds(forgetful))) == [
        ("Unchanged, by ETag", "Thunderbird", None),
        ("Unchanged, by Last-Modified", "Apple Calendar", None),
        ("Unchanged, by both", "ICSx⁵ on Android", None),
    ]


def test_a_proxy_that_drops_conditions_is_noticed(product: Product, found: Check) -> None:
    def way(asked: Asked, on: On) -> Reply:
        reply = sound(asked, on)
        if reply.status != 304:
            return reply
        # Asked anew, as it would be without the condition.
        whole = Reply(
            200, reply.headers, product.read(f"{product.url}{asked.path}", agent=READER).body
        )
        return whole.having(Content_Type="text/calendar")

    findings = found(way)

    assert wrong(findings) == [
        ("Unchanged, by ETag", "Thunderbird", None),
        ("Unchanged, by Last-Modified", "Apple Calendar", None),
        ("Unchanged, by both", "ICSx⁵ on Android", None),
    ]


def test_a_refused_head_is_noticed(found: Check) -> None:
    def spoil(asked: Asked, reply: Reply) -> Reply:
        return Reply(405) if asked.method == "HEAD" else reply

    assert wrong(found(on_feeds(spoil))) == [("HEAD", "Thunderbird", None)]


def plainly(reply: Callable[[Asked], Reply]) -> Way:
    """Sound over TLS; over http as `reply` says."""
    return lambda asked, on: on() if asked.secure else reply(asked)


def moved(status: int, path: str = "") -> Way:
    return plainly(
        lambda asked: Reply(
            status, {"Location": f"https://{asked.headers['Host']}{path or asked.path}"}
        )
    )


WEBCAL = "Thunderbird, Outlook for Windows, ICSx⁵, GNOME Calendar"
FROM_HTTP = "From http to https"


@pytest.mark.parametrize(
    ("way", "app", "ok", "sentence"),
    [
        (
            moved(301),
            WEBCAL,
            None,
            "The redirect (301) works. ICSx⁵ goes through it anew at each reading.",
        ),
        (
            moved(302),
            WEBCAL,
            None,
            "The redirect (302) works. Every one of them goes through it anew at each reading.",
        ),
        (
            moved(308, "/"),
            WEBCAL,
            False,
            "The redirect (308) does not lead to the same path at https.",
        ),
        (
            plainly(lambda _: Reply(400)),
            WEBCAL,
            False,
            "The answer is 400, so that webcal links do not open in these apps.",
        ),
        (
            plainly(lambda _: Reply(200, {"Content-Type": "text/calendar"}, b"BEGIN")),
            "Every app",
            False,
            "The address answers without encryption, where anyone on the way can read it.",
        ),
    ],
)
def test_what_http_answers_is_explained(
    found: Check, way: Way, app: str, ok: bool | None, sentence: str
) -> None:
    findings = found(way)

    assert wrong(findings) == [(FROM_HTTP, app, ok)]
    assert words(findings, FROM_HTTP) == [sentence]


ROBOTS: dict[str, tuple[Reply, bool | None]] = {
    "all forbidden": (
        Reply(200, {"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /"),
        False,
    ),
    "the path forbidden": (Reply(200, {}, b"User-agent: *\nDisallow: /cal/"), False),
    "Google forbidden": (
        Reply(200, {}, b"User-agent: Google-Calendar-Importer\nDisallow: /\n"),
        False,
    ),
    "others forbidden": (Reply(200, {}, b"User-agent: Bingbot\nDisallow: /\n"), True),
    "none": (Reply(404), True),
    "out of order": (Reply(503), False),
    "a login": (Reply(302, {"Location": "/login"}), None),
    "a page": (Reply(200, {"Content-Type": "text/html"}, b"<html>"), None),
}


@pytest.mark.parametrize("kind", ROBOTS)
def test_robots_txt_must_let_google_read(found: Check, kind: str) -> None:
    reply, ok = ROBOTS[kind]

    def way(asked: Asked, on: On) -> Reply:
        return reply if asked.path == "/robots.txt" else sound(asked, on)

    assert wrong(found(way)) == ([] if ok else [("robots.txt", "Google Calendar", ok)])


def test_a_wrong_clock_is_noticed(found: Check) -> None:
    def way(asked: Asked, on: On) -> Reply:
        return sound(asked, on).having(Date="Mon, 23 Nov 2020 17:00:00 GMT")

    assert wrong(found(way)) == [("Clock", "Every app", None)]


@pytest.mark.bar("L7")
@pytest.mark.parametrize(
    ("names", "more", "sentence"),
    [
        (("127.0.0.1",), {"self_signed": True}, "it is self-signed"),
        (("127.0.0.1",), {"days": -1, "since_days": 9}, "it has expired"),
        (("127.0.0.2",), {}, "it is for another address"),
    ],
)
def test_no_secret_leaves_for_a_server_with_a_wrong_certificate(
    product: Product,
    application: Flask,
    authority: Authority,
    names: tuple[str, ...],
    more: dict[str, int],
    sentence: str,
) -> None:
    context = authority.context(*names, **more)  # type: ignore[arg-type]
    with standing(product.url, sound, context) as front:
        findings = Stand(application, front.url).check()

    assert wrong(findings) == [("Certificate", "Every app", False)]
    assert words(findings, "Certificate") == [f"The certificate is not valid: {sentence}."]
    assert front.asked == []


def test_a_certificate_that_ends_soon_is_noticed(found: Check, authority: Authority) -> None:
    findings = found(sound, authority.context("127.0.0.1", days=5))

    assert wrong(findings) == [("Connection over IPv4", "Every app", None)]
    assert words(findings, "Connection over IPv4") == [
        "The certificate is valid for 5 more days only."
    ]


def test_nobody_who_listens_is_told_so(product: Product, application: Flask) -> None:
    with standing(product.url, sound) as front:
        url = front.url.replace("http:", "https:")
        stand = Stand(application, url)
    findings = stand.check()

    assert wrong(findings) == [("Connection over IPv4", "Every app", False)]
    assert words(findings, "Connection over IPv4") == [
        "Nothing listens there: the connection is refused."
    ]


def test_plain_http_in_ones_own_network_is_read_without_tls(
    product: Product, application: Flask
) -> None:
    with standing(product.url, lambda _, on: on()) as front:
        findings = Stand(application, front.url).check()

    assert wrong(findings) == []
    assert words(findings, "Connection over IPv4") == ["The server answers."]
    assert words(findings, FROM_HTTP) == []


def test_a_name_out_of_an_example_is_not_called(application: Flask) -> None:
    stand = Stand(application, "https://calendar.example.com")
    told = [("Public address", "Every app", None)]

    assert wrong(stand.check()) == told
    assert wrong(stand.outside()) == told


def test_a_name_that_leads_nowhere_is_told(application: Flask) -> None:
    # Never asked of anyone: the label is longer than names may be.
    findings = Stand(application, f"https://{'x' * 64}.localhost").check()

    assert wrong(findings) == [("Name", "Every app", False)]


@pytest.mark.bar("L7", "I10")
def test_the_secret_goes_to_its_own_server_alone(
    product: Product,
    application: Flask,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """SECURITY I10, Appendix A: no redirect is followed, no proxy nor netrc is asked."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with standing(product.url, sound, authority.context("127.0.0.1")) as elsewhere:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, elsewhere.url)

        def away(asked: Asked, on: On) -> Reply:
            return Reply(308, {"Location": f"{elsewhere.url}{asked.path}"})

        with standing(product.url, away, authority.context("127.0.0.1")) as front:
            findings = Stand(application, front.url).check()

    assert ("Reading the calendar", READERS, False) in wrong(findings)
    assert elsewhere.asked == []
    sent = [asked for asked in front.asked if asked.path.startswith("/cal/") and asked.secure]
    assert len(sent) == 9
    assert {asked.headers.get("Authorization") for asked in sent} == {None, "Bearer x"}
    # Over plain http no link's secret is asked for.
    assert [asked.path for asked in front.asked if not asked.secure] == ["/cal/check/calendar.ics"]


@pytest.mark.bar("L7")
def test_neither_log_nor_findings_hold_the_secret(
    product: Product, application: Flask, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY L7."""
    caplog.set_level(logging.DEBUG)
    said = []
    for spoil, _ in ON_FEEDS.values():
        with standing(product.url, on_feeds(spoil), authority.context("127.0.0.1")) as front:
            said.append(str(Stand(application, front.url).check()))
            tokens = {asked.path.split("/")[2] for asked in front.asked if asked.for_feed}
    (secret,) = tokens - {"check"}
    said.append(caplog.text)

    assert len(said) == len(ON_FEEDS) + 1
    assert [text for text in said if secret[:8] in text] == []


@pytest.mark.bar("I3")
def test_who_never_answers_is_given_up(application: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 1.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        findings = Stand(application, f"http://127.0.0.1:{deaf.getsockname()[1]}").check()

    assert wrong(findings) == [
        ("robots.txt", "Google Calendar", False),
        ("Reading the calendar", READERS, False),
    ]
    assert words(findings, "Reading the calendar") == ["There was no answer in time."]


@pytest.mark.bar("I3")
def test_an_answer_without_end_is_cut_off(
    product: Product, application: Flask, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "SECONDS", 2.0)
    monkeypatch.setattr(reach, "MOST_BYTES", 1_000_000)

    def endless(asked: Asked, reply: Reply) -> Reply:
        return Reply(200, reply.headers, reply.body + b"X-PAD:x\r\n" * 200_000, 10**12)

    way = on_feeds(lambda asked, reply: endless(asked, reply) if reply.status == 200 else reply)
    with standing(product.url, way, authority.context("127.0.0.1")) as front:
        findings = Stand(application, front.url).check()

    assert wrong(findings) == [
        ("Content", "Every app", False),
        ("Size", "Google Calendar", False),
    ]


def test_only_one_check_runs_at_a_time(
    product: Product, application: Flask, authority: Authority
) -> None:
    caught: list[str] = []

    def way(asked: Asked, on: On) -> Reply:
        if asked.path == "/robots.txt" and not caught:
            caught.append("first")
            with pytest.raises(Throttled):
                stand.check()
            caught.append("refused")
        return sound(asked, on)

    with standing(product.url, way, authority.context("127.0.0.1")) as front:
        stand = Stand(application, front.url)
        assert wrong(stand.check()) == []
        assert caught == ["first", "refused"]
        assert wrong(stand.check()) == []


def test_a_check_without_a_link_asks_for_none(
    product: Product, application: Flask, authority: Authority
) -> None:
    with standing(product.url, sound, authority.context("127.0.0.1")) as front:
        findings = Stand(application, front.url).outside()

    assert wrong(findings) == []
    assert [finding.subject for finding in findings if finding.ok] == [
        "Name",
        "Connection over IPv4",
        "robots.txt",
        "From http to https",
        "Clock",
    ]
    assert {asked.path for asked in front.asked} == {"/robots.txt", "/cal/check/calendar.ics"}


def test_a_dead_or_foreign_link_is_not_checked(practice: Practice) -> None:
    link = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.BUSY)
    assert token_of(link)
    with pytest.raises(NotFound):
        reach.check(practice.unlu, link.id)

    links.disable(practice.anna, link.id)

    with pytest.raises(Conflict):
        reach.check(practice.anna, link.id)


def test_a_check_is_no_visit(product: Product, application: Flask, authority: Authority) -> None:
    """SECURITY L12: nobody is told of a reader that is the server itself."""
    with standing(product.url, sound, authority.context("127.0.0.1")) as front:
        findings = Stand(application, front.url).check()
    feed = next(asked for asked in front.asked if asked.for_feed and asked.secure)
    assert wrong(findings) == []

    product.read(f"{product.url}{feed.path}", agent=READER)

    def readers() -> list[str]:
        with application.app_context():
            return [visit.name for visit in visits.of_link(LINK)]

    # Written in the order in which they were read.
    until(lambda: "Nextcloud" in readers())
    assert readers() == ["Nextcloud"]
