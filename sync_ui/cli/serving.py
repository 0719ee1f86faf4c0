"""Serve, work, fill in a demo, tell the health."""

import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from sync_ui import logs, server, worker
from sync_ui.cli.shared import plainly
from sync_ui.services import (
    check,
    demo,
)


@click.command("serve")
@click.option("--host", default=None, help="Address to listen on (HOST, or 127.0.0.1).")
@click.option("--port", type=int, default=None, help="Port to listen on (PORT, or 8000).")
@with_appcontext
@plainly
def serve(host: str | None, port: int | None) -> None:
    """Serve the application and do its background work, until SIGTERM."""
    server.serve(host, port)


@click.command("worker")
@with_appcontext
def work() -> None:
    """Do the background work alone, until SIGTERM."""
    logs.configure("worker")
    worker.run(current_app)


@click.command("demo")
@click.option("--password", default=None, help="For all three sign-ins; random if left out.")
@click.option("--clinicians", type=click.IntRange(1, 50), default=4, show_default=True)
@click.option("--weeks", type=click.IntRange(1, 52), default=26, show_default=True)
@with_appcontext
@plainly
def fill_demo(password: str | None, clinicians: int, weeks: int) -> None:
    """Fill in a demo practice with invented people."""
    click.echo(demo.fill(password=password, clinicians=clinicians, weeks=weeks))


@click.command("check")
@with_appcontext
def check_health() -> None:
    """Tell the health of database, keys, worker and public link."""
    findings = check.findings()
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'PROBLEM'} {finding.subject}: {finding.words}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)
