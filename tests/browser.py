"""The system's Chromium, on pages of phone and desktop size that must behave.

A page fails its test when it writes an error to the console, breaks the
Content-Security-Policy (which the console tells too), or asks any other host.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    sync_playwright,
)

from tests.system import missing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Chromium must not talk to anyone but the pages under test.
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}

OURS = {"127.0.0.1", "localhost", "::1"}


class Faults:
    """What pages did that they may not; `forgive("422")` where a test provokes it."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._forgiven: list[str] = []

    def forgive(self, part: str) -> None:
        self._forgiven.append(part)

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._hear)
        context.on("weberror", lambda error: self._seen.append(f"script: {error.error}"))
        context.on("request", self._follow)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._seen.append(f"console: {message.text} ({message.location['url']})")

    def _follow(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob", "about"} and address.hostname not in OURS:
            self._seen.append(f"asked another host: {request.url}")

    def unforgiven(self) -> list[str]:
        return [seen for seen in self._seen if not any(part in seen for part in self._forgiven)]


OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's browser."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    return path or missing("Chromium")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Root's Chromium starts only without its sandbox.
        launched = playwright.chromium.launch(
            executable_path=chromium, args=ARGUMENTS, chromium_sandbox=os.geteuid() != 0
        )
        yield launched
        launched.close()


@pytest.fixture
def faults() -> Iterator[Faults]:
    faults = Faults()
    yield faults
    assert faults.unforgiven() == []


@pytest.fixture
def open_page(browser: Browser, faults: Faults) -> Iterator[OpenPage]:
    """`open_page(**PHONE, base_url=…)`: a page of a new visitor, without cookies."""
    contexts: list[BrowserContext] = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **DESKTOP, **options})
        context.set_default_timeout(15_000)
        faults.watch(context)
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        close(context)


def close(context: BrowserContext) -> None:
    try:
        context.close()
    except Error as error:  # a test may have closed it already
        if "closed" not in str(error):
            raise


@pytest.fixture
def phone(open_page: OpenPage) -> Page:
    """A page of 390 × 844."""
    return open_page(**PHONE)


@pytest.fixture
def desktop(open_page: OpenPage) -> Page:
    """A page of 1280 × 900."""
    return open_page(**DESKTOP)
