"""Web server and worker as one family of processes: what ends one ends all.

The first process holds the lock of the data directory, starts the others and
waits. Each of the others watches the first and ends with it, however it ends:
nobody is left behind holding the port.
"""

import errno
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import click
from flask import current_app
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from sync_ui import config, logs, worker
from sync_ui.errors import CannotStart
from sync_ui.models import installation
from sync_ui.services import addresses, practice
from sync_ui.services import host as its_host

# A child that inherits nothing holds no lock, no socket and no open database.
PROCESSES = multiprocessing.get_context("spawn")

THREADS = 16
MOST_FILES = 65_536
SECONDS_TO_FINISH = 10

# What is left of a server that was killed needs a moment to end.
SECONDS_TO_WAIT = 5

log = logging.getLogger(__name__)


def serve(host: str | None = None, port: int | None = None) -> None:
    """Serve and work until told to stop.

    Raises CannotStart when another server uses the data directory or the port.
    """
    served_host, served_port = config.served_address()
    host, port = host or served_host, port or served_port
    logs.configure("web")
    with installation.hold(installation.current().config.data_dir, SECONDS_TO_WAIT):
        wait_for_port(host, port)
        worker.check(current_app)
        config.remember_address(installation.current().config.data_dir, host, port)
        addresses.write_journal()
        allow_connections()
        greet(host, port)
        its_host.beat()  # the worker is about to begin
        background = Background()
        try:
            web_server(host, port).serve(target_loader=load_application, wrap_loader=False)
        finally:
            background.stop()
            # Granian that fails leaves its processes, and Python would wait for them for ever.
            for left in multiprocessing.active_children():
                left.kill()


def greet(host: str, port: int) -> None:
    for sentence in config.unknown_names():
        click.echo(sentence, err=True)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        click.echo("Running as root: a user of its own would be safer.", err=True)
    address = f"http://{host}:{port}"
    click.echo(f"Sync Calendar serves {address}")
    code = practice.issue_setup_code()
    if code is not None:
        click.echo(f"Set it up at {address}/setup with the code {code}")


def allow_connections() -> None:
    """As many as the system lets this process have: 1024, the usual, are soon held by idle ones."""
    try:
        import resource  # late: only Unix has it
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def wait_for_port(host: str, port: int) -> None:
    """Granian shares its port with whoever else asks for it, so ask without sharing first."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while error := _port_error(host, port):
        if error.errno != errno.EADDRINUSE:
            raise CannotStart(f"it may not listen on {host}, port {port}.")
        if time.monotonic() > deadline:
            raise CannotStart(f"port {port} is in use; choose another, such as PORT=8001.")
        time.sleep(0.1)


def _port_error(host: str, port: int) -> OSError | None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def web_server(host: str, port: int) -> MPServer:
    # Granian takes the start method from here; "fork" would hand on open files.
    multiprocessing.set_start_method("spawn", force=True)
    server = MPServer(
        "app:app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        workers=installation.current().config.processes,
        blocking_threads=THREADS,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=65_536),
        log_level=LogLevels.error,
        log_dictconfig=logs.for_granian(),
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=SECONDS_TO_FINISH,
    )
    hang_up = signal.getsignal(signal.SIGHUP)

    def end_with_terminal() -> None:
        # Granian would reload on SIGHUP; a closed terminal must end the server, nohup keep it.
        ignored = hang_up is signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else server.signal_handler_interrupt)

    server.on_startup(end_with_terminal)
    return server


def load_application() -> Callable[..., object]:
    """Runs in the web server's own process."""
    logs.configure("web")
    end_with_parent()
    with telling_of_crashes():
        from app import app  # late: this process needs its own, the first one has one already

    # Reading thousands of rows makes no cycles, but the usual thresholds look for them
    # every few hundred: a third of the time that a practice's feed takes.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    return app


def end_with_parent() -> None:
    """From now on this process ends when the one that started it is gone, killed or not."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    # Ctrl-C and a closed terminal signal the whole group, but the first process says when to
    # end: a second signal while Granian is ending makes it hang.
    os.setsid()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class Background:
    """Keeps one worker running until stopped; a crashed one is started again."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        self._stopping.set()
        self._process.terminate()
        self._process.join(SECONDS_TO_FINISH)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._keeper.join(1)

    def _start(self) -> BaseProcess:
        process = PROCESSES.Process(target=work, name="worker")
        process.start()
        return process

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._process.join()
            if not self._stopping.wait(2):
                log.warning("The worker ended and is started again.")
                self._process = self._start()


def work() -> None:
    """Runs in the worker's own process."""
    logs.configure("worker")
    end_with_parent()
    with telling_of_crashes():
        from app import app  # late: as above

        worker.run(app)


@contextmanager
def telling_of_crashes() -> Iterator[None]:
    """A process of ours that ends tells of it in one line; Python would tell everything."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is ends the process
        logs.crashed(error)
        sys.exit(1)
