"""Answers that Radicale never gives: documented or seen elsewhere, here written by ourselves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import unquote

import pytest

from sync_ui.domain.outside import (
    Expired,
    Later,
    Missing,
    Rejected,
    SignedOut,
    Stale,
    Trouble,
)
from sync_ui.domain.outside_ics import write
from sync_ui.gateways.caldav import CalDav
from sync_ui.gateways.dav_line import DavLine
from sync_ui.gateways.guarded import Guarded
from tests.gateways.contract import COPY, MONDAY, OTHER, TUESDAY, WINDOW, Personal, as_ics, at, span
from tests.gateways.scripted import Asked, Reply, Script, Scripted, scripted

NAMESPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
CALENDAR = "/dav/anna/work/"
TOKEN = "https://server.example/sync/1"
PASSWORD = "a secret password"
TEXT = write(COPY, at(1, 9)).decode()


@contextmanager
def account(script: Script, **limits: float) -> Iterator[tuple[CalDav, str, Scripted]]:
    """The account, its calendar's id, and the server that the script is for."""
    with scripted(script) as server, Guarded(["127.0.0.0/8", "localhost"], **limits) as line:  # type: ignore[arg-type]
        yield CalDav(line, server.url, "anna", PASSWORD), f"{server.url[:-1]}{CALENDAR}", server


def multistatus(*responses: str, token: str = "") -> Reply:
    end = f"<D:sync-token>{token}</D:sync-token>" if token else ""
    body = f"<D:multistatus {NAMESPACES}>{''.join(responses)}{end}</D:multistatus>"
    return Reply(207, body.encode(), {"Content-Type": "application/xml"})


def response(href: str, prop: str = "", status: int = 200) -> str:
    """A resource with properties; without any, its own status."""
    about = (
        f"<D:propstat><D:prop>{prop}</D:prop><D:status>HTTP/1.1 {status} X</D:status></D:propstat>"
        if prop
        else f"<D:status>HTTP/1.1 {status} X</D:status>"
    )
    return f"<D:response><D:href>{href}</D:href>{about}</D:response>"


def entry(href: str, etag: str, data: str = TEXT) -> str:
    text = data.replace("&", "&amp;")
    return response(href, f"<D:getetag>{etag}</D:getetag><C:calendar-data>{text}</C:calendar-data>")


def error(status: int, condition: str) -> Reply:
    return Reply(status, f"<D:error {NAMESPACES}><{condition}/></D:error>".encode())


REPORTS = response(
    CALENDAR,
    "<D:supported-report-set><D:supported-report><D:report><D:sync-collection/></D:report>"
    "</D:supported-report></D:supported-report-set>",
)


def refusal(kind: type[Trouble], reply: Reply, method: str, *, token: str | None = TOKEN) -> str:
    """What reading changes, writing (PUT) or removing (DELETE) tells of this answer."""

    def script(asked: Asked) -> Reply:
        if asked.method == "PROPFIND":
            return multistatus(REPORTS)
        return reply if asked.method == method else Reply(200, TEXT.encode(), {"ETag": '"9"'})

    with account(script) as (provider, calendar, _):
        ways: dict[str, Callable[[], object]] = {
            "PUT": lambda: provider.put(calendar, COPY, '"1"'),
            "DELETE": lambda: provider.remove(calendar, COPY.id, '"1"'),
            "REPORT": lambda: provider.changes(calendar, token),
        }
        with pytest.raises(kind) as told:
            ways[method]()
    assert type(told.value) is kind
    return str(told.value)


# Errors


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(412, "D:valid-sync-token"), Expired),
        (error(403, "D:valid-sync-token"), Expired),
        (error(409, "D:valid-sync-token"), Expired),
        (Reply(410), Expired),
        (Reply(507), Expired),
        (Reply(401), SignedOut),
        (Reply(403), SignedOut),
        (Reply(404), Missing),
        (Reply(400), Rejected),
        (Reply(423), Later),
        (Reply(429), Later),
        (Reply(500), Later),
        (Reply(503), Later),
        (Reply(200, b"<html><p>Welcome to our Wi-Fi"), Rejected),
        (Reply(207, b"<html></html>"), Rejected),
        (Reply(207, b"<D:multistatus"), Rejected),
        (Reply(207, b""), Rejected),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value.status),
)
def test_what_a_listing_is_refused_with(reply: Reply, kind: type[Trouble]) -> None:
    refusal(kind, reply, "REPORT")


