from urllib.parse import parse_qs, urlsplit

import pytest

from sync_ui.domain import apps
from sync_ui.domain.apps import HOW_FAST, App, Family, Reader, device, in_safari, recognise

FEED = "https://calendar.example.org/cal/23456789abcdefghjkmnpqrstuvwxyz23/dr-unlu.ics"

SAFARI_ON_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
CHROME_ON_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) CriOS/137.0.7151.51 Mobile/15E148 Safari/604.1"
)
EDGE_ON_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 EdgiOS/137.0 Mobile/15E148 Safari/604.1"
)
IN_AN_APP_ON_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148 Instagram 300.0"
)
SAFARI_ON_IPAD = SAFARI_ON_IPHONE.replace("iPhone; CPU iPhone OS", "iPad; CPU OS")
SAFARI_ON_MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Safari/605.1.15"
)
CHROME_ON_ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36"
)
EDGE_ON_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0"
)
FIREFOX_ON_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"

APPLE_MOBILE = App("Apple Calendar on iPhone or iPad", Family.APPLE_MOBILE)
APPLE_MAC = App("Apple Calendar on Mac", Family.APPLE_MAC)
OUTLOOK_WINDOWS = App("Outlook for Windows", Family.OUTLOOK_WINDOWS)


@pytest.mark.parametrize(
    ("user_agent", "app"),
    [
        ("Google-Calendar-Importer", App("Google Calendar", Family.GOOGLE)),
        ("iOS/26.5 (23F77) dataaccessd/1.0", APPLE_MOBILE),
        ("iOS/14.0 (18A373) accountsd/1.0", APPLE_MOBILE),
        ("macOS/13.4 (22F66) dataaccessd/1.0", APPLE_MAC),
        ("macOS/11.0 (20A5343i) CalendarAgent/950", APPLE_MAC),
        ("Mac+OS+X/10.10.5 (14F27) CalendarAgent/316.1", APPLE_MAC),
        ("CalendarStore/5.0.3 (1204.1); iCal/5.0.3 (1605.3); Mac OS X/10.7.3 (11D50)", APPLE_MAC),
        (
            "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)",
            App("Outlook.com or Microsoft 365", Family.OUTLOOK_WEB),
        ),
        (
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16327; Pro)",
            OUTLOOK_WINDOWS,
        ),
        (
            "Mozilla/4.0 (compatible; ms-office; Microsoft Outlook 16.0.5000)",
            OUTLOOK_WINDOWS,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Thunderbird/153.7.0",
            App("Thunderbird", Family.THUNDERBIRD),
        ),
        (
            "ICSx5/2.4 (ical4j/3.2 okhttp/4.12 Android/15)",
            App("ICSx⁵ on Android", Family.ICSX5),
        ),
        ("DAVx5/4.5 (dav4jvm; okhttp/4.12) Android/15", App("DAVx⁵ on Android", Family.OTHER)),
        ("Nextcloud Webcal Service", App("Nextcloud", Family.NEXTCLOUD)),
        ("Evolution/3.56.1", App("GNOME Calendar or Evolution", Family.EVOLUTION)),
        ("vdirsyncer/0.21.0", App("vdirsyncer", Family.OTHER)),
        ("HomeAssistant/2026.11 httpx/0.28", App("Home Assistant", Family.HOME_ASSISTANT)),
        ("Zap Calendar", App("the icalendar.org validator", Family.OTHER)),
        ("ProtonCalendar", App("Proton Calendar", Family.OTHER)),
        ("Fastmail/1.0", App("Fastmail", Family.OTHER)),
        ("YahooCalendar", App("Yahoo Calendar", Family.OTHER)),
        ("BusyCal/2026.4 (Mac)", App("another calendar app (BusyCal)", Family.OTHER)),
        ("", App("another calendar app", Family.OTHER)),
    ],
)
def test_a_calendar_app_is_known_by_its_user_agent(user_agent: str, app: App) -> None:
    assert recognise(user_agent) == app


