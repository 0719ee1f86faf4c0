"""The server's own public address; how its answers are taken is shown with the check of a link."""

import errno
import socket
import ssl
from http.client import BadStatusLine

import pytest

from sync_ui.domain.reach import Silence, Trouble
from sync_ui.gateways import public
from sync_ui.gateways.public import Public


@pytest.mark.parametrize(
    ("url", "plain_port"),
    [
        ("https://calendar.example.com", 80),
        ("https://calendar.example.com:8443", 8443),
        ("http://192.168.1.20:8000", 8000),
    ],
)
def test_apps_that_take_webcal_for_http_call_the_port_that_is_named(
    url: str, plain_port: int
) -> None:
    assert Public(url, 1)._plain_port == plain_port


@pytest.mark.bar("I2")
@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (socket.gaierror(), Trouble.NO_NAME),
        (TimeoutError(), Trouble.LATE),
        (ConnectionRefusedError(), Trouble.REFUSED),
        (OSError(errno.ENETUNREACH, "no way"), Trouble.NO_ROUTE),
        (ConnectionResetError(), Trouble.BROKEN),
        (ssl.SSLEOFError(), Trouble.BROKEN),
        (BadStatusLine("/cal/secret"), Trouble.BROKEN),
    ],
)
def test_what_goes_wrong_is_told_without_the_errors_words(
    error: Exception, trouble: Trouble
) -> None:
    assert public._silence(error) == Silence(trouble)


@pytest.mark.bar("I3")
def test_nobody_is_called_once_the_time_is_over() -> None:
    late = Public("http://127.0.0.1:1", 0)

    assert late.ask("/", {}) == Silence(Trouble.LATE)
    assert late.dial(late.addresses()[0]) == Silence(Trouble.LATE)