def test_without_a_token_none_can_have_expired() -> None:
    refusal(Later, Reply(507), "REPORT", token=None)
    refusal(SignedOut, error(403, "D:valid-sync-token"), "REPORT", token=None)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(412), Stale),
        (Reply(412, b"Precondition failed"), Stale),
        (Reply(412, b"<html><body>Precondition failed</body></html>"), Stale),
        (error(412, "C:no-uid-conflict"), Rejected),
        (error(412, "C:valid-calendar-data"), Rejected),
        (error(403, "D:need-privileges"), SignedOut),
        (error(403, "C:valid-calendar-data"), Rejected),
        (Reply(403), Rejected),
        (Reply(409), Rejected),
        (Reply(404), Stale),
        (Reply(413), Rejected),
        (Reply(401), SignedOut),
        (Reply(423), Later),
        (Reply(500), Later),
        (Reply(507), Later),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value.status),
)
def test_what_a_write_is_refused_with(reply: Reply, kind: type[Trouble]) -> None:
    said = refusal(kind, reply, "PUT")

    assert not any(word in said for word in ("127.0.0.1", "anna", PASSWORD, "J.S."))


@pytest.mark.bar("S6")
@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120),
        ("Fri, 02 Jan 1970 00:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("9" * 30, 86400),
    ],
)
def test_the_server_says_how_long_to_wait(told: str, seconds: float | None) -> None:
    with (
        account(lambda asked: Reply(503, b"", {"Retry-After": told})) as (provider, calendar, _),
        pytest.raises(Later) as later,
    ):
        provider.changes(calendar, TOKEN)

    assert later.value.seconds == seconds


def test_a_calendar_that_is_gone_is_told_from_an_entry_that_is_refused() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(409 if asked.method == "PUT" else 404)

    with account(script) as (provider, calendar, _), pytest.raises(Missing):
        provider.put(calendar, COPY, None)


# Listings


def test_only_what_is_there_counts_and_what_is_not_known_may_be_gone() -> None:
    listed = multistatus(
        response(CALENDAR, "<D:getetag>x</D:getetag>"),
        response(f"{CALENDAR}there.ics", '<D:getetag>"1"</D:getetag>'),
        response(f"{CALENDAR}gone.ics", status=404),
        response(f"{CALENDAR}gone-too.ics", status=418),
        response(f"{CALENDAR}unsaid.ics", "<D:getetag/>", status=404),
        response(f"{CALENDAR}folder/", '<D:getetag>"1"</D:getetag>'),
        response("/dav/ben/work/theirs.ics", '<D:getetag>"1"</D:getetag>'),
        token=f"{TOKEN}0",
    )

    def script(asked: Asked) -> Reply:
        if b"multiget" in asked.body:
            return multistatus(entry(f"{CALENDAR}there.ics", '"1"'))
        return listed if asked.method == "REPORT" else multistatus(REPORTS)

    with account(script) as (provider, calendar, server):
        whole = provider.changes(calendar, None)
        since = provider.changes(calendar, TOKEN)

    assert [each.id for each in whole.entries] == ["there"]
    assert (whole.gone, whole.whole, whole.token) == ((), True, f"{TOKEN}0")
    assert (since.gone, since.whole) == (("gone", "gone-too"), False)
    bodies = [each.body for each in server.asked if b"sync-collection" in each.body]
    assert all(b"limit" not in each and b"calendar-data" not in each for each in bodies)
    assert len(bodies) == 2


def test_a_listing_that_comes_in_parts_is_read_to_its_end() -> None:
    def script(asked: Asked) -> Reply:
        if b"multiget" in asked.body:
            hrefs = [f"{CALENDAR}a.ics", f"{CALENDAR}b.ics"]
            return multistatus(*(entry(href, '"1"') for href in hrefs))
        if b"sync/1<" in asked.body:
            first = response(f"{CALENDAR}a.ics", '<D:getetag>"1"</D:getetag>')
            return multistatus(first, response(CALENDAR, status=507), token=f"{TOKEN}0")
        return multistatus(
            response(f"{CALENDAR}b.ics", '<D:getetag>"1"</D:getetag>'), token=f"{TOKEN}1"
        )

    with account(script) as (provider, calendar, _):
        found = provider.changes(calendar, TOKEN)

    assert ([each.id for each in found.entries], found.token) == (["a", "b"], f"{TOKEN}1")