@pytest.mark.parametrize(
    "user_agent",
    [
        SAFARI_ON_IPHONE,
        CHROME_ON_ANDROID,
        FIREFOX_ON_LINUX,
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "facebookexternalhit/1.1",
        "Twitterbot/1.0",
        "WhatsApp/2.24",
        "SkypeUriPreview Preview/0.5",
        "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
        "curl/8.14.1",
        "Wget/1.25",
        "python-requests/2.32",
        "Python-urllib/3.13",
        "HubSpot Connect 2.0",
        "BarracudaCentral",
        "Googlebot/2.1 (+http://www.google.com/bot.html)",
    ],
)
def test_a_browser_a_preview_or_a_script_is_no_subscriber(user_agent: str) -> None:
    assert recognise(user_agent) is None


@pytest.mark.parametrize(
    ("user_agent", "reader", "name"),
    [
        ("Google-Calendar-Importer", Reader.APP, "Google Calendar"),
        ("BusyCal/2026.4 (Mac)", Reader.APP, "another calendar app (BusyCal)"),
        ("", Reader.APP, "another calendar app"),
        (SAFARI_ON_IPHONE, Reader.BROWSER, "Safari"),
        (CHROME_ON_IPHONE, Reader.BROWSER, "Chrome"),
        (CHROME_ON_ANDROID, Reader.BROWSER, "Chrome"),
        (EDGE_ON_IPHONE, Reader.BROWSER, "Edge"),
        (EDGE_ON_WINDOWS, Reader.BROWSER, "Edge"),
        (f"{CHROME_ON_ANDROID} OPR/90.0", Reader.BROWSER, "Opera"),
        (FIREFOX_ON_LINUX, Reader.BROWSER, "Firefox"),
        (IN_AN_APP_ON_IPHONE, Reader.BROWSER, "a browser"),
        ("Mozilla/5.0 (compatible; urlscan.io)", Reader.PREVIEW, "urlscan.io"),
        ("Mozilla/5.0 (Windows NT 10.0) SafeLinks/1.0", Reader.PREVIEW, "Microsoft Safe Links"),
        ("BarracudaCentral", Reader.PREVIEW, "Barracuda's mail scanner"),
        ("Mozilla/5.0 (compatible; Proofpoint)", Reader.PREVIEW, "Proofpoint's mail scanner"),
        (
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            Reader.PREVIEW,
            "Slack's preview",
        ),
        ("facebookexternalhit/1.1", Reader.PREVIEW, "Facebook's preview"),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
            Reader.PREVIEW,
            "Skype's or Teams' preview",
        ),
        (
            "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
            Reader.PREVIEW,
            "Microsoft Office's preview",
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            Reader.PREVIEW,
            "Google's search",
        ),
        ("Mozilla/5.0 (compatible; Yahoo! Slurp)", Reader.PREVIEW, "a search engine or preview"),
        ("Mozilla/5.0 (compatible; AhrefsBot/7.0)", Reader.PREVIEW, "a search engine or preview"),
        ("curl/8.14.1", Reader.SCRIPT, "curl"),
        ("Wget/1.25", Reader.SCRIPT, "Wget"),
        ("python-requests/2.32", Reader.SCRIPT, "a Python script"),
        ("Go-http-client/2.0", Reader.SCRIPT, "a Go program"),
        (
            "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1",
            Reader.SCRIPT,
            "PowerShell",
        ),
    ],
)
def test_what_reads_a_link_has_a_kind_and_a_name(
    user_agent: str, reader: Reader, name: str
) -> None:
    """SECURITY L12: whoever is no subscriber is told apart, and named."""
    assert apps.reader(user_agent) == (reader, name)
    assert (recognise(user_agent) is not None) == (reader is Reader.APP)


@pytest.mark.parametrize(
    "user_agent", ["<script>alert(1)</script>", "\r\nX: y", "é" * 50, "(no name)"]
)
def test_only_a_plain_name_of_an_unknown_app_is_repeated(user_agent: str) -> None:
    app = recognise(user_agent)

    assert app is not None
    assert app.name in {"another calendar app", "another calendar app (X)"}


