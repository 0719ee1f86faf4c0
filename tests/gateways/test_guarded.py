"""Who may be called at all. The listeners here are real, and count who gets through to them."""

import gzip
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from sync_ui.domain.outside import Later, Rejected
from sync_ui.gateways import guarded
from sync_ui.gateways.guarded import NO_ADDRESS, UNREACHABLE, UNTRUSTED, Guarded, is_public
from tests.front import Authority
from tests.gateways.scripted import Asked, Reply, Scripted, scripted

LOOPBACK = ["127.0.0.0/8", "::1"]


def hello(asked: Asked) -> Reply:
    return Reply(200, b"hello")


@pytest.fixture
def listener() -> Iterator[Scripted]:
    with scripted(hello) as server:
        yield server


def lead(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Every name leads to these addresses, one list for each time that it is asked for."""
    asked, left = list[str](), list(answers)

    def found(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                0,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in left.pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return asked


@pytest.mark.bar("I1")
def test_a_server_that_is_allowed_is_called(listener: Scripted) -> None:
    with Guarded(LOOPBACK) as line:
        answer = line.ask("GET", f"{listener.url}cal?x=1", {"X-Test": "yes"})

    assert (answer.status, answer.body) == (200, b"hello")
    (asked,) = listener.asked
    assert (asked.what, asked.headers["x-test"]) == ("GET /cal?x=1", "yes")


@pytest.mark.bar("I1", "I2")
@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f000001"),
        *("0177.0.0.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
        *("[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("[fe80::1%25lo]", "a@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1\\@example.com"),
        *("①②⑦.⓪.⓪.①", "127。0。0。1", "169.254.169.254", "100.100.100.200", "10.0.0.1"),
        *("", "a b", "[::1", "caf\n.example", "%31%32%37.0.0.1", "x" * 2100),
    ],
)
def test_nobody_gets_to_this_computer_or_its_network(listener: Scripted, host: str) -> None:
    port = listener.server_port
    with Guarded() as line:
        for scheme in ("https", "http"):
            for place in (f"{host}:{port}", host):
                with pytest.raises((Rejected, Later)) as refused:
                    line.ask("GET", f"{scheme}://{place}/")
                assert str(refused.value) in {UNREACHABLE, NO_ADDRESS}

    assert listener.calls == 0


@pytest.mark.bar("I1")
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://a.example/", "ftp://a.example/", "webcal://127.0.0.1/",
            "dict://a.example:11211/", "caldav.example.com", "https:///x", "https://a.example/ü",
            "https://a.example/a\r\nHost: b", "https://a.example:99999/", ""],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with Guarded(["a.example"]) as line, pytest.raises(Rejected) as refused:
        line.ask("GET", url)

    assert str(refused.value) == NO_ADDRESS


@pytest.mark.bar("I1")
@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.1", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.1.1"),
        *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::808:808"),
        *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:808:808::1", "3fff::1"),
        *("2620:4f:8000::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1"),
    ],
)
def test_these_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.bar("I1")
@pytest.mark.parametrize(
    "address", ["8.8.8.8", "17.248.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00::1"]
)
def test_these_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.bar("I1")
@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1", "::1"],
     ["64:ff9b::7f00:1"], ["10.0.0.1"]],
    ids=" ".join,
)  # fmt: skip
def test_a_name_that_leads_to_a_private_address_is_not_called(
    listener: Scripted, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    monkeypatch.setattr(guarded, "_port", lambda place: listener.server_port)
    lead(monkeypatch, addresses)

    with Guarded(["another.example"]) as line, pytest.raises(Rejected) as refused:
        line.ask("GET", "https://calendar.example.com/")

    assert (str(refused.value), listener.calls) == (UNREACHABLE, 0)


@pytest.mark.bar("I1")
def test_a_name_is_looked_up_once_and_what_was_looked_at_is_called(
    listener: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = lead(monkeypatch, ["127.0.0.1"], ["10.9.9.9"])

    with Guarded(["Calendar.Example.Com."]) as line:
        answer = line.ask("GET", f"http://calendar.example.com:{listener.server_port}/")

    assert (answer.body, asked) == (b"hello", ["calendar.example.com"])
    assert listener.asked[0].headers["host"] == f"calendar.example.com:{listener.server_port}"


@pytest.mark.bar("I1")
def test_a_server_that_is_not_named_needs_https_and_its_usual_port(
    listener: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "is_public", lambda address: True)
    with Guarded() as line:
        for url in (listener.url, f"https://127.0.0.1:{listener.server_port}/"):
            with pytest.raises(Rejected):
                line.ask("GET", url)

    assert listener.calls == 0


@pytest.mark.bar("I1")
def test_no_proxy_of_the_environment_is_used(
    listener: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(hello) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with Guarded(LOOPBACK) as line:
            line.ask("GET", listener.url)

        assert (proxy.calls, listener.calls) == (0, 1)


@pytest.mark.bar("I1", "I3")
def test_a_redirect_is_told_and_not_followed(listener: Scripted) -> None:
    with (
        scripted(lambda asked: Reply(308, b"", {"Location": f"{listener.url}there"})) as front,
        Guarded(LOOPBACK) as line,
    ):
        answer = line.ask("GET", front.url)

    assert (answer.status, answer.leads_to) == (308, f"{listener.url}there")
    assert listener.calls == 0


def test_one_connection_serves_several_requests_and_another_one_when_it_has_ended() -> None:
    answers = iter([{}, {"Connection": "close"}, {}])
    with (
        scripted(lambda asked: Reply(200, b"x", next(answers))) as server,
        Guarded(LOOPBACK) as line,
    ):
        calls = []
        for _ in range(3):
            line.ask("GET", server.url)
            calls.append(server.calls)

    assert calls == [1, 1, 2]


def test_a_connection_that_the_server_has_closed_meanwhile_is_made_again() -> None:
    def hang_up(asked: Asked) -> Reply:
        if len(server.asked) == 2:
            raise ConnectionAbortedError
        return Reply(200, b"x")

    with scripted(hang_up) as server, Guarded(LOOPBACK) as line:
        first, second = line.ask("GET", server.url), line.ask("GET", server.url)

    assert (first.status, second.status, server.calls) == (200, 200, 2)


@pytest.mark.parametrize("etag", ["€", "a\r\nX-Other: b"])
def test_words_of_a_server_that_no_header_can_hold_are_not_sent(
    listener: Scripted, etag: str
) -> None:
    with Guarded(LOOPBACK) as line:
        for _ in range(2):
            with pytest.raises(Later):
                line.ask("GET", listener.url, {"If-Match": etag})
            line.ask("GET", listener.url)

    assert [each.headers.get("if-match", "") for each in listener.asked] == ["", ""]


# Answers without measure


@pytest.mark.bar("I3")
def test_an_answer_that_is_too_long_is_not_taken() -> None:
    with scripted(lambda asked: Reply(200, b"x" * 1000)) as server:
        with Guarded(LOOPBACK, longest=1000) as line:
            assert len(line.ask("GET", server.url).body) == 1000
        with Guarded(LOOPBACK, longest=999) as line, pytest.raises(Rejected):
            line.ask("GET", server.url)


@pytest.mark.bar("I3")
def test_fifty_megabytes_are_too_long() -> None:
    parts = (b"x" * 1_000_000 for _ in range(50))
    with (
        scripted(lambda asked: Reply(200, parts)) as server,
        Guarded(LOOPBACK) as line,
        pytest.raises(Rejected),
    ):
        line.ask("GET", server.url)

    assert len(list(parts)) > 0


@pytest.mark.bar("I3")
def test_an_answer_that_never_ends_is_cut_off() -> None:
    def drip(asked: Asked) -> Reply:
        def parts() -> Iterator[bytes]:
            while not server.over.wait(0.01):
                yield b"x"

        return Reply(200, parts())

    with (
        scripted(drip) as server,
        Guarded(LOOPBACK, whole=0.3) as line,
        pytest.raises(Later) as cut,
    ):
        line.ask("GET", server.url)

    assert str(cut.value) == UNREACHABLE


@pytest.mark.bar("I3")
def test_silence_is_waited_for_only_so_long() -> None:
    def silent(asked: Asked) -> Reply:
        server.over.wait(30)
        return Reply(200)

    with (
        scripted(silent) as server,
        Guarded(LOOPBACK, pause=0.2) as line,
        pytest.raises(Later),
    ):
        line.ask("GET", server.url)


@pytest.mark.bar("I3", "I5")
def test_an_answer_that_breaks_off_is_none() -> None:
    with (
        scripted(lambda asked: Reply(200, b"half", promised=8)) as server,
        Guarded(LOOPBACK) as line,
        pytest.raises(Later),
    ):
        line.ask("GET", server.url)


@pytest.mark.bar("I3")
def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"x" * 1_000_000)
    with (
        scripted(lambda asked: Reply(200, bomb, {"Content-Encoding": "gzip"})) as server,
        Guarded(LOOPBACK) as line,
        pytest.raises(Rejected),
    ):
        line.ask("GET", server.url)

    assert server.asked[0].headers["accept-encoding"] == "identity"


# TLS


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that this process trusts."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


@pytest.mark.bar("I1")
def test_a_certificate_is_verified_for_the_name_that_is_called(authority: Authority) -> None:
    with scripted(hello, tls=authority.context("localhost")) as server:
        with Guarded(LOOPBACK) as line:
            answer = line.ask("GET", f"https://localhost:{server.server_port}/")
        assert answer.body == b"hello"

        with Guarded(LOOPBACK) as line, pytest.raises(Later) as refused:
            line.ask("GET", f"https://127.0.0.1:{server.server_port}/")
        assert str(refused.value) == UNTRUSTED

    assert len(server.asked) == 1


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(authority: Authority) -> None:
    with (
        scripted(hello, tls=authority.context("localhost", self_signed=True)) as server,
        Guarded(LOOPBACK) as line,
        pytest.raises(Later) as refused,
    ):
        line.ask("GET", f"https://localhost:{server.server_port}/")

    assert (str(refused.value), server.asked) == (UNTRUSTED, [])
