"""How a public address answers, and which calendar apps can get there at all.

What was found is told in findings: for which app, and how to mend it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

FEW_DAYS = timedelta(days=14)

EVERYONE = "Every app"
WHO = "Who can reach it"
FROM_DATA_CENTRES = "Google Calendar, Outlook.com and Microsoft 365"
FROM_DEVICES = "Apple Calendar, ICSx⁵, Thunderbird, Outlook for Windows"


class Trouble(StrEnum):
    """Why there was no answer."""

    NO_NAME = "no_name"
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    LATE = "late"
    CERTIFICATE = "certificate"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody answered; `detail` tells what is wrong with a certificate."""

    trouble: Trouble
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Names of headers in lower case; `body` is its beginning, all of it if `complete`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def size(self) -> int:
        told = self.headers.get("content-length", "")
        return max(len(self.body), int(told) if told.isascii() and told.isdigit() else 0)

    @property
    def is_page(self) -> bool:
        start = self.body[:100].lstrip().lower()
        return self.kind in {"text/html", "application/xhtml+xml"} or start.startswith(
            (b"<!doctype", b"<html")
        )


Heard = Answer | Silence


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, for which app, and how to mend it.

    `ok` is None for what works but could be better, or could not be told from
    here. `nginx` and `caddy` are lines for their settings.
    """

    subject: str
    app: str
    ok: bool | None
    words: str
    advice: str = ""
    nginx: str = ""
    caddy: str = ""


def together(findings: Iterable[Finding]) -> list[Finding]:
    """What was found alike for several apps is said once."""
    found: dict[tuple[str, bool | None, str], Finding] = {}
    for finding in findings:
        key = finding.subject, finding.ok, finding.words
        known = found.get(key)
        if known is None:
            found[key] = finding
        elif finding.app not in known.app.split(", "):
            found[key] = replace(known, app=f"{known.app}, {finding.app}")
    return list(found.values())


def examples(host: str) -> Finding | None:
    """A name out of documentation is nobody's address (RFC 2606): nothing to call there."""
    if not re.search(r"(^|\.)(example(\.(com|net|org))?|test|invalid)$", host):
        return None
    return Finding(
        "Public address",
        EVERYONE,
        None,
        f"{host} is a name out of an example: no app reaches it.",
        "Set SYNC_BASE_URL to the address that people use, and start the server again.",
    )


def who_reaches(host: str, addresses: list[Address], *, secure: bool) -> list[Finding]:
    """Who could get here, going by where the name leads from this server."""
    here = host == "localhost" or any(host == str(at) and at.is_loopback for at in addresses)
    if here:
        return [
            Finding(
                WHO,
                f"{FROM_DATA_CENTRES}, and every phone",
                False,
                f"{host} means “this computer”: only apps on this very computer can read links. "
                f"{FROM_DATA_CENTRES} cannot, and neither can any phone.",
                "For phones in your own network start the server with HOST=0.0.0.0; for apps "
                "everywhere follow the README’s chapter on how phones reach it.",
            )
        ]
    found = [] if secure else [_unencrypted()]
    if addresses and not any(at.is_global for at in addresses):
        return [*found, *_inside(host, addresses)]
    if addresses:
        words = f"{host} leads to a public address, where every app can look for it."
        hint = (
            "Whether your firewall lets them in cannot be seen from inside: "
            "open the link once on a phone that uses mobile data."
        )
        found.append(Finding(WHO, EVERYONE, True, words, hint))
    return found


def _inside(host: str, addresses: list[Address]) -> list[Finding]:
    if all(at.is_loopback for at in addresses):
        words = f"From this server {host} leads back to itself, so the rest was seen from inside."
        advice = "Outside, the name must lead to your public address: ask a phone on mobile data."
        return [Finding(WHO, EVERYONE, None, words, advice)]
    advice = (
        "For those apps the server needs a public name and https: "
        "see the README’s chapter on how phones reach it."
    )
    return [
        Finding(
            WHO,
            FROM_DATA_CENTRES,
            False,
            f"{host} is an address of your own network. They read from their data centres and "
            "can never reach it.",
            advice,
        ),
        Finding(
            WHO,
            FROM_DEVICES,
            None,
            "Phones and computers read the link only while they are in your own network.",
            "A phone shows what it read last until it is back. " + advice,
        ),
    ]


