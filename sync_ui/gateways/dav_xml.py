"""What WebDAV and CalDAV say in XML (RFC 4918, 4791, 6578): our requests, their answers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sync_ui.domain.ics_write import cleaned
from sync_ui.domain.outside import Rejected
from sync_ui.gateways.guarded import UNREADABLE

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
_NAMESPACES = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'

# A calendar of 50,000 entries has fewer.
MOST_TAGS = 1_000_000

# What of a resource says that it is no more; 418 is Nextcloud's, before 2024.
GONE = frozenset({404, 410, 418})


@dataclass(frozen=True, slots=True)
class Resource:
    """One response of several; `props` are those with status 200.

    `status` is that of the resource itself; 200 if some of its properties have it,
    0 if nothing is said that holds.
    """

    href: str
    status: int
    props: Mapping[str, Element]

    @property
    def path(self) -> str:
        return path_of(self.href)

    def text(self, name: str) -> str:
        found = self.props.get(name)
        return (found.text or "").strip() if found is not None else ""

    def inside(self, name: str) -> set[str]:
        """The names of all elements within a property."""
        found = self.props.get(name)
        return {each.tag for each in found.iter()} - {name} if found is not None else set()

    def hrefs(self, name: str) -> list[str]:
        found = self.props.get(name)
        if found is None:
            return []
        return [text for each in found.iter(f"{DAV}href") if (text := (each.text or "").strip())]


def path_of(href: str) -> str:
    """The unquoted path: servers spell one address in several ways."""
    try:
        return unquote(urlsplit(href).path)
    except ValueError:
        return ""


# Requests


def propfind(*names: str) -> bytes:
    """`names` as `displayname` or `c:calendar-home-set`."""
    props = "".join(f"<{name}/>" for name in names)
    return _document("propfind", f"<prop>{props}</prop>")


def sync_collection(token: str) -> bytes:
    # Only etags, and never a limit: servers lose what lies beyond it.
    return _document(
        "sync-collection",
        f"<sync-token>{_text(token)}</sync-token><sync-level>1</sync-level><prop><getetag/></prop>",
    )


def multiget(hrefs: Iterable[str]) -> bytes:
    named = "".join(f"<href>{_text(href)}</href>" for href in hrefs)
    return _document("c:calendar-multiget", f"<prop><getetag/><c:calendar-data/></prop>{named}")


def mkcalendar(name: str) -> bytes:
    return _document(
        "c:mkcalendar",
        f"<set><prop><displayname>{_text(name)}</displayname>"
        '<c:supported-calendar-component-set><c:comp name="VEVENT"/>'
        "</c:supported-calendar-component-set></prop></set>",
    )


def _document(root: str, content: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} {_NAMESPACES}>{content}</{root}>'
    ).encode()


def _text(text: str) -> str:
    return escape(cleaned(text), quote=False)


# Answers


def parse(body: bytes) -> Element:
    """Raises Rejected for what is no XML, defines entities, or would take up much memory."""
    try:
        if body.count(b"<") > MOST_TAGS:
            raise ValueError
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise Rejected(UNREADABLE) from None
    return root


def resources(root: Element) -> Iterator[Resource]:
    """Each href with what is said of it. Raises Rejected for what is no multistatus."""
    if root.tag != f"{DAV}multistatus":
        raise Rejected(UNREADABLE)
    for response in root.iter(f"{DAV}response"):
        props = {
            prop.tag: prop
            for propstat in response.findall(f"{DAV}propstat")
            if _status(propstat) == 200
            for prop in propstat.iterfind(f"{DAV}prop/*")
        }
        whole = _status(response) or (200 if props else 0)
        for href in response.findall(f"{DAV}href"):
            yield Resource((href.text or "").strip(), whole, props)


def _status(element: Element) -> int:
    """The number in `HTTP/1.1 200 OK`; 0 if there is none."""
    parts = element.findtext(f"{DAV}status", "").split()
    number = parts[1] if len(parts) > 1 else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) == 3 else 0


def conditions(body: bytes) -> set[str]:
    """The preconditions that an error names, without their namespaces; empty if none."""
    if not body.lstrip().startswith(b"<"):
        return set()
    try:
        root = parse(body)
    except Rejected:
        return set()
    if root.tag != f"{DAV}error":
        return set()
    return {each.tag.rpartition("}")[2] for each in root}
