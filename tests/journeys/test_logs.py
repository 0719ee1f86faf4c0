"""Everything that the running product prints, after a day of attacks and faults: at DEBUG.

What is printed goes to stdout and stderr together, as in a service's journal.
"""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

import pytest

from sync_ui.config import ROOT
from sync_ui.models import database, keys
from tests.journeys.calendar_app import fetch
from tests.journeys.product import Product, free_port, until
from tests.journeys.steps import PASSWORD

# None of them may be printed, nor any secret that the product makes.
CANARIES = ("Xaverine", "Yolkowski", "wistful@example.com", "Umbrageous-Pettifoggery-1")
FORGED = '{"level": "critical", "message": "forged"}'

GREETING = re.compile(
    r"Running as root: a user of its own would be safer\.|Sync Calendar serves http://[\d.:]+"
)


@pytest.fixture
def noisy(tmp_path: Path) -> Iterator[Product]:
    """A demo practice that tells as much as it can."""
    product = Product(tmp_path, SYNC_LOG_LEVEL="debug", FLASK_DEBUG="1")
    product.command("demo", "--password", PASSWORD, "--clinicians", "1", "--weeks", "1")
    yield product
    product.stop_if_running()


def printed(product: Product) -> str:
    return product._log.read_text()


def status_of(product: Product, raw: bytes) -> int:
    """What is answered to these very bytes; 0 if nothing."""
    with closing(socket.create_connection(("127.0.0.1", product.port), timeout=30)) as line:
        line.sendall(raw)
        head = line.recv(100).split(b" ", 2)
        return int(head[1]) if len(head) > 1 else 0


