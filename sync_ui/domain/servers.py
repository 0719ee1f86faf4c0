"""CalDAV servers that people have: where they are, and where a password for us alone is made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """`address` is empty where everybody has one of their own; `hint` says what it looks like."""

    name: str
    address: str
    password: str
    user: str = "The e-mail address that you sign in with there."
    hint: str = ""


SERVERS = {
    "icloud": Server(
        "iCloud",
        "https://caldav.icloud.com/",
        "An app-specific password: sign in at account.apple.com, choose Sign-In and Security, "
        "then App-Specific Passwords. Your Apple Account’s own password does not work here.",
        "Your Apple Account’s e-mail address.",
    ),
    "fastmail": Server(
        "Fastmail",
        "https://caldav.fastmail.com/dav/",
        "An app password: in Fastmail under Settings, Privacy & Security, Manage app passwords. "
        "Give it access to calendars alone.",
    ),
    "nextcloud": Server(
        "Nextcloud",
        "",
        "An app password: in Nextcloud under Personal settings, Security, Devices & sessions.",
        "The name that you sign in with there.",
        "As in the browser, e.g. https://cloud.example.com.",
    ),
    "other": Server(
        "Another CalDAV server",
        "",
        "Best one made for this connection alone, if the server has such passwords.",
        "The name that you sign in with there.",
        "The address that your provider names for CalDAV, e.g. https://caldav.example.com.",
    ),
}


def name_of(address: str) -> str:
    """`iCloud` or `Fastmail` by the server's address; its host for any other."""
    for server in SERVERS.values():
        if server.address and server.address.rstrip("/") == address.rstrip("/"):
            return server.name
    return address.partition("://")[2].partition("/")[0] or address