@pytest.mark.bar("I3")
def test_a_listing_that_never_gets_further_tells_nothing() -> None:
    part = response(f"{CALENDAR}a.ics", '<D:getetag>"1"</D:getetag>')
    half = multistatus(part, response(CALENDAR, status=507), token=TOKEN)

    with account(lambda asked: half) as (provider, calendar, _), pytest.raises(Later):
        provider.changes(calendar, TOKEN)


def test_an_address_may_be_spelled_in_several_ways() -> None:
    def script(asked: Asked) -> Reply:
        if b"multiget" in asked.body:
            return multistatus(entry("/d%61v/anna/work/a%40b.ics", "W/&quot;1&quot;"))
        return multistatus(
            response(f"{server.url[:-1]}{CALENDAR}a@b.ics", "<D:getetag>1</D:getetag>"),
            token=TOKEN,
        )

    with account(script) as (provider, calendar, server):
        found = provider.changes(calendar, TOKEN)

    assert [(each.id, each.etag) for each in found.entries] == [("a@b", '"1"')]
    assert [unquote(each.path) for each in server.asked] == [CALENDAR, CALENDAR]


def test_what_is_left_out_of_many_is_asked_for_by_itself() -> None:
    def script(asked: Asked) -> Reply:
        if asked.method == "GET":
            there = asked.path.endswith(f"{COPY.id}.ics")
            return Reply(200, TEXT.encode(), {"ETag": '"2"'}) if there else Reply(404)
        if b"multiget" in asked.body:
            return multistatus(response(f"{CALENDAR}{COPY.id}.ics", "<D:getetag/>", status=404))
        hrefs = [f"{CALENDAR}{each}.ics" for each in (COPY.id, OTHER.id)]
        tagged = [response(href, '<D:getetag>"1"</D:getetag>') for href in hrefs]
        return multistatus(*tagged, token=TOKEN)

    with account(script) as (provider, calendar, _):
        found = provider.changes(calendar, TOKEN)

    assert [(each.id, each.etag, each.told) for each in found.entries] == [(COPY.id, '"2"', MONDAY)]
    assert found.gone == (OTHER.id,)


def test_entries_too_long_to_come_together_come_one_by_one() -> None:
    texts = {"Small": TEXT, "large": TEXT + "X" * 3000, COPY.id: TEXT + " " * 2000}

    def script(asked: Asked) -> Reply:
        hrefs = {name: f"{CALENDAR}{name}.ics" for name in texts}
        if asked.method == "GET":
            name = asked.path.removeprefix(CALENDAR).removesuffix(".ics")
            return Reply(200, texts[name].encode(), {"ETag": '"1"'})
        if b"multiget" in asked.body:
            return multistatus(*(entry(hrefs[name], '"1"', texts[name]) for name in texts))
        tagged = (response(href, '<D:getetag>"1"</D:getetag>') for href in hrefs.values())
        return multistatus(*tagged, token=TOKEN)

    with account(script, longest=3000) as (provider, calendar, _):
        found = provider.changes(calendar, TOKEN)

    assert {each.id: (each.etag, each.told) for each in found.entries} == {
        "Small": ('"1"', MONDAY),
        "large": ('"1"', None),
        COPY.id: ('"1"', MONDAY),
    }


@pytest.mark.bar("I5", "S3")
def test_a_part_that_fails_fails_all() -> None:
    def script(asked: Asked) -> Reply:
        if b"multiget" in asked.body:
            return multistatus(response(f"{CALENDAR}a.ics", status=503))
        return multistatus(response(f"{CALENDAR}a.ics", "<D:getetag>1</D:getetag>"), token=TOKEN)

    with account(script) as (provider, calendar, _), pytest.raises(Later):
        provider.changes(calendar, TOKEN)