@pytest.mark.parametrize(
    "secret", ["a" * 26, "9adrxs8tm2enea9zur5uxdhaqr6m86zve", "203.0.113.5", "203.0.113.5/24"]
)
def test_what_could_be_a_secret_or_an_address_is_no_apps_name(secret: str) -> None:
    """L7"""
    assert recognise(secret) == App("another calendar app", Family.OTHER)
    assert recognise("PlanIt/2.0") == App("another calendar app (PlanIt)", Family.OTHER)


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (SAFARI_ON_IPHONE, "iphone"),
        (CHROME_ON_IPHONE, "iphone"),
        (SAFARI_ON_IPAD, "ipad"),
        (SAFARI_ON_MAC, "mac"),
        (CHROME_ON_ANDROID, "android"),
        (EDGE_ON_WINDOWS, "windows"),
        (FIREFOX_ON_LINUX, "other"),
        ("", "other"),
    ],
)
def test_the_phones_page_knows_the_device(user_agent: str, expected: str) -> None:
    assert device(user_agent) == expected


def test_only_safari_itself_is_trusted_with_a_webcal_link() -> None:
    assert [
        in_safari(user_agent) for user_agent in (SAFARI_ON_IPHONE, SAFARI_ON_IPAD, SAFARI_ON_MAC)
    ] == [True, True, True]
    assert [
        in_safari(user_agent)
        for user_agent in (
            CHROME_ON_IPHONE,
            EDGE_ON_IPHONE,
            IN_AN_APP_ON_IPHONE,
            CHROME_ON_ANDROID,
            EDGE_ON_WINDOWS,
        )
    ] == [False] * 5


def test_webcal_takes_the_place_of_https_and_of_http() -> None:
    path = FEED.removeprefix("https:")

    assert apps.webcal(FEED) == f"webcal:{path}"
    assert apps.webcal(f"http:{path}") == f"webcal:{path}"


def test_google_gets_the_webcal_address_whole() -> None:
    link = urlsplit(apps.google(FEED + "#2"))

    assert (link.netloc, link.path) == ("calendar.google.com", "/calendar/r")
    assert link.fragment == ""
    assert parse_qs(link.query) == {"cid": [apps.webcal(FEED) + "#2"]}


@pytest.mark.parametrize(
    ("add", "host"),
    [(apps.outlook_com, "outlook.live.com"), (apps.microsoft_365, "outlook.office.com")],
)
def test_outlook_on_the_web_gets_the_https_address_and_a_name(add: object, host: str) -> None:
    assert callable(add)
    link = urlsplit(add(FEED, "Dr. Ünlü & Söhne"))

    assert (link.netloc, link.path) == (host, "/calendar/0/addfromweb")
    assert parse_qs(link.query) == {"url": [FEED], "name": ["Dr. Ünlü & Söhne"]}


def test_the_new_outlook_for_windows_gets_webcal_before_the_whole_address() -> None:
    assert apps.windows_outlook(FEED) == f"webcal:{FEED}"


def test_icsx5_keeps_the_encryption() -> None:
    assert apps.icsx5(FEED) == FEED.replace("https://", "webcals://")
    assert apps.icsx5("http://192.168.1.5:8000/cal/x.ics") == "webcal://192.168.1.5:8000/cal/x.ics"


def test_every_way_in_goes_by_its_name() -> None:
    assert apps.ways_in(FEED, "Dr. Ünlü") == {
        "webcal": apps.webcal(FEED),
        "google": apps.google(FEED),
        "outlook_com": apps.outlook_com(FEED, "Dr. Ünlü"),
        "microsoft_365": apps.microsoft_365(FEED, "Dr. Ünlü"),
        "windows_outlook": apps.windows_outlook(FEED),
        "icsx5": apps.icsx5(FEED),
    }


def test_every_family_says_how_fast_it_follows() -> None:
    assert set(HOW_FAST) == set(Family)
