"""Calendar apps: who reads a link, how to hand one over, how fast each follows.

What real apps were seen to do, not what they promise.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote


class Family(StrEnum):
    """The calendar apps that behave alike."""

    APPLE_MOBILE = "apple_mobile"
    APPLE_MAC = "apple_mac"
    GOOGLE = "google"
    OUTLOOK_WEB = "outlook_web"
    OUTLOOK_WINDOWS = "outlook_windows"
    THUNDERBIRD = "thunderbird"
    ICSX5 = "icsx5"
    NEXTCLOUD = "nextcloud"
    EVOLUTION = "evolution"
    HOME_ASSISTANT = "home_assistant"
    OTHER = "other"


class Reader(StrEnum):
    """What kind of program reads a link: only an app keeps the calendar.

    A preview is whoever follows a link that was pasted or mailed: chats, mail
    scanners, search engines.
    """

    APP = "app"
    BROWSER = "browser"
    PREVIEW = "preview"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True)
class App:
    """`name` is for people; `family` is what to compare and to look up by."""

    name: str
    family: Family


# First match wins. Versions are left out: who reads a link does not change with them.
_APPS = tuple(
    (re.compile(pattern), App(name, family))
    for pattern, name, family in (
        ("Google-Calendar-Importer", "Google Calendar", Family.GOOGLE),
        # Both fetch from the device itself: accountsd while the calendar is being added.
        (
            r"^iOS/[\d.]+ .*(?:dataaccessd|accountsd)",
            "Apple Calendar on iPhone or iPad",
            Family.APPLE_MOBILE,
        ),
        (
            r"^macOS/[\d.]+ .*(?:dataaccessd|CalendarAgent|accountsd)",
            "Apple Calendar on Mac",
            Family.APPLE_MAC,
        ),
        (
            r"^Mac[ _+]?OS[ _+]?X/.*CalendarAgent|CalendarStore.*iCal/",
            "Apple Calendar on Mac",
            Family.APPLE_MAC,
        ),
        (r"Microsoft[ .]Exchange/", "Outlook.com or Microsoft 365", Family.OUTLOOK_WEB),
        (
            r"Microsoft Office/.*Outlook [\d.]+|Microsoft Outlook [\d.]+",
            "Outlook for Windows",
            Family.OUTLOOK_WINDOWS,
        ),
        (r"Thunderbird/[\d.]+", "Thunderbird", Family.THUNDERBIRD),
        (r"^ICSx5/", "ICSx⁵ on Android", Family.ICSX5),
        (r"DAVx5|DAVdroid", "DAVx⁵ on Android", Family.OTHER),
        ("Nextcloud Webcal Service", "Nextcloud", Family.NEXTCLOUD),
        ("^Evolution/", "GNOME Calendar or Evolution", Family.EVOLUTION),
        ("vdirsyncer/", "vdirsyncer", Family.OTHER),
        ("HomeAssistant", "Home Assistant", Family.HOME_ASSISTANT),
        ("Zap Calendar", "the icalendar.org validator", Family.OTHER),
        ("Proton", "Proton Calendar", Family.OTHER),
        ("Fastmail", "Fastmail", Family.OTHER),
        ("Yahoo(?!! Slurp)", "Yahoo Calendar", Family.OTHER),
    )
)

# Whoever sends such a name looks once and stores no calendar. First match wins.
_PASSERS_BY = tuple(
    (re.compile(pattern, re.IGNORECASE), reader, name)
    for pattern, reader, name in (
        (r"urlscan", Reader.PREVIEW, "urlscan.io"),
        (r"Safe-?Links", Reader.PREVIEW, "Microsoft Safe Links"),
        (r"Barracuda", Reader.PREVIEW, "Barracuda's mail scanner"),
        (r"Proofpoint", Reader.PREVIEW, "Proofpoint's mail scanner"),
        (r"Mimecast", Reader.PREVIEW, "Mimecast's mail scanner"),
        (r"VirusTotal", Reader.PREVIEW, "VirusTotal"),
        (r"Slackbot|Slack-ImgProxy", Reader.PREVIEW, "Slack's preview"),
        (r"facebookexternal|facebookcatalog", Reader.PREVIEW, "Facebook's preview"),
        (r"Twitterbot", Reader.PREVIEW, "X's preview"),
        (r"WhatsApp", Reader.PREVIEW, "WhatsApp's preview"),
        (r"Skype", Reader.PREVIEW, "Skype's or Teams' preview"),
        (r"TelegramBot", Reader.PREVIEW, "Telegram's preview"),
        (r"Discordbot", Reader.PREVIEW, "Discord's preview"),
        (r"LinkedInBot", Reader.PREVIEW, "LinkedIn's preview"),
        (r"ms-office|MSOffice", Reader.PREVIEW, "Microsoft Office's preview"),
        (r"HubSpot", Reader.PREVIEW, "HubSpot's preview"),
        (r"Googlebot|Google-Safety", Reader.PREVIEW, "Google's search"),
        (r"bingbot", Reader.PREVIEW, "Bing's search"),
        (r"Applebot", Reader.PREVIEW, "Apple's search"),
        (r"(?:bot|crawler|spider|slurp)\b", Reader.PREVIEW, "a search engine or preview"),
        (r"\bcurl/", Reader.SCRIPT, "curl"),
        (r"Wget", Reader.SCRIPT, "Wget"),
        (r"python-|aiohttp", Reader.SCRIPT, "a Python script"),
        (r"Go-http-client", Reader.SCRIPT, "a Go program"),
        (r"PowerShell", Reader.SCRIPT, "PowerShell"),
        (r"HTTPie|PostmanRuntime|libwww-perl", Reader.SCRIPT, "a script"),
        # Mozilla/ comes from apps too, but only where one of the apps' names is in it.
        (r"Mozilla/.*\b(?:Edg|EdgA|EdgiOS)/", Reader.BROWSER, "Edge"),
        (r"Mozilla/.*\bOPR/", Reader.BROWSER, "Opera"),
        (r"Mozilla/.*\b(?:Firefox|FxiOS)/", Reader.BROWSER, "Firefox"),
        (r"Mozilla/.*\b(?:Chrome|CriOS)/", Reader.BROWSER, "Chrome"),
        (r"Mozilla/.*\bSafari/", Reader.BROWSER, "Safari"),
        (r"Mozilla/", Reader.BROWSER, "a browser"),
    )
)

LONGEST = 300


def recognise(user_agent: str) -> App | None:
    """Which calendar app this is; None for a browser, a preview or a script.

    An app that is not known shows by the first word that it calls itself.
    """
    user_agent = user_agent[:LONGEST].strip()
    known = _known(user_agent)
    if known is not None:
        return known
    return None if _passer_by(user_agent) else _unknown(user_agent)


def reader(user_agent: str) -> tuple[Reader, str]:
    """What kind of program this is, and its name for people: (Reader.SCRIPT, "curl")."""
    user_agent = user_agent[:LONGEST].strip()
    app = _known(user_agent)
    if app is None and (found := _passer_by(user_agent)):
        return found
    return Reader.APP, (app or _unknown(user_agent)).name


def _known(user_agent: str) -> App | None:
    return next((app for pattern, app in _APPS if pattern.search(user_agent)), None)


def _passer_by(user_agent: str) -> tuple[Reader, str] | None:
    for pattern, reader, name in _PASSERS_BY:
        if pattern.search(user_agent):
            return reader, name
    return None


def _unknown(user_agent: str) -> App:
    # Anyone can send any text: only a plain product name is repeated, neither an address nor
    # anything that could be a secret.
    product = re.match(
        r"(?![\d.]+(?:/|\s|$))[A-Za-z0-9][A-Za-z0-9.+_-]{0,24}(?![\w.+-])", user_agent
    )
    name = f"another calendar app ({product[0]})" if product else "another calendar app"
    return App(name, Family.OTHER)


# The first that fits: phones name other systems too ("like Mac OS X").
_DEVICES = (
    ("iPhone", "iphone"),
    ("iPod", "iphone"),
    ("iPad", "ipad"),
    ("Android", "android"),
    ("Macintosh", "mac"),
    ("Windows", "windows"),
)


def device(user_agent: str) -> str:
    """What a browser runs on: iphone, ipad, mac, android, windows or other.

    An iPad asks for the desktop's page by default and then shows as a mac.
    """
    return next((name for part, name in _DEVICES if part in user_agent), "other")


def in_safari(user_agent: str) -> bool:
    """Whether this is Safari itself, where a webcal link opens the calendar.

    In other browsers on iPhone and iPad, and in the windows inside other apps,
    it may do nothing: there people copy the link and open it in Safari.
    """
    return bool(re.search(r" Version/[\d.]+ (?:Mobile/\w+ )?Safari/[\d.]+$", user_agent))


def webcal(https_url: str) -> str:
    """Opens the subscribe sheet of Apple Calendar, and of most apps on computers.

    Never webcals: Safari on the iPhone calls that address invalid.
    """
    return re.sub("^https?:", "webcal:", https_url)


def google(https_url: str) -> str:
    """Adds the link in Google Calendar, in a browser on a computer.

    It must carry webcal: with https Google takes the address for a user's. On
    a phone the Google Calendar app catches the link and fails.
    """
    return f"https://calendar.google.com/calendar/r?cid={quote(webcal(https_url), safe='')}"


def outlook_com(https_url: str, name: str) -> str:
    """Adds the link in Outlook.com, for personal accounts."""
    return _add_from_web("outlook.live.com", https_url, name)


def microsoft_365(https_url: str, name: str) -> str:
    """Adds the link in Outlook on the web, for work and school accounts."""
    return _add_from_web("outlook.office.com", https_url, name)


def windows_outlook(https_url: str) -> str:
    """Opens the new Outlook for Windows, which cuts off the first `webcal:` it sees."""
    return f"webcal:{https_url}"


def icsx5(https_url: str) -> str:
    """Opens ICSx⁵ on Android, which takes webcal for plain http."""
    return re.sub("^http", "webcal", https_url)


def ways_in(https_url: str, name: str) -> dict[str, str]:
    """Every link that adds the feed to an app, by the name of its function here."""
    return {
        "webcal": webcal(https_url),
        "google": google(https_url),
        "outlook_com": outlook_com(https_url, name),
        "microsoft_365": microsoft_365(https_url, name),
        "windows_outlook": windows_outlook(https_url),
        "icsx5": icsx5(https_url),
    }


def _add_from_web(host: str, https_url: str, name: str) -> str:
    # https, not webcal: pasted as webcal it subscribes, but stays empty.
    url, title = quote(https_url, safe=""), quote(name, safe="")
    return f"https://{host}/calendar/0/addfromweb?url={url}&name={title}"


# How long until a change shows, for the set-up instructions.
HOW_FAST: dict[Family, str] = {
    Family.APPLE_MOBILE: (
        "As Fetch New Data in the settings of the iPhone or iPad says: "
        "every 15, 30 or 60 minutes, or only by hand."
    ),
    Family.APPLE_MAC: (
        "As often as you choose for this calendar, from every 5 minutes to every week. "
        "The Mac may suggest every week: choose less."
    ),
    Family.GOOGLE: (
        "Once or twice a day, at times only after two days. Google decides when, "
        "and nobody can hurry it."
    ),
    Family.OUTLOOK_WEB: "About every 3 hours, at times only after a day or more.",
    Family.OUTLOOK_WINDOWS: "About every hour, when Outlook sends and receives.",
    Family.THUNDERBIRD: (
        "As often as you choose in the calendar's properties: every 30 minutes at first."
    ),
    Family.ICSX5: "As often as you choose in the app.",
    Family.NEXTCLOUD: "About every hour.",
    Family.EVOLUTION: "As often as you choose in the calendar's properties.",
    Family.HOME_ASSISTANT: "Once a day.",
    Family.OTHER: "That is up to the app: some look every few minutes, some once a day.",
}