@pytest.mark.bar("S4")
def test_a_server_without_sync_is_compared_by_its_etags() -> None:
    etags = {"a": '"1"'}

    def script(asked: Asked) -> Reply:
        hrefs = {each: f"{CALENDAR}{each}.ics" for each in etags}
        if b"multiget" in asked.body:
            return multistatus(*(entry(hrefs[each], etags[each]) for each in etags))
        assert asked.method == "PROPFIND"
        if asked.headers["depth"] == "0":
            return multistatus(response(CALENDAR, "<D:displayname>Work</D:displayname>"))
        tags = (response(hrefs[each], f"<D:getetag>{etags[each]}</D:getetag>") for each in etags)
        return multistatus(response(CALENDAR, "<D:resourcetype/>"), *tags)

    with account(script) as (provider, calendar, _):
        first = provider.changes(calendar, None)
        nothing = provider.changes(calendar, first.token)
        etags |= {"b": '"1"'}
        second = provider.changes(calendar, first.token)
        del etags["a"]
        third = provider.changes(calendar, second.token)

    assert [(len(each.entries), each.gone, each.whole) for each in (first, nothing)] == [
        (1, (), True),
        (0, (), False),
    ]
    assert [([e.id for e in each.entries], each.whole) for each in (second, third)] == [
        (["a", "b"], True),
        (["b"], True),
    ]


# Etags


@pytest.mark.parametrize(("stands", "etag"), [(COPY, '"7"'), (replace(COPY, told=TUESDAY), "")])
def test_an_etag_that_is_not_told_is_asked_for_unless_somebody_was_quicker(
    stands: object, etag: str
) -> None:
    def script(asked: Asked) -> Reply:
        if asked.method == "PUT":
            return Reply(201)
        return Reply(200, write(stands, at(1, 9)), {"ETag": '"7"'})  # type: ignore[arg-type]

    with account(script) as (provider, calendar, server):
        assert provider.put(calendar, COPY, None) == etag

    assert [each.method for each in server.asked] == ["PUT", "GET"]


@pytest.mark.bar("S4")
def test_every_write_is_conditional() -> None:
    with account(lambda asked: Reply(204, b"", {"ETag": '"2"'})) as (provider, calendar, server):
        provider.put(calendar, COPY, None)
        provider.put(calendar, COPY, '"1"')
        provider.remove(calendar, COPY.id, '"2"')
        for write_unknown in (
            lambda: provider.put(calendar, COPY, ""),
            lambda: provider.remove(calendar, COPY.id, ""),
        ):
            with pytest.raises(Stale):
                write_unknown()

    assert [
        (each.what, each.headers.get("if-match"), each.headers.get("if-none-match"))
        for each in server.asked
    ] == [
        (f"PUT {CALENDAR}{COPY.id}.ics", None, "*"),
        (f"PUT {CALENDAR}{COPY.id}.ics", '"1"', None),
        (f"DELETE {CALENDAR}{COPY.id}.ics", '"2"', None),
    ]


# The account


HOME = "<C:calendar-home-set><D:href>/dav/anna/</D:href></C:calendar-home-set>"
PRINCIPAL = "<D:current-user-principal><D:href>/people/1</D:href></D:current-user-principal>"
ADDRESSES = (
    "<C:calendar-user-address-set><D:href>mailto:Anna@Practice.example</D:href>"
    "<D:href>/people/1</D:href></C:calendar-user-address-set>"
)
EVENTS = "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>"


def test_only_calendars_for_events_are_listed_and_which_can_be_written_to() -> None:
    kinds, rights = "C:supported-calendar-component-set", "D:current-user-privilege-set"
    tasks = f'<{kinds}><C:comp name="VTODO"/></{kinds}>'
    may_read = f"<{rights}><D:privilege><D:read/></D:privilege></{rights}>"
    listed = multistatus(
        response("/dav/anna/", "<D:resourcetype><D:collection/></D:resourcetype>"),
        response("/dav/anna/a", f"{EVENTS}<D:displayname>Work &amp; Home</D:displayname>"),
        response("/dav/anna/caf%C3%A9/", EVENTS),
        response("/dav/anna/read/", f"{EVENTS}<D:displayname>Read</D:displayname>{may_read}"),
        response("/dav/anna/tasks/", EVENTS + tasks),
        response("/dav/anna/inbox/", "<D:resourcetype><C:schedule-inbox/></D:resourcetype>"),
    )

    def script(asked: Asked) -> Reply:
        if asked.path == "/people/1":
            return multistatus(response("/people/1", HOME))
        return listed if asked.path == "/dav/anna/" else multistatus(response("/", PRINCIPAL))

    with account(script) as (provider, _, server):
        found = provider.calendars()

    assert [(each.id, each.name, each.writable) for each in found] == [
        (f"{server.url}dav/anna/caf%C3%A9/", "café", True),
        (f"{server.url}dav/anna/read/", "Read", False),
        (f"{server.url}dav/anna/a/", "Work & Home", True),
    ]


