"""What no browser sends, byte for byte, to the running product.

Granian reads requests with hyper, which is strict where two readers could
differ on where a request ends: whatever is unclear is refused and the
connection closed. Three things it takes: a bare LF as the end of a line, the
same Content-Length twice as one, and Transfer-Encoding beside Content-Length,
where it goes by the chunks, answers once and closes (RFC 9112, 2.2, 6.1, 6.3).
"""

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.journeys.calendar_app import fetch
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

HOST = b"Host: 127.0.0.1\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
PLAIN = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /sign-in HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    made = Product(tmp_path_factory.mktemp("raw"))
    fill(made, 1, 1)
    yield from running(made)


@pytest.fixture(scope="module")
def address(product: Product) -> str:
    link = "link create --calendar clinician@demo.example --label Desk --display busy"
    return product.command(*link.split())


def answers(product: Product, raw: bytes) -> tuple[list[int], bool]:
    """The statuses that came back, and whether the connection was closed after them."""
    with socket.create_connection(("127.0.0.1", product.port), 30) as connection:
        connection.sendall(raw)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
                connection.settimeout(2)  # whoever goes on listening says no more
            closed = True
        except TimeoutError:
            closed = False
        except ConnectionResetError:
            closed = True
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)], closed


SMUGGLED = {
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 4, 0\r\n\r\n",
    "a length below nothing": POST + b"Content-Length: -4\r\n\r\n",
    "a length with a plus": POST + b"Content-Length: +4\r\n\r\n",
    "a coding before a colon": POST + b"Content-Length: 4\r\nTransfer-Encoding : chunked\r\n\r\n",
    "a coding nobody knows": POST + b"Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "a coding that is none": POST + b"Content-Length: 4\r\nTransfer-Encoding: identity\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /sign-in HTTP/1.0\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n",
    "a bare CR": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n",
    "a folded line": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "a zero byte": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "a blank in a name": b"GET /health HTTP/1.1\r\n" + HOST + b"X Y: a\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\r\n\r\n",
}


@pytest.mark.bar("N5")
@pytest.mark.parametrize("how", SMUGGLED)
def test_what_two_readers_could_read_differently_is_refused(product: Product, how: str) -> None:
    assert answers(product, PLAIN * 2) == ([200, 200], False)

    assert answers(product, SMUGGLED[how] + b"0\r\n\r\n" + PLAIN) == ([400], True)


@pytest.mark.bar("N5")
@pytest.mark.parametrize("path", [b"/sign-in", b"/cal/x", b"/health"])
def test_after_both_a_length_and_chunks_nothing_more_is_read(product: Product, path: bytes) -> None:
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

    statuses, closed = answers(product, b"POST " + path + b" HTTP/1.1\r\n" + HOST + both + PLAIN)

    assert (len(statuses), closed) == (1, True)
    assert 400 <= statuses[0] < 500


@pytest.mark.bar("N5")
def test_what_is_taken_is_taken_for_one_request(product: Product) -> None:
    same = POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"

    assert answers(product, same + PLAIN) == ([415, 200], False)
    assert answers(product, PLAIN.replace(b"\r\n", b"\n") + PLAIN) == ([200, 200], False)


@pytest.mark.bar("N5")
@pytest.mark.parametrize("more", [b"X: " + b"a" * 70_000 + b"\r\n", b"X: a\r\n" * 200])
def test_headers_have_an_end(product: Product, more: bytes) -> None:
    assert answers(product, PLAIN[:-2] + more + b"\r\n") == ([431], True)


@pytest.mark.bar("N5")
@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (b"Host: evil.example\r\n", 400),
        (b"Host: evil.example\r\n" + HOST, 400),
        (HOST + b"Host: evil.example\r\n", 400),
        (b"", 400),
        (HOST, 200),
    ],
)
def test_another_hosts_name_gets_no_page(product: Product, hosts: bytes, status: int) -> None:
    statuses, _ = answers(product, b"GET /sign-in HTTP/1.1\r\n" + hosts + b"\r\n")

    assert statuses == [status]


@pytest.mark.bar("N5")
def test_headers_that_do_not_end_are_cut_off(product: Product) -> None:
    """After ten seconds, as the setting of the web server says; waited for, not timed."""
    with socket.create_connection(("127.0.0.1", product.port), 60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127")

        assert connection.recv(1) == b""


SLOW = {
    "say nothing": b"",
    "do not end their headers": b"GET /cal/x HTTP/1.1\r\nHost: 127",
    "do not end a form": POST + FORM + b"Content-Length: 100\r\n\r\nemail=",
    "do not end an upload": POST + FORM + b"Content-Length: 1000000\r\n\r\nemail=",
    "do not end their chunks": POST + FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\nemail",
}


@contextmanager
def slow_ones(product: Product, raw: bytes, number: int = 300) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", product.port), 30)
            stack.enter_context(connection)
            connection.sendall(raw)
        yield


@pytest.mark.bar("N5")
@pytest.mark.parametrize("who", SLOW)
def test_those_who_are_slow_starve_nobody(product: Product, address: str, who: str) -> None:
    with slow_ones(product, SLOW[who]), ThreadPoolExecutor(10) as threads:
        feeds = threads.map(lambda _: fetch(address).status, range(100))
        pages = threads.map(lambda _: fetch(f"{product.url}/sign-in").status, range(20))

        assert (set(feeds), set(pages)) == ({200}, {200})

    # Once they are gone forms are taken again.
    form = POST + FORM + b"Content-Length: 7\r\nConnection: close\r\n\r\nemail=a"
    deadline = time.monotonic() + 30
    while answers(product, form) != ([400], True):
        assert time.monotonic() < deadline
