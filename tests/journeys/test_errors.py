"""What the web server itself says to requests that never reach the application."""

import re
import socket
from contextlib import closing

import pytest

from tests.journeys.product import Product

HOST = b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n"

INSIDE = re.compile(
    r"python|flask|werkzeug|sqlalchemy|traceback|/(?:tmp|home|opt|root)/|\d+\.\d+\.\d+"
)

REQUESTS = {
    "health": (b"GET /health HTTP/1.1\r\n" + HOST, 200),
    "nowhere": (b"GET /none HTTP/1.1\r\n" + HOST, 404),
    "another method": (b"DELETE /health HTTP/1.1\r\n" + HOST, 405),
    "a feed that is not there": (b"GET /cal/2222/x.ics HTTP/1.1\r\n" + HOST, 404),
    "no address": (b"GET HTTP/1.1\r\n\r\n", 400),
    "no HTTP": (b"HELLO\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + HOST, 400),
    "a long address": (b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\n" + HOST, 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + HOST, 431),
}


def answer_to(product: Product, raw: bytes) -> str:
    with closing(socket.create_connection(("127.0.0.1", product.port), timeout=30)) as line:
        line.sendall(raw)
        return b"".join(iter(lambda: line.recv(65536), b"")).decode()


@pytest.mark.bar("O5", "N5")
def test_no_answer_names_a_version_or_a_place(demo: Product) -> None:
    answers = {name: answer_to(demo, raw) for name, (raw, _) in REQUESTS.items()}

    assert {name: int(answer.split(" ")[1]) for name, answer in answers.items()} == {
        name: status for name, (_, status) in REQUESTS.items()
    }
    heads = {name: answer.partition("\r\n\r\n")[0] for name, answer in answers.items()}
    told = {name: INSIDE.findall(head.lower()) for name, head in heads.items()}
    assert INSIDE.findall("server: werkzeug/3.1.9 python") == ["werkzeug", "3.1.9", "python"]
    assert told == {name: [] for name in REQUESTS}
    servers = re.findall(r"^server: (.*)\r$", "\r\n".join(heads.values()).lower(), re.MULTILINE)
    assert set(servers) == {"granian"}


@pytest.mark.bar("O5")
def test_what_the_web_server_refuses_itself_has_no_body(demo: Product) -> None:
    for name in ("no address", "no HTTP", "two lengths", "a long address", "many headers"):
        head, _, body = answer_to(demo, REQUESTS[name][0]).partition("\r\n\r\n")

        assert (name, body) == (name, "")
        assert "content-length: 0" in head.lower()