def test_an_account_is_found_although_its_first_sign_leads_astray() -> None:
    def script(asked: Asked) -> Reply:
        if asked.path == "/.well-known/caldav":
            return Reply(301, b"", {"Location": "https://elsewhere.example/"})
        return multistatus(response("/dav/anna/", HOME + EVENTS))

    with account(script) as (provider, _, server):
        assert [each.id for each in provider.calendars()] == [f"{server.url}dav/anna/"]


@pytest.mark.parametrize("status", [403, 404, 405, 200])
def test_a_server_without_calendars_is_told_from_an_empty_account(status: int) -> None:
    with account(lambda asked: Reply(status, b"hello")) as (provider, _, _):
        with pytest.raises(Rejected):
            provider.calendars()
        with pytest.raises(Rejected):
            provider.make_calendar("Practice")

    with account(lambda asked: multistatus(response("/", HOME))) as (provider, _, _):
        assert provider.calendars() == []


@pytest.mark.parametrize(("status", "kind"), [(403, Rejected), (405, Rejected), (507, Later)])
def test_a_server_that_makes_no_calendars_says_so(status: int, kind: type[Trouble]) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status) if asked.method == "MKCALENDAR" else multistatus(response("/", HOME))

    with account(script) as (provider, _, _), pytest.raises(kind):
        provider.make_calendar("Practice")


def test_the_account_knows_its_own_addresses() -> None:
    texts = {
        who: as_ics(Personal(who, at(1, 9), at(1, 10)))
        .decode()
        .replace(
            "END:VEVENT",
            f"ATTENDEE;PARTSTAT=DECLINED:mailto:{who}@practice.example\r\n"
            "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carl@practice.example\r\nEND:VEVENT",
        )
        for who in ("anna", "ben")
    }

    def script(asked: Asked) -> Reply:
        hrefs = {who: f"{CALENDAR}{who}.ics" for who in texts}
        if b"multiget" in asked.body:
            return multistatus(*(entry(hrefs[who], "1", texts[who]) for who in texts))
        if asked.method == "REPORT":
            tags = (response(href, "<D:getetag>1</D:getetag>") for href in hrefs.values())
            return multistatus(*tags, token=TOKEN)
        return multistatus(response("/", HOME + ADDRESSES))

    with account(script) as (provider, calendar, _):
        assert list(provider.busy(calendar, TOKEN, WINDOW).spans.items()) == [
            ("anna", ()),
            ("ben", (span(1, 8),)),
        ]


# Where the password goes


@pytest.mark.bar("I10", "S1")
@pytest.mark.parametrize("to", ["http://127.0.0.1:{}/", "http://localhost:{}/", "//localhost:{}/x"])
def test_the_password_is_not_carried_to_another_server(to: str) -> None:
    with scripted(lambda asked: Reply(207)) as thief:
        there = to.format(thief.server_port)
        home = f"<C:calendar-home-set><D:href>{there}</D:href></C:calendar-home-set>"
        for reply in (Reply(301, b"", {"Location": there}), multistatus(response("/", home))):
            with (
                account(lambda asked, reply=reply: reply) as (provider, _, server),  # type: ignore[misc]
                pytest.raises(Rejected) as refused,
            ):
                provider.calendars()

            assert "authorization" in server.asked[0].headers
            assert PASSWORD not in str(refused.value)

        assert thief.calls == 0


def test_a_redirect_within_the_server_is_followed_with_the_password() -> None:
    def script(asked: Asked) -> Reply:
        if asked.path == CALENDAR:
            return Reply(308, b"", {"Location": "/moved/"})
        return multistatus(token=TOKEN)

    with account(script) as (provider, calendar, server):
        provider.changes(calendar, TOKEN)

    assert [each.what for each in server.asked] == [f"REPORT {CALENDAR}", "REPORT /moved/"]
    assert len({each.headers["authorization"] for each in server.asked}) == 1


