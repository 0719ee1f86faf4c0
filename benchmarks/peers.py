"""Whom the feed is measured beside: nginx with a file, the bare web server, and Radicale."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.http_load import Answer, get
from benchmarks.product import free_port, started

NGINX = """
{user}daemon off; worker_processes 2; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; keepalive_requests 100000000;
    types {{ text/calendar ics; }}
    client_body_temp_path {root}/1; proxy_temp_path {root}/2; fastcgi_temp_path {root}/3;
    uwsgi_temp_path {root}/4; scgi_temp_path {root}/5;
    server {{ listen 127.0.0.1:{port}; root {root}/www; }}
}}
"""


def has_nginx() -> bool:
    return shutil.which("nginx") is not None


@contextmanager
def nginx(directory: Path, answer: Answer) -> Iterator[str]:
    """Serves the same body as a file; yields its address."""
    (directory / "www").mkdir(parents=True)
    (directory / "www" / "feed.ics").write_bytes(answer.body)
    port = free_port()
    user = "" if os.geteuid() else "user root; "
    (directory / "nginx.conf").write_text(NGINX.format(user=user, root=directory, port=port))
    url = f"http://127.0.0.1:{port}/feed.ics"
    command = [shutil.which("nginx") or "nginx", "-c", str(directory / "nginx.conf")]
    with started(command, dict(os.environ), url):
        yield url


@contextmanager
def bare(directory: Path, answer: Answer) -> Iterator[str]:
    """The product's own web server, answering what the product answered."""
    directory.mkdir()
    added_by_the_server = {"server", "date", "connection"}
    headers = [pair for pair in answer.headers if pair[0].lower() not in added_by_the_server]
    prepared = {"headers": headers, "etag": answer.header("etag")}
    (directory / "answer.json").write_text(json.dumps(prepared))
    (directory / "body").write_bytes(answer.body)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(directory)]
    with started(command, dict(os.environ), url):
        yield url


@contextmanager
def radicale(directory: Path, answer: Answer) -> Iterator[str]:
    """A calendar server that holds the same events and serves them as one file."""
    collection = directory / "collection-root" / "anna" / "calendar"
    collection.mkdir(parents=True)
    (collection / ".Radicale.props").write_text('{"tag": "VCALENDAR"}')
    text = answer.body.decode()
    head, *events = text.removesuffix("END:VCALENDAR\r\n").split("BEGIN:VEVENT\r\n")
    start = head[: head.index("BEGIN:VTIMEZONE")]
    for number, event in enumerate(events):
        item = f"{start}BEGIN:VEVENT\r\n{event}END:VCALENDAR\r\n"
        (collection / f"{number}.ics").write_text(item, newline="")
    port = free_port()
    url = f"http://127.0.0.1:{port}/anna/calendar/"
    command = [
        *(sys.executable, "-m", "radicale", "--hosts", f"127.0.0.1:{port}"),
        *("--auth-type", "none", "--rights-type", "owner_only", "--storage-filesystem-folder"),
        *(str(directory), "--logging-level", "error", "--rights-type", "authenticated"),
    ]
    with started(command, dict(os.environ), f"http://127.0.0.1:{port}/.web/"):
        get(url)  # fills its cache
        yield url