def _unencrypted() -> Finding:
    return Finding(
        "Encryption",
        EVERYONE,
        False,
        "The address is plain http: what the calendar shows travels unencrypted, and iPhones "
        "refuse it.",
        "Put a reverse proxy with a certificate before the server and set SYNC_BASE_URL to its "
        "https address.",
        caddy="calendar.example.com { reverse_proxy 127.0.0.1:8000 }",
    )


def name_found(host: str, addresses: list[Address]) -> Finding:
    if not addresses:
        return Finding(
            "Name",
            EVERYONE,
            False,
            f"The name {host} leads nowhere.",
            "Add an A record (and AAAA, if you have IPv6) with your public address where the "
            "name is registered. New records need up to a day.",
        )
    kinds = sorted({"A" if at.version == 4 else "AAAA" for at in addresses})
    return Finding("Name", EVERYONE, True, f"{host} is found ({' and '.join(kinds)}).")


def connected(address: Address, heard: datetime | Silence | None, now: datetime) -> Finding:
    """What a connection to one of the addresses came to.

    `heard` is when its certificate ends, None without TLS.
    """
    way = "IPv6" if address.version == 6 else "IPv4"
    subject = f"Connection over {way}"
    if isinstance(heard, Silence):
        return _not_connected(subject, way, heard)
    if heard is None:
        return Finding(subject, EVERYONE, True, "The server answers.")
    days = (heard - now) // timedelta(days=1)
    if heard - now < FEW_DAYS:
        return Finding(
            subject,
            EVERYONE,
            None,
            f"The certificate is valid for {days} more days only.",
            "Most are renewed a month before they end. See whether the renewal fails: "
            "certbot renew --dry-run, or the log of Caddy.",
        )
    words = f"The server answers; its certificate is valid for {days} more days."
    return Finding(subject, EVERYONE, True, words)


def _not_connected(subject: str, way: str, heard: Silence) -> Finding:
    if heard.trouble is Trouble.CERTIFICATE:
        return _certificate(heard)
    if heard.trouble is Trouble.NO_ROUTE and way == "IPv6":
        return Finding(
            subject,
            "Google Calendar, Apple Calendar",
            None,
            "The name has an IPv6 address, but this server has no IPv6 of its own to try it.",
            "If nothing answers there, remove the AAAA record: Google gives up on it.",
        )
    advice = (
        "Remove the AAAA record, or let the proxy listen on IPv6, too: some apps try it alone."
        if way == "IPv6"
        else "Is the proxy running, and do router and firewall let the port in? Some routers "
        "answer outside only: then try the link on a phone that uses mobile data."
    )
    return Finding(subject, EVERYONE, False, SILENCES[heard.trouble], advice)


SILENCES = {
    Trouble.NO_NAME: "The name leads nowhere.",
    Trouble.REFUSED: "Nothing listens there: the connection is refused.",
    Trouble.NO_ROUTE: "There is no way to that address from this server.",
    Trouble.LATE: "There was no answer in time.",
    Trouble.CERTIFICATE: "The certificate is not valid.",
    Trouble.BROKEN: "The connection broke off before the answer was whole.",
}


def _certificate(heard: Silence) -> Finding:
    return Finding(
        "Certificate",
        EVERYONE,
        False,
        f"The certificate is not valid: {heard.detail}.",
        "Apps refuse it without asking anyone. Get one that they trust, for exactly this name; "
        "Caddy does so by itself.",
        nginx="certbot --nginx -d calendar.example.com",
        caddy="calendar.example.com { reverse_proxy 127.0.0.1:8000 }",
    )