@pytest.mark.bar("I3")
def test_a_redirect_in_a_circle_ends() -> None:
    with (
        account(lambda asked: Reply(302, b"", {"Location": "/again"})) as (provider, calendar, _),
        pytest.raises(Rejected),
    ):
        provider.changes(calendar, TOKEN)


@pytest.mark.bar("I10", "S1")
@pytest.mark.parametrize(
    ("typed", "url", "trusted"),
    [
        ("caldav.icloud.com", "https://p07-caldav.icloud.com:443/1/", True),
        ("https://caldav.icloud.com/", "https://icloud.com.evil.example/", False),
        ("https://caldav.icloud.com/", "https://evil-icloud.com/", False),
        ("https://caldav.icloud.com/", "http://p07-caldav.icloud.com/", False),
        ("https://caldav.icloud.com/", "https://p07-caldav.icloud.com:8443/", False),
        ("https://dav.example.com/", "https://p07-caldav.icloud.com/", False),
        ("https://dav.example.com/", "https://dav.example.com:443/x", True),
        ("https://dav.example.com/", "https://other.example.com/", False),
        ("https://dav.example.com/", "http://dav.example.com/", False),
        ("https://dav.example.com/", "https://dav.example.com@evil.example/", False),
        ("http://dav.example.com/", "https://dav.example.com/", True),
        ("http://dav.example.com:5232/", "http://dav.example.com/", False),
    ],
)
def test_whom_the_password_is_for(typed: str, url: str, trusted: bool) -> None:
    line = DavLine(Guarded(), typed, "anna", PASSWORD)

    if trusted:
        line._trust(url)
        return
    with pytest.raises(Rejected):
        line._trust(url)


# Attacks


BILLION_LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    f"<D:multistatus {NAMESPACES}><D:sync-token>&b;</D:sync-token></D:multistatus>"
)
OUTSIDE = (
    '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    f"<D:multistatus {NAMESPACES}><D:sync-token>&a;</D:sync-token></D:multistatus>"
)


@pytest.mark.bar("I9")
@pytest.mark.parametrize(
    "body",
    [BILLION_LAUGHS, OUTSIDE, "<a>" * 1_000_001, "<a>" * 100_000, '<?xml encoding="x-none"?><a/>'],
    ids=["billion laughs", "external entity", "many tags", "deep", "unknown encoding"],
)
def test_xml_that_attacks_is_not_read(body: str) -> None:
    refusal(Rejected, Reply(207, body.encode()), "REPORT")


def test_an_entry_of_somebody_elses_that_is_no_calendar_takes_no_time() -> None:
    texts = {
        "good": as_ics(Personal("good", at(1, 9), at(1, 10))).decode(),
        "nothing": "hello",
        "half": "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20261201T100000Z",
        "large": "BEGIN:VCALENDAR\r\n" + "X:y\r\n" * 60_000 + "END:VCALENDAR\r\n",
        "never": TEXT.replace("DTSTART:2026", "DTSTART:9999").replace("X-SYNC-CALENDAR", "X-A"),
    }

    def script(asked: Asked) -> Reply:
        hrefs = {name: f"{CALENDAR}{name}.ics" for name in texts}
        if b"multiget" in asked.body:
            return multistatus(*(entry(hrefs[name], "1", texts[name]) for name in texts))
        listed = (response(href, "<D:getetag>1</D:getetag>") for href in hrefs.values())
        return (
            multistatus(*listed, token=TOKEN) if asked.method == "REPORT" else multistatus(REPORTS)
        )

    with account(script) as (provider, calendar, _):
        found = provider.busy(calendar, None, WINDOW)
        entries = provider.changes(calendar, None).entries

    assert list(found.spans) == ["good"]
    assert sorted(each.id for each in entries) == sorted(texts)
    assert {each.told for each in entries} == {None}


@pytest.mark.bar("I5", "S3")
def test_an_answer_that_breaks_off_tells_nothing() -> None:
    def script(asked: Asked) -> Reply:
        found = multistatus(response(f"{CALENDAR}a.ics", "<D:getetag>1</D:getetag>"), token=TOKEN)
        assert isinstance(found.body, bytes)
        return replace(found, promised=len(found.body) + 1)

    with account(script) as (provider, calendar, _), pytest.raises(Later):
        provider.changes(calendar, TOKEN)