def break_off(product: Product, raw: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", product.port), timeout=30)) as line:
        line.sendall(raw)


class Visitor:
    """Someone with a browser's cookies and without its manners."""

    def __init__(self, product: Product) -> None:
        self._url = product.url
        self.cookies = CookieJar()
        kept = urllib.request.HTTPCookieProcessor(self.cookies)
        self._opener = urllib.request.build_opener(kept)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        return self._send(urllib.request.Request(self._url + path, headers=headers))

    def post(self, path: str, page: str, **fields: str) -> tuple[int, str]:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page)[1])
        assert found
        form = urlencode({"csrf_token": found[1], **fields}).encode()
        return self._send(urllib.request.Request(self._url + path, data=form))

    def _send(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()


def hostile_lines(token: str) -> list[bytes]:
    """Requests that no browser would send; each tries to put a line of its own into the log."""
    forged = quote(f"\r\n{FORGED}", safe="").encode()
    red = b"%1b%5b31m"
    agent = b"User-Agent: Mozilla\x9b31m " + FORGED.encode() + b"\r\n"
    host = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    paths = [
        *(b"/" + forged, b"/none" + red, b"/cal/" + token.encode() + forged, b"/cal/" + red),
        *(b"/add/" + token.encode() + forged, b"/enter/" + token.encode(), b"//" + forged),
        b"/sign-in?next=" + forged + red + b"&email=wistful@example.com",
        b"/calendar/" + b"9" * 400,
    ]
    methods = (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS")
    whole = [
        m + b" " + path + b" HTTP/1.1\r\n" + host + agent + b"Content-Length: 0\r\n\r\n"
        for path in paths
        for m in methods
    ]
    return [
        *whole,
        b"GET /" + FORGED.encode() + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /sign-in HTTP/1.1\r\nConnection: close\r\nHost: evil.example\r\nHost: "
        + token.encode()
        + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: session=" + token.encode() + b"\r\n" + host + b"\r\n",
        b"GET /" + b"x" * 70_000 + token.encode() + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"User-Agent: \x1b[31m\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + host + b"\r\n",
        token.encode() + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS where none is spoken
    ]


def work_a_day(product: Product, token: str) -> set[int]:
    """Whatever can be asked, by strangers and by Sam; the statuses that were heard."""
    heard = {status_of(product, raw) for raw in hostile_lines(token)}
    half_a_form = b"Host: x\r\nContent-Length: 99\r\n\r\nemail=Xaverine"
    break_off(product, b"POST /sign-in HTTP/1.1\r\n" + half_a_form)
    break_off(product, b"GET /cal/" + token.encode())
    sam = Visitor(product)
    stranger = Visitor(product)
    wrong = {"email": CANARIES[2], "password": CANARIES[3]}
    heard.add(stranger.post("/sign-in", "/sign-in", **wrong)[0])
    right = {"email": "scheduler@demo.example", "password": PASSWORD}
    heard.add(sam.post("/sign-in", "/sign-in", **right)[0])
    name = {"first_name": CANARIES[0], "last_name": f"{CANARIES[1]}\r\n{FORGED}\x1b[31m"}
    heard.add(sam.post("/clients/new", "/clients/new", **name, ceiling="")[0])
    for path in ("/calendar", f"/clients?q={CANARIES[0]}", "/calendar/99999", "/settings"):
        heard.add(sam.get(path, **{"X-Request-ID": CANARIES[3]})[0])
    reading = fetch(f"{product.url}/cal/{token}/x.ics", agent=f"Calendar {CANARIES[1]}")
    again = fetch(f"{product.url}/cal/{token}/x.ics", etag=reading.etag)
    secret = next(iter(sam.cookies)).value
    assert secret
    assert secret not in printed(product)
    return heard | {reading.status, again.status}


def break_appointments(product: Product) -> None:
    """As a damaged database does: pages, feeds and the worker's tasks fail from now on."""
    engine = database.make_engine(product.data_dir, None, keys.load(product.data_dir).database)
    with engine.connect().execution_options(writing=True) as connection:
        connection.exec_driver_sql("ALTER TABLE appointment RENAME TO gone")
        connection.commit()
    engine.dispose()


@pytest.mark.bar("L7", "O3", "O4")
def test_nothing_that_is_printed_is_forged_or_tells_of_anybody(noisy: Product) -> None:
    words = ("--calendar", "clinician@demo.example", "--label", CANARIES[0], "--display", "busy")
    token = noisy.command("link", "create", *words).split("/")[-2]
    noisy.start()
    assert work_a_day(noisy, token) >= {200, 304, 400, 403, 404, 405}
    noisy.stop()

    break_appointments(noisy)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        noisy.command("appointments", "cancel", "1")
    last = failed.value.stderr.splitlines()[-1]
    assert (json.loads(last)["level"], "Traceback" in failed.value.stderr) == ("critical", False)
    noisy.start()
    until(lambda: "Unhandled exception in task" in printed(noisy), 60)
    stranger = Visitor(noisy)
    assert fetch(f"{noisy.url}/cal/{token}/x.ics").status == 503
    right = {"email": "scheduler@demo.example", "password": PASSWORD}
    status, page = stranger.post("/sign-in", "/sign-in", **right)
    noisy.stop()

    assert status == 503
    told = printed(noisy)
    (number,) = re.findall(r"name this number: <code>(\w+)</code>", page)
    assert re.search(rf'"Database error: .*"request": "{number}"', told)
    all_keys = [path.read_text().strip() for path in noisy.data_dir.glob("*.key")]
    secrets = [*CANARIES, PASSWORD, token, token[:8], token[-8:], *all_keys]
    assert [secret for secret in secrets if secret in told] == []
    assert "forged" not in told
    assert "Traceback" not in told
    assert "SELECT" not in told
    assert told.replace("\n", "").isprintable()
    assert told.isascii()
    events = [json.loads(one) for one in told.splitlines() if not GREETING.fullmatch(one)]
    assert {each["process"] for each in events} == {"command", "web", "worker"}
    assert {each["level"] for each in events} >= {"debug", "info", "error"}


def written_at() -> dict[Path, int]:
    """When each file of the program was last written."""
    places = [ROOT / "app.py", *(ROOT / name for name in ("sync_ui", "templates", "static"))]
    files = [file for place in places for file in (place, *place.rglob("*"))]
    return {
        file: file.stat().st_mtime_ns
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.mark.bar("O6")
def test_serving_writes_nothing_into_the_program(tmp_path: Path) -> None:
    """So that its directory may be read-only; compiled modules are kept there only if it is not."""
    product = Product(tmp_path)
    before = written_at()
    assert len(before) > 200

    product.start()
    assert fetch(f"{product.url}/setup").status == 200
    product.stop()

    assert written_at() == before


@pytest.mark.bar("O6")
def test_flasks_own_server_brings_no_debugger(tmp_path: Path) -> None:
    """`flask run` with FLASK_DEBUG=1 usually serves a Python prompt at /console."""
    port = str(free_port())
    ours = {"SYNC_DATA_DIR": str(tmp_path), "FLASK_DEBUG": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "run", "--port", port],
        cwd=ROOT,
        env=kept | ours,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: _answers(port), 60)
        status, page = _get(f"http://127.0.0.1:{port}/console")
    finally:
        process.terminate()
        _, said = process.communicate()

    assert (status, "There is nothing at this address." in page) == (404, True)
    assert "Debugger" not in said + page


def _answers(port: str) -> bool:
    try:
        return _get(f"http://127.0.0.1:{port}/health")[0] == 200
    except OSError:
        return False


def _get(address: str) -> tuple[int, str]:
    found = fetch(address)
    return found.status, found.body.decode()
