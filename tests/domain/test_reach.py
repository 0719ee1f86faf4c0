"""Who can reach an address, by where its name leads; what needs no server to be shown."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from sync_ui.domain import fetching, reach
from sync_ui.domain.reach import Answer, Finding, Silence, Trouble

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)

HOST = "calendar.riverside.org"
FAR = "Google Calendar, Outlook.com and Microsoft 365"
NEAR = "Apple Calendar, ICSx⁵, Thunderbird, Outlook for Windows"


def who(host: str, *addresses: str, secure: bool = True) -> list[tuple[str, bool | None]]:
    found = reach.who_reaches(host, [ip_address(at) for at in addresses], secure=secure)
    return [(finding.app, finding.ok) for finding in found]


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_a_public_address_is_there_for_every_app(address: str) -> None:
    assert who(HOST, address) == [("Every app", True)]
    assert who(HOST, "10.0.0.7", address) == [("Every app", True)]


@pytest.mark.parametrize(
    "address", ["192.168.1.20", "10.0.0.7", "172.20.1.1", "100.64.0.9", "169.254.3.3", "fd00::7"]
)
def test_ones_own_network_is_for_phones_at_home_alone(address: str) -> None:
    assert who(HOST, address) == [(FAR, False), (NEAR, None)]
    assert who(address, address, secure=False) == [
        ("Every app", False),
        (FAR, False),
        (NEAR, None),
    ]


@pytest.mark.parametrize(
    ("host", "address"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")]
)
def test_this_computer_is_for_nobody_else(host: str, address: str) -> None:
    assert who(host, address, secure=False) == [(f"{FAR}, and every phone", False)]


def test_this_computer_is_said_to_be_out_of_reach_of_all_others() -> None:
    (found,) = reach.who_reaches("127.0.0.1", [ip_address("127.0.0.1")], secure=False)

    assert found.words == (
        "127.0.0.1 means “this computer”: only apps on this very computer can read links. "
        "Google Calendar, Outlook.com and Microsoft 365 cannot, and neither can any phone."
    )


def test_a_public_name_that_leads_back_to_the_server_tells_nothing_of_outside() -> None:
    """As Debian writes it into /etc/hosts."""
    assert who(HOST, "127.0.1.1") == [("Every app", None)]


def test_plain_http_on_the_internet_is_for_nobody() -> None:
    assert who(HOST, "93.184.216.34", secure=False) == [("Every app", False), ("Every app", True)]


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("calendar.example.com", True),
        ("example.org", True),
        ("demo.example", True),
        ("x.test", True),
        ("x.invalid", True),
        (HOST, False),
        ("example.com.riverside.org", False),
        ("myexample.com", False),
        ("latest", False),
    ],
)
def test_names_for_examples_are_known(host: str, known: bool) -> None:
    assert (reach.examples(host) is not None) == known


def connection(address: str, heard: datetime | Silence | None) -> tuple[str, bool | None]:
    found = reach.connected(ip_address(address), heard, NOW)
    return found.subject, found.ok


def test_a_connection_is_told_by_its_kind_of_address() -> None:
    assert connection("192.0.2.1", None) == ("Connection over IPv4", True)
    assert connection("2001:db8::1", NOW + timedelta(days=14)) == ("Connection over IPv6", True)
    assert connection("192.0.2.1", NOW + timedelta(days=13)) == ("Connection over IPv4", None)
    for trouble in (Trouble.REFUSED, Trouble.LATE, Trouble.BROKEN, Trouble.NO_ROUTE):
        assert connection("192.0.2.1", Silence(trouble)) == ("Connection over IPv4", False)
    assert connection("2001:db8::1", Silence(Trouble.REFUSED)) == ("Connection over IPv6", False)
    # Without IPv6 of its own the server cannot tell.
    assert connection("2001:db8::1", Silence(Trouble.NO_ROUTE)) == ("Connection over IPv6", None)


@pytest.mark.parametrize(
    ("characters", "ok"), [(199, True), (200, None), (256, None), (257, False)]
)
def test_google_refuses_long_addresses(characters: int, ok: bool | None) -> None:
    assert fetching.length("x" * characters).ok is ok


def test_an_answer_without_a_time_tells_nothing_of_the_clock() -> None:
    assert fetching.clock(Answer(200, {"date": "yesterday"}), NOW) is None
    assert fetching.clock(Answer(200), NOW) is None
    assert fetching.clock(Silence(Trouble.LATE), NOW) is None


def test_what_is_alike_for_several_apps_is_said_once() -> None:
    found = [
        Finding("Reading", "Google", False, "No."),
        Finding("Reading", "Apple", True, "Yes."),
        Finding("Reading", "Outlook", False, "No."),
        Finding("Reading", "Outlook", False, "No."),
    ]

    assert reach.together(found) == [
        Finding("Reading", "Google, Outlook", False, "No."),
        Finding("Reading", "Apple", True, "Yes."),
    ]
